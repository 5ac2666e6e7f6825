"""`portoland --check-config` opens and checks all that a start would, and warns of what makes no
sense."""

import os
import socket
import subprocess

import pytest

import wire
from daemon import BUILD, Daemon, environment, free_port, stock_epmd
from deadlines import scaled
from portoland import Portoland, portoland  # noqa: F401

PORTOLAND = str(BUILD / "bin" / "portoland")


class Checked:
    """One call: the exit code, and the lines that begin with what is wrong."""

    def __init__(self, done):
        self.code, self.out = done.returncode, done.stdout
        self.lines = [line.removeprefix("portoland: ") for line in done.stderr.splitlines()]

    def one(self, *parts):
        """There is one line, and it has all of these in it."""
        assert len(self.lines) == 1 and all(part in self.lines[0] for part in parts), self.lines


@pytest.fixture
def check(tmp_path):
    """Checks a configuration of these lines, on a front port that is free."""
    def call(*lines, **env):
        path = tmp_path / "portolan.conf"
        base = [] if any(line.startswith("node.dist_base_port") for line in lines) else [f"node.dist_base_port = {free_port()}"]
        path.write_text("".join(f"{line}\n" for line in [*base, *lines]))
        env = {"PORTOLAN_CONTROL__SOCKET": str(tmp_path / "control"), **env}
        env = {name: value for name, value in env.items() if value is not None}
        return Checked(subprocess.run([PORTOLAND, "-c", path, "--check-config"], env=environment(tmp_path, **env),
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(20)))
    return call


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "cookie"
    path.write_text("a-secret\n")
    path.chmod(0o400)
    return path


def test_a_good_configuration_is_fine(check, secret):
    done = check(f"node.cookie_file = {secret}", "cluster.discovery = static", "cluster.static.seeds = a@s1.example.org")
    assert (done.code, done.lines) == (0, [])
    assert done.out.endswith("portoland: the configuration is valid\n")


def member_state(name, other):
    """The file that a member keeps, as src/cluster/store.h has it."""
    text = f"portolan cluster 1\nself {name} 1 2\nid 1 2\nalive {other} 1 1 1 4370 1\n".encode()
    checksum = 0xCBF29CE484222325
    for byte in text:
        checksum = (checksum ^ byte) * 0x100000001B3 % (1 << 64)
    return text + f"sum {checksum:016x}\n".encode()


# --- what a start would refuse ---

def test_a_missing_cookie_file(check):
    done = check("node.cookie_file = /nonexistent/cookie")
    assert done.code == 1
    done.one("/nonexistent/cookie: No such file or directory", "create it")


def test_a_cookie_file_for_all(check, secret):
    secret.chmod(0o644)
    done = check(f"node.cookie_file = {secret}")
    assert done.code == 1
    done.one(str(secret), "chmod 400")


def test_missing_certificates(check):
    done = check("cluster.tls.cacertfile = /nonexistent/ca", "cluster.tls.certfile = /nonexistent/cert",
                 "cluster.tls.keyfile = /nonexistent/key")
    assert done.code == 1
    done.one("/nonexistent/")


@pytest.mark.parametrize("key, extra", [("front.address", []), ("epmd.address", ["epmd.enable = on"])])
def test_an_address_that_is_not_this_hosts(check, key, extra):
    done = check(f"{key} = 192.0.2.7", f"epmd.port = {free_port()}", *extra)
    assert done.code == 1
    done.one("cannot listen on 192.0.2.7", "Cannot assign requested address", "is it an address of this host?")


def test_a_port_of_another_program(check, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = check(f"node.dist_base_port = {port}")
        assert done.code == 1
        done.one(f"the front port, {port}", f"process {os.getpid()}")


def test_the_ports_of_the_daemon_that_runs_are_no_fault(check, portoland):
    server = portoland()
    done = check(f"node.dist_base_port = {server.port}")
    assert (done.code, done.lines) == (0, [])
    assert wire.look_up(server.port, "nobody").result == 1


def test_an_epmd_in_the_way(check, tmp_path):
    with Daemon(stock_epmd(), tmp_path) as stock:
        done = check("epmd.enable = on", f"epmd.port = {stock.port}")
        assert done.code == 1
        done.one(f"the port of epmd, {stock.port}", f"epmd (process {stock.pid})")


def test_the_state_of_a_member_with_another_name(check, secret, tmp_path):
    (tmp_path / "cluster").write_bytes(member_state("portolan@s1.example.org", "portolan@s2.example.org"))
    done = check(f"node.cookie_file = {secret}", "node.name = portolan@s3.example.org")
    assert done.code == 1
    done.one("portolan.conf:3", "cannot start as portolan@s3.example.org", "a member of a cluster as portolan@s1.example.org",
             "portolan cluster leave")
    done = check(f"node.cookie_file = {secret}", "node.name = portolan@s1.example.org")
    assert (done.code, done.lines) == (0, [])


def test_the_state_of_a_member_does_not_count_without_a_secret(check, tmp_path):
    """Such a daemon runs alone, whatever its name was."""
    (tmp_path / "cluster").write_bytes(member_state("portolan@s1.example.org", "portolan@s2.example.org"))
    done = check("node.name = portolan@s3.example.org")
    assert (done.code, done.lines) == (0, [])


def test_a_log_file_that_cannot_be_written(check):
    done = check("log.to = /nonexistent/portoland.log")
    assert done.code == 1
    done.one("portolan.conf:2", "/nonexistent/portoland.log", "No such file or directory")


def test_a_directory_or_a_fifo_that_nobody_reads_as_the_log_file(check, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "fifo", "No such device or address")):
        done = check(f"log.to = {path}")
        assert done.code == 1
        done.one("portolan.conf:2", f"cannot write the log file {path}: {reason}")


