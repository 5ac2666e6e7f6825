"""Which ports are open in which mode, and what a reload changes of a running daemon."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

import wire
from daemon import Daemon, free_port, listening_addresses, our_epmd, run, stock_epmd
from deadlines import wait_for
from portoland import Portoland, portoland  # noqa: F401


# --- modes ---

def roles(server):
    return {(listener["address"].rpartition(":")[2], listener["role"]) for listener in server.says("status")["listeners"]}


def test_by_default_only_the_front_port_is_open(portoland):
    epmd_port = free_port()
    server = portoland(env={"ERL_EPMD_PORT": epmd_port})
    assert roles(server) == {(str(server.port), "front")}
    assert listening_addresses(server.port) and not listening_addresses(epmd_port)
    line = server.logged("info listening", "role=front")
    assert f":{server.port} " in line


@pytest.mark.parametrize("name, offset", [("portolan@127.0.0.1", 0), ("portolan3@127.0.0.1", 3), ("emqx-12@10.0.0.1", 12)])
def test_the_front_port_is_that_of_the_rule(tmp_path, name, offset):
    base = free_port()
    with Portoland(tmp_path, "--set", f"node.dist_base_port={base}", "--set", f"node.name={name}",
                   port=base + offset) as server:
        assert roles(server) == {(str(base + offset), "front")}
        assert server.says("status")["node"] == name


@pytest.mark.parametrize("how", ["WITH_EPMD", "key", "flag"])
def test_both_ports_are_open_in_epmd_mode_and_one_registry_serves_them(portoland, how):
    epmd_port = free_port()
    flags, env = {"WITH_EPMD": ([], {"WITH_EPMD": 1, "ERL_EPMD_PORT": epmd_port}),
                  "key": (["--set", "epmd.enable=on", "--set", f"epmd.port={epmd_port}"], {}),
                  "flag": (["-port", epmd_port], {})}[how]
    server = portoland(*flags, env=env)
    assert roles(server) == {(str(server.port), "front"), (str(epmd_port), "epmd")}
    with wire.register(server.port, "a", port=25672)[0], wire.register(epmd_port, "b", port=25673)[0]:
        for port in (server.port, epmd_port):
            own_port, names = wire.list_names(port)
            assert own_port == port and dict(names) == {"a": 25672, "b": 25673}
        assert wire.register(epmd_port, "a", port=1)[1].result != 0
    assert server.says("lease", "x")["epmd_port"] == epmd_port


def test_in_epmd_mode_a_daemon_answers_for_itself_but_is_no_registration(portoland):
    epmd_port = free_port()
    server = portoland("-port", epmd_port)
    for port in (epmd_port, server.port):
        found = wire.look_up(port, "portolan")
        assert (found.port, found.type, found.highest, found.lowest) == (server.port, 72, 6, 5), found
        assert wire.list_names(port) == (port, [])
        assert b"portolan" not in wire.ask(port, wire.dump())
    with wire.register(epmd_port, "portolan", port=25672)[0]:
        assert wire.look_up(epmd_port, "portolan").port == 25672
    wait_for(lambda: wire.look_up(epmd_port, "portolan").port == server.port, 5)


def test_a_portoland_is_ended_by_a_kill_request_only_when_relaxed(portoland, tmp_path):
    """The stop scripts of servers send one, for the epmd that they have started."""
    path = tmp_path / "portolan.conf"
    path.write_text("")
    server = portoland("-c", path)
    assert wire.ask(server.port, wire.kill()) == b"NO"
    call = run(our_epmd(), "-port", server.port, "-kill", directory=tmp_path)
    assert (call.returncode, call.stdout) == (1, b"Killing not allowed - living nodes in database.\n")
    assert wire.list_names(server.port) == (server.port, []) and not server.exited
    path.write_text("epmd.relaxed_command_check = on\n")
    assert server.call("reload").returncode == 0
    assert wire.ask(server.port, wire.kill()) == b"OK"
    assert server.exit_code() == 0


def test_without_an_epmd_or_a_front_port_a_daemon_does_not_answer_for_itself(portoland, tmp_path):
    only_front = portoland()
    assert wire.look_up(only_front.port, "portolan").result == 1
    only_epmd = portoland("-port", port := free_port(), "--set", "front.enable=off", port=port)
    assert wire.look_up(only_epmd.port, "portolan").result == 1
    with Daemon(our_epmd(), tmp_path, "--set", "front.enable=on", env={"PORTOLAN_NODE__DIST_BASE_PORT": free_port()}) as epmd:
        assert wire.look_up(epmd.port, "portolan").result == 1


def test_one_port_for_both_is_opened_once(portoland):
    port = free_port()
    server = portoland("-port", port, port=port)
    assert roles(server) == {(str(port), "front")}
    assert wire.look_up(port, "portolan").port == port


def test_under_the_name_epmd_there_is_only_epmds_port_and_no_socket(tmp_path):
    front = free_port()
    env = {"PORTOLAN_NODE__DIST_BASE_PORT": front, "XDG_RUNTIME_DIR": tmp_path}
    with Daemon(our_epmd(), tmp_path, env=env) as server:
        assert listening_addresses(server.port) and not listening_addresses(front)
        assert not (tmp_path / "portolan.sock").exists()
        assert not [line for line in open(f"/proc/{server.pid}/net/unix") if str(tmp_path) in line]
        assert list(tmp_path.glob("ports-*")) == []
        with wire.register(server.port, "a", port=1)[0]:
            assert wire.look_up(server.port, "a").port == 1


def test_the_front_port_answers_all_that_epmds_does(portoland):
    server = portoland("--set", "epmd.relaxed_command_check=on")
    conn, answer = wire.register(server.port, "a", port=25672)
    assert answer.result == 0
    assert b"active name     <a>" in wire.ask(server.port, wire.dump())
    assert wire.ask(server.port, wire.stop("a")) == b"STOPPED"
    conn.close()
    assert wire.ask(server.port, wire.kill()) == b"OK"
    assert server.exit_code() == 0


@pytest.mark.parametrize("flags, complaint", [
    (["--set", "front.enable=off"], "no port to open"),
    (["--set", "node.name=remsh1@h.example.com"], "names that begin with remsh have no port"),
    (["--set", "node.name=n59999@h.example.com"], "which is above 65535")])
def test_a_daemon_without_a_port_does_not_run(tmp_path, flags, complaint):
    server = Portoland(tmp_path, *flags, port=free_port())
    server.launch()
    assert server.exit_code() == 1
    assert complaint in server.log


def test_a_taken_front_port_is_said_with_its_holder(portoland, tmp_path):
    first = portoland()
    second = Portoland(tmp_path, port=first.port)
    second.launch()
    assert second.exit_code() == 1
    assert re.search(rf"cannot listen on \S+:{first.port}: in use by portoland \(process {first.pid}\)", second.log)
    assert first.says("status")["pid"] == first.pid


def test_an_epmd_in_the_place_of_the_front_port_is_named_with_the_way_to_end_it(tmp_path):
    """A node starts one when no daemon runs, and then no daemon could start again."""
    with Daemon(stock_epmd(), tmp_path) as stock:
        server = Portoland(tmp_path, port=stock.port)
        server.launch()
        assert server.exit_code() == 1
        assert server.log == (
            f"portoland: cannot listen on 0.0.0.0:{stock.port}: in use by an epmd without names (process {stock.pid}), as "
            f"nodes start when no daemon runs; end it with 'kill {stock.pid}', then start again\n"
        )


def test_an_epmd_with_names_is_told_apart(tmp_path):
    with Daemon(stock_epmd(), tmp_path) as stock:
        node, _ = wire.register(stock.port, "a")
        with node:
            server = Portoland(tmp_path, port=stock.port)
            server.launch()
            assert server.exit_code() == 1
            assert server.log == (
                f"portoland: cannot listen on 0.0.0.0:{stock.port}: in use by an epmd with 1 name (process {stock.pid}); "
                f"'epmd -port {stock.port} -names' lists them; nodes of OTP 23 and later register again by themselves: "
                f"end it with 'kill {stock.pid}', then start again; or choose another port\n"
            )


def test_an_epmd_that_does_not_respond_is_named_as_well(tmp_path):
    """A program of that name that closes what comes to it."""
    program, port = tmp_path / "epmd", free_port()
    program.write_text(f"#!{sys.executable}\nimport socket\nwith socket.create_server(('0.0.0.0', {port})) as listener:\n"
                       "    print(flush=True)\n    while True:\n        listener.accept()[0].close()\n")
    program.chmod(0o755)
    other = subprocess.Popen([program], stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        server = Portoland(tmp_path, port=port)
        server.launch()
        assert server.exit_code() == 1
        assert server.log == (
            f"portoland: cannot listen on 0.0.0.0:{port}: in use by an epmd that does not respond (process {other.pid}); "
            f"end it with 'kill {other.pid}', or choose another port\n"
        )
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


# --- reload ---

@pytest.fixture
def configured(portoland, tmp_path):
    """A daemon with a configuration file, and how to write that."""
    path = tmp_path / "portolan.conf"

    def write(*lines):
        path.write_text("".join(f"{line}\n" for line in lines))

    write("node.dist_listen_min = 20000", "node.dist_listen_max = 20100", "epmd.port = 5601")
    return portoland("-c", path), write


CHANGED = ["node.dist_listen_min = 21000", "node.dist_listen_max = 21100", "epmd.port = 5602", "log.level = debug",
           "epmd.relaxed_command_check = on"]
LIVE = ["node.dist_listen_max", "node.dist_listen_min", "epmd.relaxed_command_check", "log.level"]


def in_force(server):
    assert 21000 <= server.lease("b") <= 21100
    conn, _ = wire.register(server.port, "c", port=25672)
    assert wire.ask(server.port, wire.stop("c")) == b"STOPPED"
    conn.close()
    server.logged("debug closed")


def test_reload_applies_what_it_can_and_names_the_rest(configured):
    server, write = configured
    assert 20000 <= server.lease("a") <= 20100
    write(*CHANGED)
    call = server.call("reload")
    lines = call.stdout.splitlines()
    assert call.returncode == 0
    assert sorted(lines) == sorted([*[f"applied: {key}" for key in LIVE], "needs a restart: epmd.port"])
    in_force(server)
    assert server.leases()["a"][0] <= 20100  # what was promised stays
    assert server.call("reload").stdout == "needs a restart: epmd.port\n"


def test_the_hangup_signal_does_the_same(configured):
    server, write = configured
    write(*CHANGED)
    os.kill(server.pid, signal.SIGHUP)
    for key in LIVE:
        server.logged("info reloaded", f"key={key} ", "outcome=applied")
    server.logged("info reloaded", "key=epmd.port", 'outcome="needs a restart"')
    in_force(server)


def test_a_file_that_is_wrong_leaves_all_as_it_was(configured):
    server, write = configured
    write("node.dist_listen_min = 21000", "node.dist_listen_max = 20999", "log.levle = debug")
    call = server.call("reload")
    assert call.returncode == 1
    assert "portolan.conf:3" in call.stderr and "did you mean log.level?" in call.stderr
    os.kill(server.pid, signal.SIGHUP)
    server.logged("error reload_failed", "the old configuration stays in effect")
    assert 20000 <= server.lease("a") <= 20100


def test_a_log_that_cannot_be_opened_is_not_called_applied(configured, tmp_path):
    server, write = configured
    write("log.to = /nonexistent/portolan.log")
    reply = json.loads(server.call("reload", "--json").stdout)
    server.logged("error log_not_changed")
    assert not reply["ok"] or "log.to" not in reply["applied"]


def test_a_promise_that_the_new_range_would_refuse_is_not_renewed(configured):
    server, write = configured
    old = server.lease("a")
    write("node.dist_listen_min = 21000", "node.dist_listen_max = 21100", "node.port_policy = range",
          "node.port_enforce = on")
    assert server.call("reload").returncode == 0
    port = server.lease("a")
    with wire.register(server.port, "a", port=port)[0]:
        wait_for(lambda: server.leases() == {"a": (port, True)}, 5, f"a on the port it was promised, not {old}")


@pytest.mark.parametrize("flag", [["--set", "log.level=warn"], ["-d"]], ids=" ".join)
def test_what_a_flag_has_set_a_reload_leaves(portoland, tmp_path, flag):
    path = tmp_path / "portolan.conf"
    path.write_text("log.level = info\n")
    server = portoland("-c", path, *flag)
    path.write_text("log.level = trace\n")
    assert server.call("reload").stdout == "no changes\n"


def test_the_environment_still_beats_the_file_after_a_reload(portoland, tmp_path):
    path = tmp_path / "portolan.conf"
    path.write_text("log.level = info\n")
    server = portoland("-c", path, env={"PORTOLAN_LOG__LEVEL": "warn"})
    path.write_text("log.level = trace\n")
    assert server.call("reload").stdout == "no changes\n"
