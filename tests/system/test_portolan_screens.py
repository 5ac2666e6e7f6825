"""What `portolan` prints, whole: the tables, and what a terminal shows while a join takes long."""

import contextlib
import os
import pty
import subprocess
import time

import pytest

from deadlines import scaled
from fake_control import failure, ok
from portolan_cli import ask, check, clean_environment, control, words  # noqa: F401

STREAM = {"node": "rabbit", "peer": "rabbit@s2", "address": "192.0.2.2:40211", "front_port": 4370, "tls": False,
          "state": "open", "since_s": 17, "bytes_in": 1200, "bytes_out": 34}
HIDDEN = {"node": "a", "peer": None, "address": "[2001:db8::1]:5", "front_port": 4471, "tls": True,
          "state": "open", "since_s": 90061, "bytes_in": 0, "bytes_out": 123456789}


# --- streams ---


def test_streams_are_a_table(control):  # noqa: F811
    fake = control({"streams": ok(streams=[STREAM, HIDDEN])})
    check(ask(fake, "streams"), 0, (
        "NODE    PEER       ADDRESS          PORT  SINCE    IN        OUT\n"
        "rabbit  rabbit@s2  192.0.2.2:40211  4370    17s  1200         34\n"
        "a       -          [2001:db8::1]:5  4471  1d 1h     0  123456789\n"
    ))
    assert fake.said("streams") == [{}]


def test_no_streams_are_said_to_be_none(control):  # noqa: F811
    check(ask(control({"streams": ok(streams=[])}), "streams"), 0, "", "portolan: no connections through the front ports\n")


def test_streams_as_json_are_the_reply(control):  # noqa: F811
    call = ask(control({"streams": ok(streams=[STREAM])}), "streams", "--json")
    check(call, 0)
    assert '"address":"192.0.2.2:40211"' in call.stdout.replace(" ", "").replace("\n", "")


@pytest.mark.parametrize("code, exit_code", [("failed", 1), ("denied", 5), ("not_found", 4)])
def test_streams_that_cannot_be_had_have_the_exit_code_of_the_reason(control, code, exit_code):  # noqa: F811
    fake = control({"streams": failure(code, "it went wrong")})
    check(ask(fake, "streams"), exit_code, "", "portolan: cannot list the streams: it went wrong\n")


def test_streams_without_a_daemon(tmp_path):
    call = subprocess.run(words("--socket", tmp_path / "none", "streams"), env=clean_environment(), text=True,
                          capture_output=True, timeout=scaled(10))
    assert call.returncode == 3 and call.stdout == "", call


# --- a join that takes long ---


def at_a_terminal(*arguments):
    """The exit code of a call, and what its standard error wrote to a terminal."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(words(*arguments), env=clean_environment(TERM="xterm", NO_COLOR="1"),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(master, 4096):
            shown += piece
    os.close(master)
    process.stdout.read()
    return process.wait(timeout=scaled(10)), shown.decode().replace("\r\n", "\n")


def stalling(seconds):
    """A join that says how far it is at once, and after so long again."""
    yield {"v": 1, "progress": {"members": 1, "names": 10}}
    time.sleep(seconds)
    yield {"v": 1, "progress": {"members": 2, "names": 4000}}
    yield ok(cluster="emqxcl", members=[], taken_over={"members": 2, "names": 4000})


CAME = "portolan: took over 2 members and 4000 names\n"


def test_a_join_that_stalls_shows_how_far_it_is_and_clears_that(control):  # noqa: F811
    fake = control({"cluster_join": lambda request: stalling(3)})
    code, shown = at_a_terminal("--socket", fake.path, "cluster", "join", "emqx@s1")
    assert code == 0
    assert shown == f"\rjoining: 2 members, 4000 names\r\x1b[K{CAME}"


def test_a_quick_join_shows_no_progress(control):  # noqa: F811
    fake = control({"cluster_join": lambda request: stalling(0)})
    assert at_a_terminal("--socket", fake.path, "cluster", "join", "emqx@s1") == (0, CAME)


def test_progress_is_for_a_terminal(control):  # noqa: F811
    fake = control({"cluster_join": lambda request: stalling(1.5)})
    call = ask(fake, "cluster", "join", "emqx@s1")
    assert (call.returncode, call.stderr) == (0, CAME)


# --- what is said beside a status ---

STATUS = {"cluster": "emqxcl", "self": "a@s1.x", "discovery": "manual", "resting": False, "forced_out": False,
          "members": [{"name": "a@s1.x", "state": "alive", "self": True, "path_broken": False},
                      {"name": "b@s2.x", "state": "alive", "self": False, "path_broken": False}]}
LINE = "Cluster status: [{running_nodes,['a@s1.x','b@s2.x']}]\n"
RESTS = ("portolan: discovery is paused since the last leave; 'portolan cluster join' or a restart resumes it\n")
FORCED_OUT = ("portolan: this daemon was forced out of its cluster; 'portolan cluster join' with a member's name "
              "brings it back\n")
BROKEN = ("portolan: partial partition: this daemon cannot reach b@s2.x, but other members can; check the firewalls "
          "between these two hosts\n")


@pytest.mark.parametrize("changes, complaint", [
    ({}, None),
    ({"resting": True}, None),
    ({"discovery": "static"}, None),
    ({"resting": True, "discovery": "static"}, RESTS),
    ({"forced_out": True, "resting": True, "discovery": "static"}, FORCED_OUT),
    ({"members": [STATUS["members"][0], {**STATUS["members"][1], "path_broken": True}]}, BROKEN),
])
def test_what_the_line_of_a_status_does_not_show_is_said(control, changes, complaint):  # noqa: F811
    call = ask(control({"cluster_status": ok(**{**STATUS, **changes})}), "cluster", "status")
    assert (call.returncode, call.stdout, call.stderr) == (0, LINE, complaint or "")


# --- a daemon that cannot be asked ---


def refused_by(path, *arguments):
    return subprocess.run(words("--socket", path, *arguments), env=clean_environment(), text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=scaled(10))


def test_nobody_listens_there(tmp_path):
    path = tmp_path / "none"
    call = refused_by(path, "leases")
    assert (call.returncode, call.stdout) == (3, "")
    assert call.stderr == (
        f"portolan: cannot list the leases: no daemon listens at {path}: No such file or directory; start one with "
        "'portoland', or specify its socket with --socket\n"
    )


def test_something_else_is_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    call = refused_by(path, "leases")
    assert (call.returncode, call.stdout) == (3, "")
    assert f"no daemon listens at {path}: Connection refused; start one" in call.stderr


def test_a_path_that_is_too_long_for_a_socket(tmp_path):
    call = refused_by("/" + "x" * 107, "names", "127.0.0.1")
    assert (call.returncode, call.stderr) == (2, "portolan: --socket takes a path of 1 to 107 bytes\n")


def test_a_reply_that_is_none(control):  # noqa: F811
    for reply in (b"nonsense\n", b"[]\n", b'{"v":1}\n'):
        call = ask(control({"leases": reply}), "leases")
        assert call.returncode == 1 and call.stderr.startswith("portolan: cannot list the leases: "), call


def test_no_command_is_told_where_they_are_listed():
    call = subprocess.run(words(), env=clean_environment(), text=True, capture_output=True, timeout=scaled(10))
    assert (call.returncode, call.stdout) == (2, "")
    assert call.stderr == (
        "portolan: no command given\nusage: portolan COMMAND ...; 'portolan help' lists the commands\n"
    )
