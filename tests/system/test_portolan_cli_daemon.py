"""`portolan` and a fake daemon that answers as docs/control.md says: what it asks, prints and exits
with."""

import contextlib
import json
import os
import pty
import socket
import subprocess
import threading

import pytest

from deadlines import scaled
from fake_control import FakeControl, failure, ok
from fake_epmd import free_of_epmd  # noqa: F401
from portolan_cli import (ask, check, clean_environment, control, open_to_all, portolan,  # noqa: F401
                          runs_as_nobody, words)

STATUS = ok(version="0.2.0", node="portolan@127.0.0.1", pid=4711, started_at="2026-03-01T10:20:30.123Z", uptime_s=11520,
            listeners=[{"address": "0.0.0.0:4370", "role": "front"}, {"address": "0.0.0.0:4369", "role": "epmd"}],
            names=3, leases=4, connections={"registered": 3, "waiting": 0},
            ports={"policy": "range", "enforce": True, "min": 6369, "max": 7369, "base": 4370},
            counters={"accepted": 17, "requests": 17, "timed_out": 2})
NAMES = ok(names=[{"name": "rabbit", "port": 25672, "type": "normal", "creation": 1772360430, "since_s": 17},
                  {"name": "emqx", "port": 4370, "type": "hidden", "creation": 9, "since_s": 93784}])
LEASE = ok(node="rabbit@s1", port=6369, held=False, expires_in_ms=60000, epmd_port=4370)
LEASES = ok(leases=[{"name": "rabbit", "port": 6369, "held": True, "expires_in_ms": None},
                    {"name": "emqx", "port": 6370, "held": False, "front": False, "expires_in_ms": 51230},
                    {"name": "emqx-2001", "port": 6371, "held": False, "front": True, "expires_in_ms": None}])
# A call of every command that asks the daemon, and what the daemon answers to it.
DAEMON_CALLS = {"status": (["status"], STATUS), "names": (["names"], NAMES), "lease": (["lease", "rabbit@s1"], LEASE),
                "release": (["lease", "rabbit@s1", "--release"], ok()), "leases": (["leases"], LEASES),
                "reload": (["reload"], ok(applied=["log.level"], restart=["epmd.port"])), "stop": (["stop"], ok())}


# --- the daemon is asked, and its answer shown ---

@pytest.mark.parametrize("asked", DAEMON_CALLS)
def test_json_is_the_reply_as_the_daemon_gave_it(control, asked):
    arguments, reply = DAEMON_CALLS[asked]
    fake = control({asked: reply}, closing=["stop"])
    call = ask(fake, *arguments, "--json")
    check(call, 0)
    assert call.stdout.count("\n") == 1 and json.loads(call.stdout) == reply
    assert fake.said(asked) == [{"node": "rabbit@s1"} if "rabbit@s1" in arguments else {}]


@pytest.mark.parametrize("asked", DAEMON_CALLS)
def test_global_options_may_stand_before_and_behind_the_command(control, asked):
    arguments, reply = DAEMON_CALLS[asked]
    fake = control({asked: reply}, closing=["stop"])
    check(portolan("--json", f"--socket={fake.path}", "--timeout=3s", *arguments), 0)
    check(portolan(*arguments, "--socket", fake.path, "--timeout", "3s", "--json"), 0)


def test_status(control):
    check(ask(control({"status": STATUS}), "status"), 0, """\
portoland    0.2.0, process 4711
node         portolan@127.0.0.1
up           3h 12m, since 2026-03-01T10:20:30.123Z
listens at   0.0.0.0:4370 (front)
             0.0.0.0:4369 (epmd)
names        3 registered, 1 leased
ports        policy range (enforced), range 6369-7369, base 4370
connections  3 registered, 0 waiting
counted      17 accepted, 17 requests, 2 timed out
""")


def test_names(control):
    check(ask(control({"names": NAMES}), "names"), 0, """\
NAME     PORT  TYPE      CREATION  SINCE
rabbit  25672  normal  1772360430  17s
emqx     4370  hidden           9  1d 2h
""")


def test_columns_line_up_whatever_the_script(control):
    names = [{"name": name, "port": 1} for name in ("日本", "ß", "e\u0301")]
    call = ask(control({"names": ok(names=names)}), "names")
    assert [line.split("1")[0] for line in call.stdout.splitlines()[1:]] == \
        ["日本     ", "ß        ", "e\u0301        "]


def test_no_names_are_told_beside_the_output(control):
    check(ask(control({"names": ok(names=[])}), "names"), 0, "", "no nodes registered at the daemon of this host")


def test_a_hostile_name_cannot_move_the_terminal(control):
    fake = control({"names": ok(names=[{"name": "\x1b[2J\nx", "port": 1}])})
    assert "\\u001b[2J\\u000ax" in ask(fake, "names").stdout


