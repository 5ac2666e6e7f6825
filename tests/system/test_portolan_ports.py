"""Which ports `portolan` asks, and from which base it derives: those of the daemon of this host
count."""

import json
import subprocess
import time

import pytest

from daemon import free_port
from deadlines import scaled
from fake_control import failure, ok
from fake_epmd import FakeEpmd
from members import Members, Network, lose, open_only, why_no_network
from portolan_cli import ask, check, clean_environment, control  # noqa: F401


def status(base, *listeners):
    return ok(
        ports={"base": base},
        listeners=[{"address": f"{address}:{port}", "role": role} for address, port, role in listeners],
    )


def test_port_derives_from_the_base_of_the_daemon(control):
    fake = control({"status": status(4400)})
    check(ask(fake, "port", "emqx-1@s1", "emqx@s1"), 0, "emqx-1@s1 4401\nemqx@s1 4400\n")
    assert json.loads(ask(fake, "port", "emqx@s1", "--json").stdout)["base"] == 4400
    check(ask(fake, "port", "emqx-1@s1", "--base", "5370"), 0, "emqx-1@s1 5371\n")


@pytest.mark.parametrize("reply", [failure("failed", "no"), {"v": 1, "ok": True, "ports": {"base": 70000}}, b"[]\n"])
def test_port_derives_from_4370_where_the_daemon_does_not_say(control, reply):
    check(ask(control({"status": reply}), "port", "emqx-1@s1"), 0, "emqx-1@s1 4371\n")


@pytest.mark.parametrize("role", ["epmd", "front"])
def test_resolve_and_names_ask_the_ports_that_the_daemon_has(control, role):
    with FakeEpmd({"rabbit": 25672}) as epmd:
        listeners = ("0.0.0.0", epmd.port, role), ("[::]", epmd.port, role)
        fake = control({"resolve": failure("not_found", "not here"), "status": status(free_port(), *listeners)})
        check(ask(fake, "resolve", "rabbit@127.0.0.1"), 0, "127.0.0.1:25672  (epmd at 127.0.0.1)\n")
        check(ask(fake, "names", "127.0.0.1"), 0, "NAME     PORT\nrabbit  25672\n")


def test_resolve_derives_from_the_base_of_the_daemon(control):
    base = free_port()
    fake = control({"resolve": failure("not_found", "not here"), "status": status(base)})
    call = ask(fake, "resolve", "emqx-1@127.0.0.9", "--derive")
    check(call, 0, f"127.0.0.9:{base + 1}  (derived from the name; unknown to epmd)\n", "no registration found for")
    call = ask(fake, "resolve", "emqx-1@127.0.0.9", "--derive", env={"PORTOLAN_NODE__DIST_BASE_PORT": "4380"})
    check(call, 0, "127.0.0.9:4381  (derived from the name; unknown to epmd)\n", "no registration found for")


def test_what_nobody_knows_is_told_of_each_port(control):
    with FakeEpmd({"rabbit": 25672}) as epmd:
        quiet = free_port()
        listeners = ("0.0.0.0", epmd.port, "front"), ("0.0.0.0", quiet, "epmd")
        fake = control({"resolve": failure("not_found", "not here"), "status": status(quiet, *listeners)})
        call = ask(fake, "resolve", "emqx@127.0.0.1")
    check(call, 4, "", f"127.0.0.1:{epmd.port} does not know it")
    assert f"127.0.0.1:{quiet}: Connection refused" in call.stderr
    assert call.stderr.count("cannot resolve") == 1 and len(call.stderr.splitlines()) == 1


# --- between hosts ---


@pytest.fixture
def two_hosts(tmp_path):
    """Alike, but no cluster yet: base 4400, and a firewall that drops all but that port."""
    if reason := why_no_network():
        pytest.skip(reason)
    network = Network(2)
    try:
        with Members(tmp_path) as members:
            made = [members.add(f"emqx@{host.address}", base=4400, host=host).start() for host in network.hosts]
            for host in network.hosts:
                open_only(host, 4400)
            yield made
    finally:
        network.close()


def call(member, *words):
    """As an operator does: nothing in the environment says a port. The finished call, and its
    seconds."""
    began = time.monotonic()
    with member.entered():
        done = subprocess.run(
            member.command(*words), env=clean_environment(), text=True, capture_output=True, timeout=scaled(30)
        )
    return done, time.monotonic() - began


def test_a_dropped_port_costs_no_time(two_hosts):
    one, two = two_hosts
    with two.register("plain", 6369):
        done, seconds = call(one, "resolve", f"plain@{two.host.address}")
        check(done, 0, f"{two.host.address}:4400  (epmd at {two.host.address})\n")
        assert seconds < scaled(1.5)
        gone, seconds = call(one, "resolve", f"gone@{two.host.address}")
        check(gone, 4, "", f"{two.host.address}:4400 does not know it")
        assert "no reply from port 4369 so far" in gone.stderr
        assert seconds < scaled(2)
        derived, _ = call(one, "resolve", f"gone3@{two.host.address}", "--derive")
        check(derived, 0, f"{two.host.address}:4403  (derived from the name; unknown to epmd)\n", "no registration found for")
    done, _ = call(one, "port", "emqx-1@s1")
    check(done, 0, "emqx-1@s1 4401\n")


def test_a_host_that_drops_all_is_told_after_the_timeout(two_hosts):
    one, two = two_hosts
    lose(two.host, one.host)
    done, seconds = call(one, "--timeout", "2s", "resolve", f"plain@{two.host.address}")
    assert done.returncode != 0 and "is its TCP port open in the firewall?" in done.stderr
    assert "4369" in done.stderr and "4400" in done.stderr
    assert 1.5 < seconds < scaled(5), "the timeout is the tool's own, however slow the machine is"
