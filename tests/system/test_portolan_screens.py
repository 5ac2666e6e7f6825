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
