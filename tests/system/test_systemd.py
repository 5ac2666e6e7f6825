"""`-systemd`: the service manager brings the sockets, and is told when the daemon is ready."""

import contextlib
import os
import shlex
import socket
import subprocess

import pytest

import wire
from daemon import BUILD, command, environment, free_port, is_free, our_epmd, run, stock_epmd
from deadlines import scaled, wait_for


@contextlib.contextmanager
def activated(program, directory, listening, *flags, notify=None, **variables):
    """The program as systemd starts it: `listening` as descriptors from 3 on, LISTEN_PID its own
    process id.
    """
    env = environment(directory, LISTEN_FDS=len(listening), **variables)
    if notify:
        env["NOTIFY_SOCKET"] = notify
    own = [os.dup(conn.fileno()) for conn in listening]
    moved = [max(own) + 10 + index for index in range(len(own))]

    def as_descriptors_from_3():
        for fd, high in zip(own, moved):
            os.dup2(fd, high)
        for index, high in enumerate(moved):
            os.dup2(high, 3 + index)

    words = shlex.join([*command(program), "-systemd", *flags])
    with open(directory / "log.systemd", "ab") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"LISTEN_PID=$$ exec {words}"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=range(3, 3 + len(own)),
            preexec_fn=as_descriptors_from_3,
        )
    for fd in own:
        os.close(fd)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=scaled(10))


def listening_socket(family=socket.AF_INET, address="127.0.0.1", port=0):
    conn = socket.socket(family, socket.SOCK_STREAM)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        conn.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    conn.bind((address, port))
    conn.listen()
    return conn


@pytest.fixture(params=[stock_epmd, our_epmd], ids=["stock", "ours"])
def program(request):
    return request.param()


def test_it_serves_on_the_socket_it_was_handed(program, tmp_path):
    with listening_socket() as listening:
        port = listening.getsockname()[1]
        with activated(program, tmp_path, [listening], "-port", str(port)):
            assert wire.list_names(port, seconds=10) == (port, [])
            node, answer = wire.register(port, "a")
            with node:
                assert answer.result == 0
                assert wire.look_up(port, "a").result == 0


def test_it_serves_on_all_sockets_it_was_handed(program, tmp_path):
    with listening_socket() as first, listening_socket() as second, listening_socket(
        socket.AF_INET6, "::1"
    ) as third:
        with activated(program, tmp_path, [first, second, third]):
            node, _ = wire.register(first.getsockname()[1], "a", seconds=10)
            with node:
                assert wire.look_up(second.getsockname()[1], "a").result == 0
                assert wire.look_up(third.getsockname()[1], "a", host="::1").result == 0


def test_a_connection_made_before_the_start_is_served(program, tmp_path):
    """The point of the thing: the socket is there before the daemon."""
    with listening_socket() as listening:
        with wire.connect(listening.getsockname()[1], seconds=10) as early:
            early.sendall(wire.port_please("nobody"))
            with activated(program, tmp_path, [listening]):
                assert wire.read_to_end(early) == b"w\1"


@pytest.mark.parametrize("abstract", [False, True], ids=["a path", "an abstract name"])
def test_ready_is_told_once_it_can_be_asked(program, tmp_path, abstract):
    name = f"@portolan-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM
    ) as notify, listening_socket() as listening:
        notify.bind("\0" + name[1:] if abstract else name)
        notify.settimeout(scaled(10))
        with activated(program, tmp_path, [listening], notify=name):
            assert "READY=1" in notify.recv(4096).decode().splitlines()
            assert wire.look_up(listening.getsockname()[1], "nobody").result == 1


def test_a_restart_takes_the_same_socket_and_no_connection_is_refused(program, tmp_path):
    with listening_socket() as listening:
        port = listening.getsockname()[1]
        with activated(program, tmp_path, [listening]):
            assert wire.look_up(port, "nobody", seconds=10).result == 1
        with wire.connect(port, seconds=10) as waiting:
            waiting.sendall(wire.port_please("nobody"))
            with activated(program, tmp_path, [listening]):
                assert wire.read_to_end(waiting) == b"w\1"


