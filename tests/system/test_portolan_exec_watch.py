"""`portolan exec` and `portolan watch` against a fake daemon. What exec tells servers is in
test_exec_environment.py.
"""

import json
import signal
import subprocess

import pytest

from deadlines import scaled
from fake_control import failure, ok
from portolan_cli import ask, check, clean_environment, control, words  # noqa: F401

LEASE = ok(node="rabbit@s1", port=6369, held=False, expires_in_ms=60000, epmd_port=4370)
EVENTS = [{"v": 1, "event": "registered", "at": "2026-03-01T10:20:30.123Z", "name": "rabbit", "port": 25672,
           "creation": 1772360430, "type": "normal"},
          {"v": 1, "event": "refused", "at": "2026-03-01T10:20:31.000Z", "what": "registration", "name": "rabbit",
           "port": 1234, "reason": "the port is outside the range", "peer": "127.0.0.1:40000"},
          {"v": 1, "event": "lease_ended", "at": "2026-03-01T10:20:32.000Z", "name": "emqx", "port": 6370,
           "reason": "expired"},
          {"v": 1, "event": "lease_ended", "at": "2026-03-01T10:20:33.000Z", "name": "rabbit", "port": 6369,
           "reason": "moved", "other_port": 25672, "other_name": "bunny"}]


# --- exec ---

SHOW = ["sh", "-c", 'echo "$ERL_EPMD_PORT|$ERL_AFLAGS|$*"; exit 7', "sh"]


def test_exec_becomes_the_program_with_its_port_in_the_environment(control):
    fake = control({"lease": LEASE})
    call = ask(fake, "exec", "rabbit@s1", "--", *SHOW, "--json", "--", "x")
    check(call, 7, "4370|-kernel inet_dist_listen_min 6369 inet_dist_listen_max 6369|--json -- x\n")
    assert fake.said("lease") == [{"node": "rabbit@s1"}]


def test_exec_keeps_the_flags_that_are_there(control):
    call = ask(control({"lease": LEASE}), "exec", "rabbit@s1", "--", *SHOW,
               env={"ERL_AFLAGS": "-setcookie x", "ERL_EPMD_PORT": "1"})
    check(call, 7, "4370|-kernel inet_dist_listen_min 6369 inet_dist_listen_max 6369 -setcookie x|\n")


@pytest.mark.parametrize("option, address", [("--private", "{127,0,0,1}"), ("--private6", "{0,0,0,0,0,0,0,1}")])
def test_exec_keeps_a_node_to_the_loopback(control, option, address):
    call = ask(control({"lease": LEASE}), "exec", option, "rabbit@s1", "--", *SHOW, env={"ERL_AFLAGS": "-setcookie x"})
    check(call, 7, "4370|-kernel inet_dist_listen_min 6369 inet_dist_listen_max 6369 inet_dist_use_interface "
          f"{address} -setcookie x|\n")


def test_exec_takes_one_kind_of_loopback(control):
    fake = control({"lease": LEASE})
    check(ask(fake, "exec", "--private", "--private6", "rabbit@s1", "--", *SHOW), 2, "", "--private or --private6, not both")
    assert fake.requests == []


def test_exec_hands_no_descriptor_on(control):
    call = ask(control({"lease": LEASE}), "exec", "rabbit@s1", "--", "sh", "-c", "ls /proc/$$/fd")
    assert set(call.stdout.split()) <= {"0", "1", "2", "10", "255"}  # the shell's own among them


def test_exec_exits_as_env_does_when_the_program_cannot_run(control, tmp_path):
    (tmp_path / "text").write_text("no program")
    fake = control({"lease": LEASE, "release": ok()})
    check(ask(fake, "exec", "a@h", "--", "/nonexistent/erl"), 127, "", "cannot run '/nonexistent/erl': No such file")
    check(ask(fake, "exec", "a@h", "--", tmp_path / "text"), 126, "", "Permission denied")
    assert fake.said("release") == [{"node": "a@h"}] * 2, "a lease that nobody will use is given back"


def test_exec_leaves_the_lease_of_a_running_node_alone(control):
    fake = control({"lease": {**LEASE, "held": True, "expires_in_ms": None}})
    check(ask(fake, "exec", "a@h", "--", "/nonexistent/erl"), 127, "", "cannot run")
    assert fake.said("release") == []


def test_exec_runs_nothing_without_a_lease(control, tmp_path):
    fake = control({"lease": failure("denied", "this needs root, or the group portolan")})
    check(ask(fake, "exec", "a@h", "--", "touch", tmp_path / "ran"), 5, "", "cannot lease a port for a@h: this needs")
    assert not (tmp_path / "ran").exists()


# --- watch ---

class Watch:
    """A running `portolan watch`."""

    def __init__(self, fake, *arguments):
        self.process = subprocess.Popen(words("--socket", fake.path, "watch", *arguments), env=clean_environment(),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)

    def lines(self, count):
        return [self.process.stdout.readline() for _ in range(count)]

    def end(self, number):
        self.process.send_signal(number)
        _, complaint = self.process.communicate(timeout=scaled(20))
        return self.process.returncode, complaint


def test_watch_prints_what_happens_as_it_happens(control):
    watch = Watch(control({"watch": [ok(), *EVENTS]}))
    assert "".join(watch.lines(4)) == """\
2026-03-01T10:20:30.123Z  registered    rabbit  port 25672 (normal)
2026-03-01T10:20:31.000Z  refused       rabbit  port 1234: the port is outside the range \
(127.0.0.1:40000)
2026-03-01T10:20:32.000Z  lease_ended   emqx  port 6370: expired
2026-03-01T10:20:33.000Z  lease_ended   rabbit  port 6369: moved; rabbit came to port 25672; its \
port was used by bunny
"""
    assert watch.end(signal.SIGINT) == (0, "")


def test_watch_as_json_is_the_events_as_they_are(control):
    watch = Watch(control({"watch": [ok(), *EVENTS]}), "--json")
    assert [json.loads(line) for line in watch.lines(4)] == EVENTS
    assert watch.end(signal.SIGTERM) == (0, "")


def test_watch_ends_with_the_daemon(control):
    call = ask(control({"watch": [ok(), *EVENTS]}, closing=["watch"]), "watch")
    check(call, 3, None, "cannot watch on: the daemon at ")
    assert len(call.stdout.splitlines()) == 4


def test_watch_is_not_ended_by_the_timeout(control):
    fake = control({"watch": ok()})
    with subprocess.Popen(words("--socket", fake.path, "--timeout", "100ms", "watch"), env=clean_environment(),
                          stdin=subprocess.DEVNULL) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=scaled(20)) == 0