def test_fifteen_thousand_names_are_listed(control):
    names = [{"name": f"node{i}", "port": i, "type": "normal", "creation": i, "since_s": i} for i in range(15000)]
    call = ask(control({"names": ok(names=names)}), "names")
    check(call, 0)
    assert len(call.stdout.splitlines()) == 15001


def test_a_reply_may_lack_what_it_should_have(control):
    """An older or newer daemon: nothing is worth a crash."""
    fake = control({asked: ok() for asked in DAEMON_CALLS}, closing=["stop"])
    for arguments, _ in DAEMON_CALLS.values():
        assert ask(fake, *arguments).returncode == 0
    check(ask(fake, "exec", "a@h", "--", "true"), 1, "", "the daemon returned no port for a@h")


@pytest.mark.parametrize("reply, line", [
    (LEASE, "rabbit@s1 6369  (leased for 1m)\n"),
    ({**LEASE, "expires_in_ms": 51230}, "rabbit@s1 6369  (leased for 52s)\n"),
    ({**LEASE, "held": True, "expires_in_ms": None}, "rabbit@s1 6369  (registered)\n")])
def test_lease(control, reply, line):
    check(ask(control({"lease": reply}), "lease", "rabbit@s1"), 0, line)


def test_release(control):
    check(ask(control({"release": ok()}), "lease", "--release", "rabbit@s1"), 0, "rabbit@s1 released\n")


def test_leases(control):
    check(ask(control({"leases": LEASES}), "leases"), 0, """\
PORT  NAME       STATE
6369  rabbit     registered
6370  emqx       leased for 52s
6371  emqx-2001  front port
""")
    check(ask(control({"leases": ok(leases=[])}), "leases"), 0, "", "no leases")


def test_a_full_range_says_who_has_what(control):
    full = failure("pool_full", "no port is free in 6369-6370", holders=LEASES["leases"])
    fake = control({"lease": full})
    call = ask(fake, "lease", "c@h")
    check(call, 1, "", "cannot lease a port for c@h: no port is free in 6369-6370\n")
    assert call.stderr.splitlines()[1:] == [
        "PORT  HELD BY", "6369  rabbit", "6370  emqx", "6371  front port of emqx-2001"]
    assert json.loads(ask(fake, "lease", "c@h", "--json").stdout) == full


def test_reload(control):
    fake = control({"reload": ok(applied=["log.level", "epmd.remote_names"], restart=["epmd.port"])})
    check(ask(fake, "reload"), 0, "applied: log.level\napplied: epmd.remote_names\nneeds a restart: epmd.port\n")
    check(ask(control({"reload": ok(applied=[], restart=[])}), "reload"), 0, "no changes\n")


def test_stop_waits_until_the_daemon_has_gone(control):
    check(ask(control({"stop": ok()}, closing=["stop"]), "stop"), 0, "stopped\n")
    check(ask(control({"stop": ok()}), "stop", "--timeout", "200ms"), 1, "", "it is still stopping")


# --- failures ---

@pytest.mark.parametrize("code, exit_code", [
    ("denied", 5), ("not_found", 4), ("pool_full", 1), ("port_taken", 1), ("no_port", 1), ("failed", 1),
    ("bad_request", 1), ("unknown_command", 1), ("a code of next year", 1)])
def test_an_error_of_the_daemon_becomes_an_exit_code(control, code, exit_code):
    reply = failure(code, "because of \x1b")
    fake = control({"release": reply})
    check(ask(fake, "lease", "a@h", "--release"), exit_code, "",
          "cannot release the lease of a@h: because of \\u001b\n")
    call = ask(fake, "lease", "a@h", "--release", "--json")
    assert call.returncode == exit_code and json.loads(call.stdout) == reply


@pytest.mark.parametrize("arguments", [*[call for call, _ in DAEMON_CALLS.values()], ["watch"],
                                       ["exec", "a@h", "--", "true"]], ids=" ".join)
def test_without_a_daemon_it_exits_3_and_says_how_to_start_one(tmp_path, free_of_epmd, arguments):
    call = portolan(*arguments, env={"PORTOLAN_CONTROL__SOCKET": str(tmp_path / "none"), **free_of_epmd})
    check(call, 3, "", f"no daemon listens at {tmp_path}/none")
    if arguments == ["names"]:
        assert "cannot list the names of 'localhost'" in call.stderr
    else:
        assert "portolan: cannot " in call.stderr
        assert ": No such file or directory; start one with 'portoland'" in call.stderr