def test_without_sockets_it_says_so_and_exits_1(program, tmp_path):
    done = run(program, "-systemd", directory=tmp_path)
    assert done.returncode == 1
    assert b"systemd" in done.stderr


def test_sockets_meant_for_another_process_are_left_alone(program, tmp_path):
    done = run(program, "-systemd", directory=tmp_path, LISTEN_FDS=1, LISTEN_PID=1)
    assert done.returncode == 1


def test_sockets_are_taken_only_when_asked(tmp_path):
    """Without -systemd the flag's port counts, whatever the environment says."""
    with listening_socket() as listening:
        done = run(
            our_epmd(),
            "-port",
            listening.getsockname()[1],
            directory=tmp_path,
            LISTEN_FDS=1,
            LISTEN_PID=1,
        )
        assert (done.returncode, done.stderr) == (0, b"")  # taken: no word


def portoland_activated(directory, listening, port, *flags):
    keys = ["--set", f"node.dist_base_port={port}", "--set", f"control.socket={directory}/control", *flags]
    return activated(str(BUILD / "bin" / "portoland"), directory, listening, *keys)


def test_portoland_takes_its_front_port_from_the_socket_unit(tmp_path):
    with listening_socket() as listening:
        port = listening.getsockname()[1]
        with portoland_activated(tmp_path, [listening], port):
            assert wire.look_up(port, "nobody", seconds=10).result == 1


@pytest.mark.parametrize("brought", [True, False], ids=["the front port is brought", "another port is brought"])
def test_portoland_opens_what_the_socket_unit_does_not_bring(tmp_path, brought):
    """The unit holds 4370; node.name may ask for another port, and epmd's may be wanted too."""
    front, epmd = free_port(), free_port()
    with listening_socket(port=front if brought else 0) as listening:
        flags = ["--set", "epmd.enable=on", "--set", f"epmd.port={epmd}"]
        with portoland_activated(tmp_path, [listening], front, *flags):
            assert wire.look_up(listening.getsockname()[1], "nobody", seconds=10).result == 1
            wait_for(lambda: not is_free(front) and not is_free(epmd), 10, "the ports of the configuration")
            assert wire.look_up(front, "nobody").result == 1
            assert wire.look_up(epmd, "nobody").result == 1


def test_the_socket_unit_keeps_the_port_from_any_epmd_while_the_daemon_is_away(tmp_path):
    """Nodes start an epmd when nobody answers on their port; then the daemon could not come
    back."""
    with listening_socket() as listening:
        port = listening.getsockname()[1]
        with portoland_activated(tmp_path, [listening], port):
            assert wire.look_up(port, "nobody", seconds=10).result == 1
        stock = run(stock_epmd(), "-port", port, directory=tmp_path)
        assert (stock.returncode, stock.stdout) == (0, b"")  # taken: it went away
        with portoland_activated(tmp_path, [listening], port):
            assert wire.look_up(port, "nobody", seconds=10).result == 1


@pytest.mark.parametrize("is_journal", [True, False])
def test_the_journal_is_told_the_level_of_each_line(tmp_path, is_journal):
    """Only the journal: JOURNAL_STREAM is inherited by what writes elsewhere."""
    log = tmp_path / "log.systemd"
    log.touch()
    stream = f"{log.stat().st_dev}:{log.stat().st_ino if is_journal else 1}"
    with listening_socket() as conn:
        with activated(our_epmd(), tmp_path, [conn], "--set", "node.data_dir=/dev/null", JOURNAL_STREAM=stream):
            wait_for(lambda: " started " in log.read_text(), scaled(10), "the start")
    lines = [line for line in log.read_text().splitlines() if " state_not_kept " in line or " started " in line]
    begins = [line[:3] for line in lines]
    assert begins == ["<4>", "<6>"] if is_journal else not any(begin.startswith("<") for begin in begins), lines