def test_no_directory_for_the_control_socket(check, tmp_path):
    """The start makes one directory, and not two."""
    assert check(PORTOLAN_CONTROL__SOCKET=str(tmp_path / "one" / "socket")).lines == []
    path = tmp_path / "one" / "two" / "socket"
    done = check(PORTOLAN_CONTROL__SOCKET=str(path))
    assert done.code == 1
    done.one("PORTOLAN_CONTROL__SOCKET", f"cannot create the control socket {path}: No such file or directory")
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize("line", [
    "node.cookie_file = /nonexistent/cookie", "node.cookie_file = /etc/passwd", "cluster.tls.certfile = /nonexistent/cert",
    "front.address = 192.0.2.7", "log.to = /nonexistent/log", "control.socket = /nonexistent/a/control"])
def test_what_cannot_be_opened_is_named_with_its_line(check, line):
    env = {"PORTOLAN_CONTROL__SOCKET": None} if line.startswith("control") else {}
    done = check("node.dist_tool_ports = 0", line, **env)
    assert done.code == 1
    done.one("portolan.conf:3: ")


def test_an_address_is_named_without_a_port(check):
    done = check("front.address = 192.0.2.7, ::1")
    done.one("cannot listen on 192.0.2.7 ")


def test_a_file_in_the_place_of_the_control_socket(check, tmp_path):
    (tmp_path / "file").write_text("data")
    done = check(PORTOLAN_CONTROL__SOCKET=str(tmp_path / "file"))
    assert done.code == 1
    done.one("PORTOLAN_CONTROL__SOCKET", str(tmp_path / "file"), "it is an existing file")
    assert (tmp_path / "file").read_text() == "data"


def test_nothing_is_left_behind(check, tmp_path, secret):
    data = tmp_path / "data"
    before = sorted(tmp_path.iterdir())
    check(f"node.cookie_file = {secret}", f"log.to = {tmp_path}/log", f"node.data_dir = {data}")
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "portolan.conf"])


# --- what makes no sense ---

def warned(done, *parts):
    assert done.code == 0
    done.one(*parts)
    assert done.out.endswith("portoland: the configuration is valid, with warnings\n")


def test_static_discovery_without_a_secret(check):
    warned(check("cluster.discovery = static", "cluster.static.seeds = a@s1.example.org"),
           "portolan.conf:2", "cluster.discovery has no effect", "node.cookie_file")


def test_static_discovery_without_seeds(check, secret):
    warned(check(f"node.cookie_file = {secret}", "cluster.discovery = static", "cluster.static.seeds = portolan@127.0.0.1"),
           "cluster.static.seeds names no other daemon")


def test_seeds_with_manual_discovery(check):
    warned(check("cluster.static.seeds = a@s1.example.org"), "portolan.conf:2", "cluster.discovery is manual")


def test_an_event_program_that_is_missing(check, secret):
    warned(check(f"node.cookie_file = {secret}", "cluster.on_event = /nonexistent/hook"),
           "cluster.on_event /nonexistent/hook cannot be run for events: No such file or directory")


def test_an_event_program_that_cannot_be_executed(check, secret):
    warned(check(f"node.cookie_file = {secret}", f"cluster.on_event = {secret}"), "not executable")


@pytest.mark.parametrize("offset", [70000, 4294967295])
def test_a_range_over_front_ports_of_any_offset(check, offset):
    """No sum is over the last port, and what is blamed is what was set."""
    base = free_port()
    warned(check(f"node.dist_base_port = {base}", "node.dist_listen_max = 65535", f"front.offset_max = {offset}"),
           "portolan.conf:2: ", f"the range of leases, 6369-65535, overlaps front ports ({base}-65535")


@pytest.mark.parametrize("first, last", [(4370, 4400), (4000, 4370), (4469, 5000), (4380, 4390)])
def test_a_range_over_front_ports(check, first, last):
    base = free_port()
    shift = base - 4370
    warned(check(f"node.dist_base_port = {base}", f"node.dist_listen_min = {first + shift}", f"node.dist_listen_max = {last + shift}"),
           f"the range of leases, {first + shift}-{last + shift}, overlaps front ports ({base}-{base + 99}")


def test_the_cookie_that_everybody_knows(check):
    warned(check("node.cookie = emqxsecretcookie"), "portolan.conf:2", "node.cookie is the default of EMQX")


def test_a_cluster_without_the_front_port(check, secret):
    warned(check(f"node.cookie_file = {secret}", "front.enable = off", "epmd.enable = on", f"epmd.port = {free_port()}"),
           "front.enable is off, so there is no cluster")


def test_enforcement_of_a_policy_that_allows_all(check):
    warned(check("node.port_enforce = on"), "node.port_enforce has no effect, because node.port_policy is any")


def test_a_variable_with_one_underscore(check):
    warned(check(PORTOLAN_LOG_LEVEL="debug"), "PORTOLAN_LOG_LEVEL is ignored: the variable of log.level is PORTOLAN_LOG__LEVEL")


def test_the_start_says_the_same_and_runs(tmp_path):
    server = Portoland(tmp_path, "--set", "cluster.static.seeds=a@s1.example.org")
    with server:
        assert "cluster.static.seeds is ignored" in server.log


# --- what is nearly one of ours ---

def test_a_mistyped_family_is_an_error(check):
    done = check("custer.discovery = static")
    assert done.code == 1
    done.one("portolan.conf:2", "custer.discovery", "did you mean cluster.discovery?")


@pytest.mark.parametrize("key", ["listener.tcp.external", "zone.external.idle_timeout", "mqtt.max_packet_size", "rpc.mode"])
def test_other_families_are_emqxs(check, key):
    done = check(f"{key} = 1")
    assert (done.code, done.lines) == (0, [])