def test_a_socket_left_behind_is_no_daemon(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    call = portolan("status", "--json", "--socket", tmp_path / "left")
    check(call, 3, None, "Connection refused")
    assert json.loads(call.stdout)["error"]["code"] == "no_daemon"


def test_an_impossible_path_is_an_error(tmp_path):
    check(portolan("status", "--socket", "/" + "x" * 200), 1, "", "the path of a socket must have 1 to 107 bytes, not 201")
    check(portolan("status", "--socket", tmp_path), 3, "", "no daemon listens")


def test_the_command_line_beats_the_environment(control):
    fake = control({"status": STATUS})
    check(ask(fake, "status", env={"PORTOLAN_CONTROL__SOCKET": "/nonexistent"}), 0)
    check(portolan("status", env={"PORTOLAN_CONTROL__SOCKET": fake.path}), 0)


def test_a_silent_daemon_is_not_waited_for_longer_than_said(control):
    fake = control({"status": None, "watch": None})
    for command in ("status", "watch"):
        call = ask(fake, command, "--timeout", "200ms")
        check(call, 1, "", f"no reply from the daemon at {fake.path} within 200ms")


@pytest.mark.parametrize("reply, complaint", [
    (b"HTTP/1.1 400 Bad Request\r\n", "is it a Portolan daemon?"), (b"[]\n", "is it a Portolan daemon?"),
    (b"\xff\xfe\n", "is it a Portolan daemon?"), (b"", "closed the connection"),
    (b'{"v":1,"ok":tr', "closed the connection"), (b'{"v":1}\n', "the daemon gave no reason"),
    (b'{"v":1,"ok":false,"error":"no"}\n', "the daemon gave no reason")])
def test_what_is_no_reply_is_an_error(control, reply, complaint):
    check(ask(control({"status": reply}, closing=["status"]), "status"), 1, "", complaint)


def test_a_reply_may_come_in_pieces(control, tmp_path):
    path, text = tmp_path / "slow", json.dumps(LEASES).encode() + b"\n"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve():
        caller, _ = listener.accept()
        caller.recv(1000)
        for i in range(len(text)):
            caller.sendall(text[i:i + 1])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    check(portolan("leases", "--socket", path), 0)
    thread.join()
    listener.close()


def test_output_that_cannot_be_written_is_a_failure(control):
    fake = control({"status": STATUS})
    with open("/dev/full", "w") as full:
        call = subprocess.run(words("--socket", fake.path, "status"), env=clean_environment(), stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=scaled(20))
    assert call.returncode == 1 and "cannot write to standard output: No space left on device" in call.stderr


def test_output_that_is_closed_does_not_go_to_the_daemon(tmp_path):
    """A socket could take the place of standard output."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(scaled(10))
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with subprocess.Popen(["bash", "-c", 'exec "$@" >&-', "-", *words("--socket", tmp_path / "socket", "watch")],
                              env=clean_environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as watch:
            conn = listener.accept()[0]
            with conn:
                conn.settimeout(scaled(10))
                assert b"watch" in conn.recv(4096)
                conn.sendall(b'{"v":1,"ok":true}\n{"v":1,"event":"registered","at":"2026-03-01T10:20:30.123Z","name":"a","port":1}\n')
                conn.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionError):
                    assert conn.recv(4096) == b""
            assert watch.wait(timeout=scaled(10)) != 0
            watch.stderr.read()


# --- colour ---

def on_a_terminal(fake, *arguments, **env):
    """What a call writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words("--socket", fake.path, *arguments), env=clean_environment(**{"TERM": "xterm", **env}),
                               stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # how a terminal ends
        pass
    os.close(ours)
    process.stderr.close()
    assert process.wait(timeout=scaled(20)) == 0
    return seen.decode()


def test_colour_is_for_terminals_that_want_it(control):
    fake = control({"names": NAMES})
    assert "\x1b[1mNAME\x1b[0m" in on_a_terminal(fake, "names")
    assert "\x1b" not in on_a_terminal(fake, "names", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(fake, "names", TERM="dumb")
    assert "\x1b" not in on_a_terminal(fake, "names", "--json")
    assert "\x1b" not in ask(fake, "names", env={"TERM": "xterm"}).stdout


# --- what users besides root meet ---

def test_a_user_finds_the_daemon_in_the_own_runtime_directory(control, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("runs a call as another user, which takes root")
    if not runs_as_nobody():
        pytest.skip("the build is in a directory that other users may not enter")
    open_to_all(tmp_path)
    fake = FakeControl(tmp_path / "portolan.sock", {"status": STATUS})
    with fake:
        os.chmod(fake.path, 0o666)
        env = {"XDG_RUNTIME_DIR": str(tmp_path)}
        check(portolan("status", env=env, user="nobody"), 0)
        check(portolan("status", env=env), 3, "", "/run/portolan/portolan.sock")
        os.chmod(fake.path, 0o600)
        check(portolan("status", env=env, user="nobody"), 5, "", "Permission denied")
