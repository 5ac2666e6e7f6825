"""Nothing that a peer does ends the daemon, harms a registered node or delays another client."""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

import wire
from deadlines import scaled, wait_for
from prober import Prober

IDLE_CONNECTIONS = 5000
DESCRIPTORS = 1024
NODES = 100
LISTED_NAMES = 3000
ANSWER_SECONDS = 1


@pytest.fixture(autouse=True)
def many_descriptors():
    """For the test's own end of thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < IDLE_CONNECTIONS + 500:
        pytest.skip(f"this test needs {IDLE_CONNECTIONS + 500} descriptors, and may have {hard}")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def registered_nodes(held, port, count, name="node{}"):
    return [
        held.enter_context(wire.register(port, name.format(number))[0]) for number in range(count)
    ]


def still_open(conn):
    """Whether the daemon has neither closed the connection nor said more on it."""
    conn.setblocking(False)
    try:
        conn.recv(1, socket.MSG_PEEK)
        return False
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_5000_idle_connections_cost_no_node_its_name(epmd):
    server = epmd(descriptors=DESCRIPTORS)
    with contextlib.ExitStack() as held:
        nodes = registered_nodes(held, server.port, NODES)
        with Prober(server.port, "node0") as prober:
            for _ in range(IDLE_CONNECTIONS):
                held.enter_context(wire.connect(server.port, seconds=30))
            probes = prober.count
            wait_for(lambda: prober.failure or prober.count >= probes + 20, 30, "20 more look-ups")
        assert prober.longest < scaled(ANSWER_SECONDS)
        assert not server.exited
        assert all(still_open(node) for node in nodes)
        assert len(wire.list_names(server.port)[1]) == NODES


def test_half_sent_requests_that_fill_all_descriptors_are_shed(epmd):
    """The same with a byte sent: no kernel feature hides them from the daemon."""
    server = epmd(descriptors=DESCRIPTORS)
    with contextlib.ExitStack() as held:
        nodes = registered_nodes(held, server.port, NODES)
        with Prober(server.port, "node0") as prober:
            for _ in range(2 * DESCRIPTORS):
                with contextlib.suppress(ConnectionError):
                    held.enter_context(wire.connect(server.port, seconds=30)).sendall(b"\0")
        assert prober.longest < scaled(ANSWER_SECONDS)
        assert all(still_open(node) for node in nodes)
        late, answer = wire.register(server.port, "late")
        held.enter_context(late)
        assert answer.result == 0


def test_nodes_that_fill_all_descriptors_keep_their_names_and_are_found(epmd):
    server = epmd(descriptors=64)
    with contextlib.ExitStack() as held:
        nodes = []
        with contextlib.suppress(ConnectionError, OSError):
            for number in range(100):
                nodes.append(
                    held.enter_context(wire.register(server.port, f"node{number}", seconds=1)[0])
                )
        assert len(nodes) >= 40
        assert all(still_open(node) for node in nodes)
        assert wire.look_up(server.port, "node0").result == 0
        nodes.pop().close()
        newcomer = wait_for(
            lambda: registered_or_none(server.port, "newcomer"), 10, "room for a newcomer"
        )
        held.enter_context(newcomer)
        assert not server.exited


def registered_or_none(port, name):
    try:
        conn, answer = wire.register(port, name, seconds=1)
    except OSError:
        return None
    if answer.result == 0:
        return conn
    conn.close()
    return None


def test_a_slow_reader_of_a_long_listing_delays_nobody_and_gets_it_whole(epmd):
    server = epmd()
    with contextlib.ExitStack() as held:
        registered_nodes(held, server.port, LISTED_NAMES, name="node{:04}" + "-" * 200)
        slow = held.enter_context(wire.connect(server.port, receive_buffer=4096, seconds=30))
        slow.sendall(wire.names())
        reply = wire.read_exactly(slow, 100)
        with Prober(server.port, "node0000" + "-" * 200) as prober:
            for _ in range(20):
                reply += wire.read_exactly(slow, 1000)
            quick = wire.ask(server.port, wire.names(), seconds=30)
            reply += wire.read_to_end(slow)
        assert prober.longest < scaled(ANSWER_SECONDS)
        assert reply == quick
        lines = reply[4:].decode().splitlines()
        assert lines == [
            f"name node{number:04}{'-' * 200} at port 40000"
            for number in reversed(range(LISTED_NAMES))
        ]


def test_a_listing_that_is_never_read_ends_with_the_packet_timeout(epmd):
    server = epmd("-packet_timeout", "1")
    with contextlib.ExitStack() as held:
        registered_nodes(held, server.port, LISTED_NAMES, name="node{:04}" + "-" * 200)
        before = descriptors_of(server.pid)
        for _ in range(20):
            stuck = held.enter_context(wire.connect(server.port, receive_buffer=4096))
            stuck.sendall(wire.names())
            assert len(wire.read_exactly(stuck, 4)) == 4
        wait_for(
            lambda: descriptors_of(server.pid) <= before,
            15,
            "the daemon to let go of readers that never read",
        )
        assert not server.exited


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("said", [b"", b"\0", b"\0\5", b"\0\5za"], ids=repr)
def test_a_request_that_is_never_finished_is_timed_out(epmd, said):
    server = epmd("-packet_timeout", "1")
    with wire.connect(server.port, seconds=20) as conn:
        begun = time.monotonic()
        conn.sendall(said)
        assert wire.read_to_end(conn) == b""
        assert 1.8 <= time.monotonic() - begun < 1.8 + scaled(8)


def test_a_registered_node_is_never_timed_out(epmd):
    server = epmd("-packet_timeout", "1")
    node, _ = wire.register(server.port, "a")
    with node, wire.connect(server.port, seconds=10) as idle:
        assert wire.read_to_end(idle) == b""  # the timeout came, for another connection
        assert still_open(node)
        assert wire.look_up(server.port, "a").result == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_at_once_and_well(epmd, number):
    server = epmd()
    node, _ = wire.register(server.port, "a")
    with node:
        server.process.send_signal(number)
        assert server.exit_code(seconds=2) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGPIPE], ids=["SIGHUP", "SIGPIPE"])
def test_a_lost_terminal_or_pipe_costs_no_node_its_name(epmd, number):
    server = epmd()
    node, _ = wire.register(server.port, "a")
    with node:
        server.process.send_signal(number)
        assert wire.look_up(server.port, "a").result == 0
        assert still_open(node)


def test_an_idle_daemon_makes_no_system_call(epmd, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("no strace on this machine")
    server = epmd()
    node, _ = wire.register(server.port, "a")
    with node:
        trace = tmp_path / "trace"
        strace = subprocess.Popen(
            ["strace", "-f", "-ttt", "-o", str(trace), "-p", str(server.pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            first = strace.stderr.readline()
            if "attached" not in first:
                pytest.skip(f"strace cannot attach: {first.strip()}")
            begun = time.time() + 1  # attaching itself interrupts the daemon's wait
            with pytest.raises(subprocess.TimeoutExpired):
                strace.wait(timeout=10)
        finally:
            strace.terminate()
            strace.communicate()
    calls = [line for line in trace.read_text().splitlines() if "<detached" not in line]
    stamped = [
        line
        for line in calls
        if (found := re.match(r"\d+ +(\d+\.\d+)", line)) and float(found[1]) > begun
    ]
    assert stamped == []
