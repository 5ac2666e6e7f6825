"""`epmd -daemon`, as nodes start it when they boot: it returns, and the daemon is there."""

import contextlib
import os
from pathlib import Path

import pytest

import wire
from daemon import end_holder, free_port, holder_of, our_epmd, run, stock_epmd
from deadlines import wait_for

TIMES = 20


@contextlib.contextmanager
def forked(program, directory, *flags, **env):
    """A daemon that forked itself away: its port."""
    port = free_port()
    try:
        done = run(program, "-port", port, "-daemon", *flags, directory=directory, **env)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        yield port
    finally:
        end_holder(port)


def test_a_connect_right_after_it_returns_succeeds(tmp_path):
    for _ in range(TIMES):
        with forked(our_epmd(), tmp_path) as port:
            assert wire.look_up(port, "nobody").result == 1


def surroundings(pid):
    """What tells a daemon from a program that somebody started."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    session, terminal = int(stat[3]), int(stat[4])
    return {
        "streams": [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)],
        "own session": session != os.getsid(0),
        "terminal": terminal,
        "folder": os.readlink(f"/proc/{pid}/cwd"),
    }


def test_the_daemon_is_detached_as_stock_is(tmp_path):
    found = {}
    for program in (stock_epmd(), our_epmd()):
        with forked(program, tmp_path) as port:
            pid = wait_for(lambda: holder_of(port), 5, "the daemon")
            found[program] = surroundings(pid)
    assert found[our_epmd()] == found[stock_epmd()]
    assert found[our_epmd()]["streams"] == ["/dev/null"] * 3
    assert found[our_epmd()]["own session"]


def test_it_returns_although_a_pipe_of_its_caller_stays_open(tmp_path):
    """A node reads its start script through a pipe: a daemon that held it would hang the script."""
    with forked(our_epmd(), tmp_path) as port:  # `run` reads stdout and stderr to their ends
        pid = wait_for(lambda: holder_of(port), 5, "the daemon")
        pipes = [
            target
            for fd in os.listdir(f"/proc/{pid}/fd")
            if (target := os.readlink(f"/proc/{pid}/fd/{fd}")).startswith("pipe:")
        ]
        assert len(pipes) in (0, 2), "only a pipe of its own, both ends"


def test_a_second_one_on_a_taken_port_returns_without_a_word(tmp_path):
    with forked(our_epmd(), tmp_path) as port:
        first = wait_for(lambda: holder_of(port), 5, "the daemon")
        done = run(our_epmd(), "-port", port, "-daemon", directory=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert holder_of(port) == first


@pytest.mark.parametrize(
    "flags",
    [("-relaxed_command_check",), ("-address", "127.0.0.1"), ("-packet_timeout", "5")],
    ids=str,
)
def test_flags_hold_for_the_daemon_too(tmp_path, flags):
    with forked(our_epmd(), tmp_path, *flags) as port:
        node, _ = wire.register(port, "a")
        with node:
            expected = b"STOPPED" if flags == ("-relaxed_command_check",) else b""
            assert wire.ask(port, wire.stop("a")) == expected


def test_kill_ends_it(tmp_path):
    with forked(our_epmd(), tmp_path) as port:
        assert run(our_epmd(), "-port", port, "-kill", directory=tmp_path).stdout == b"Killed\n"
        wait_for(lambda: holder_of(port) is None, 5, "the end of the daemon")
