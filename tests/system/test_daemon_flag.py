"""`epmd -daemon`, as nodes start it when they boot: it returns, and the daemon is there."""

import contextlib
import fcntl
import os
import socket
import subprocess
from pathlib import Path

import pytest

import wire
from daemon import BUILD, end_holder, environment, free_port, holder_of, our_epmd, run, stock_epmd
from deadlines import scaled, wait_for
from members import PORTOLAND, Members

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


# --- what it inherits ---


def words_of(name):
    """The words that start the daemon as that, but for its port."""
    return [stock_epmd() if name == "stock" else str(BUILD / "bin" / name)]


def port_words(name, port):
    return ["--set", f"node.dist_base_port={port}"] if name == "portoland" else ["-port", str(port)]


@contextlib.contextmanager
def detached(name, directory, *flags, inherited=()):
    port = free_port()
    try:
        subprocess.run(
            [*words_of(name), *port_words(name, port), "-daemon", *flags],
            env=environment(directory, PORTOLAN_CONTROL__SOCKET=directory / "control"),
            stdin=subprocess.DEVNULL, pass_fds=inherited, check=True, timeout=scaled(20))
        wait_for(lambda: holder_of(port), 10, "the daemon")
        yield port
    finally:
        end_holder(port)


@pytest.mark.parametrize("name", ["stock", "epmd", "portoland"])
def test_a_lock_and_a_pipe_of_whoever_started_it_are_let_go(name, tmp_path):
    if name == "stock" and stock_epmd() is None:
        pytest.skip("no stock epmd on this machine: install erlang-base")
    reader, writer = os.pipe()
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    high = fcntl.fcntl(writer, fcntl.F_DUPFD, 500)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with detached(name, tmp_path, inherited=(writer, lock, high)):
        for fd in (writer, lock, high):
            os.close(fd)
        other = os.open(tmp_path / "lock", os.O_RDWR)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.set_blocking(reader, False)
            assert os.read(reader, 1) == b"", "the pipe has come to its end"
        finally:
            os.close(other)
            os.close(reader)


@pytest.mark.parametrize("name", ["epmd", "portoland"])
def test_the_sockets_of_systemd_are_kept(name, tmp_path):
    """LISTEN_PID is that of the process that execs: a shell knows it."""
    port = free_port()
    inherited = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    script = 'eval "exec 3<&$0"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" -daemon -systemd'
    more = [] if name == "epmd" else ["--set", "front.enable=off"]
    try:
        with socket.create_server(("127.0.0.1", port)) as listener:
            done = subprocess.run(
                ["bash", "-c", script, str(listener.fileno()), *words_of(name), "-port", str(port), *more],
                env=environment(tmp_path, PORTOLAN_CONTROL__SOCKET=tmp_path / "control"),
                stdin=subprocess.DEVNULL, pass_fds=(listener.fileno(), inherited),
                capture_output=True, timeout=scaled(20))
        assert (done.returncode, done.stderr) == (0, b"")
        assert wire.look_up(port, "nobody").result == 1
        links = [os.readlink(link) for link in Path(f"/proc/{holder_of(port)}/fd").iterdir()]
        assert str(tmp_path / "lock") not in links
    finally:
        os.close(inherited)
        end_holder(port)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("name", ["stock", "epmd", "portoland"])
def test_standard_streams_that_are_closed_are_not_taken_by_sockets(name, closed, tmp_path):
    if name == "stock" and stock_epmd() is None:
        pytest.skip("no stock epmd on this machine: install erlang-base")
    port = free_port()
    try:
        done = subprocess.run(
            ["bash", "-c", f'exec "$@" -daemon {closed}', "-", *words_of(name), *port_words(name, port)],
            env=environment(tmp_path, PORTOLAN_CONTROL__SOCKET=tmp_path / "control"),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=scaled(20))
        assert (done.returncode, done.stderr) == (0, b"")
        pid = wait_for(lambda: holder_of(port), 10, "the daemon")
        assert wire.look_up(port, "nobody").result == 1
        assert name == "stock" or surroundings(pid)["streams"] == ["/dev/null"] * 3
    finally:
        end_holder(port)


# --- what goes wrong after it has forked ---


def test_a_failure_after_the_fork_is_told_and_has_an_exit_code(tmp_path):
    """The name of a member cannot change, which the daemon sees in its state when it is built."""
    with Members(tmp_path) as members:
        one, two = members.on_loopback(2)
        one.join(two)
        one.stop()
        one.name = "other" + one.name
        conf = one.directory / "conf"
        conf.write_text(one.configuration())
        done = subprocess.run(
            [PORTOLAND, "-c", str(conf), "-daemon"], env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(30))
        assert done.returncode == 1
        assert "cannot start as otherp1@127.0.0.1" in done.stderr
        assert "portolan cluster leave" in done.stderr
        assert done.stdout == ""
        assert holder_of(one.port) is None
