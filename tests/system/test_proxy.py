"""Distribution connections through a front port: what they cost, that their bytes arrive, and when
they end."""

import contextlib
import hashlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import proxied
import wire
from deadlines import scaled, wait_for
from portoland import portoland  # noqa: F401
from proxied import (  # noqa: F401
    ALIVE_ANSWER, ALIVE_STATUS, CHALLENGE, CHALLENGE_REPLY, Node, Transfer, all_ended, assert_grew_by_at_most, call,
    counted, descriptors, echo, ended, field, front_of, many_descriptors, resident, send_name, send_name_old, sockets_of,
    stream, streams,
)

WARM_UP, IDLE = 100, 1000
BYTES_A_STREAM = 2048
IDLE_SECONDS = 2

PIPES_WAITING = 16  # of all streams together

CHURN_A_SECOND = 500
CHURN_SECONDS = 20 if os.environ.get("PORTOLAN_LONG") else 3
CHURN_GROWTH = 128 << 10

STALLED_GROWTH = 2 << 20
ROUND_TRIP_SECONDS = 0.02


@pytest.fixture
def site(portoland):
    """A daemon and a node behind its front port."""
    daemon = portoland()
    with Node(daemon.port) as node:
        yield daemon, node


# --- what streams cost ---


def held_streams(held, daemon, node, count):
    """Streams that have begun a handshake and are silent now."""
    for number in range(count):
        caller, end = stream(node, daemon.port, send_name(f"caller{number}@h.example.com"))
        held.enter_context(caller)
        held.enter_context(end)
        echo(end, caller, CHALLENGE)


def is_asleep(daemon):
    return Path(f"/proc/{daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def test_a_thousand_idle_streams_cost_2_kib_each_and_no_wake_up(many_descriptors, site):
    daemon, node = site
    with contextlib.ExitStack() as held:
        held_streams(held, daemon, node, WARM_UP)
        opened, before = descriptors(daemon), resident(daemon)
        held_streams(held, daemon, node, IDLE)
        now = descriptors(daemon)
        assert_grew_by_at_most(daemon, before, IDLE * BYTES_A_STREAM, f"{IDLE} idle streams")
        more = [now[number] for number in now.keys() - opened.keys()]
        assert len(more) == 2 * IDLE and all(kind.startswith("socket:") for kind in more)
        assert front_of(daemon)["streams"] == WARM_UP + IDLE

        # until it has closed what we have just asked it on
        wait_for(lambda: len(descriptors(daemon)) == len(now) and is_asleep(daemon), 5)
        switches = field(daemon, "status", "voluntary_ctxt_switches")
        with pytest.raises(subprocess.TimeoutExpired):  # time must pass: that nothing happens in it is what is tried
            daemon.process.wait(timeout=IDLE_SECONDS)
        assert field(daemon, "status", "voluntary_ctxt_switches") == switches


def test_a_transfer_that_is_over_leaves_no_pipe_to_its_stream(site):
    daemon, node = site
    data = bytes(4 << 20)
    with contextlib.ExitStack() as held:
        for _ in range(PIPES_WAITING + 10):
            caller, end = map(held.enter_context, stream(node, daemon.port))
            sending = threading.Thread(target=caller.sendall, args=[data])
            sending.start()
            assert wire.read_exactly(end, len(data)) == data
            sending.join()
        pipes = {kind for kind in descriptors(daemon).values() if kind.startswith("pipe:")}
        print(f"{len(pipes)} pipes wait for the next transfer")
        assert len(pipes) <= PIPES_WAITING


def churn(daemon, node, count, a_second):
    """Opens and closes so many streams at that pace, by turns from either end; the reached pace."""
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0, began + number / a_second - time.monotonic()))  # the pace
        ends = stream(node, daemon.port)
        for end in ends if number % 2 else reversed(ends):
            end.close()
    return count / (time.monotonic() - began)


def test_streams_that_come_and_go_leave_nothing_behind(site):
    daemon, node = site
    churn(daemon, node, CHURN_A_SECOND, CHURN_A_SECOND)
    all_ended(daemon)
    opened, before, count = descriptors(daemon), resident(daemon), CHURN_A_SECOND * CHURN_SECONDS
    reached = churn(daemon, node, count, CHURN_A_SECOND)
    print(f"{count} streams in {CHURN_SECONDS} s: {reached:.0f} a second reached")
    all_ended(daemon)
    wait_for(lambda: len(descriptors(daemon)) == len(opened), 5, lambda: str(descriptors(daemon)))
    assert_grew_by_at_most(daemon, before, CHURN_GROWTH, f"{count} streams that came and went")
    assert counted(daemon, "opened", "bytes_in", "bytes_out") == (
        CHURN_A_SECOND + count, (CHURN_A_SECOND + count) * len(send_name()), 0)


# --- bytes ---


@pytest.mark.parametrize("size", [1, 8191, 8192, 65535, 65536, 65537, 1 << 20, 64 << 20])
def test_bytes_arrive_both_ways_at_once(site, size):
    daemon, node = site
    with contextlib.ExitStack() as held:
        caller, end = map(held.enter_context, stream(node, daemon.port))
        echo(caller, end)
        transfers = [Transfer(caller, end, size, 1), Transfer(end, caller, size, 2)]
        assert all(transfer.arrived() for transfer in transfers)
    all_ended(daemon)
    echoed = len(b"ping")
    assert counted(daemon) == {
        "opened": 1, "bytes_in": len(send_name()) + echoed + size, "bytes_out": echoed + size}


def test_bytes_of_several_streams_are_not_mixed(site):
    daemon, node = site
    sizes = random.Random(7)
    with contextlib.ExitStack() as held:
        ends = [tuple(map(held.enter_context, stream(node, daemon.port))) for _ in range(10)]
        for pair in ends:
            echo(*pair)
        transfers = [
            Transfer(*way, sizes.randrange(1, 4 << 20), seed)
            for seed, (caller, end) in enumerate(ends)
            for way in ((caller, end), (end, caller))
        ]
        assert all(transfer.arrived() for transfer in transfers)
    all_ended(daemon)


def send_until_stopped(conn, data):
    """How many of the bytes were taken before the writer is stopped for good."""
    sent = 0
    conn.setblocking(False)
    while select.select([], [conn], [], scaled(0.5))[1]:
        with contextlib.suppress(BlockingIOError):
            sent += conn.send(data[sent : sent + (1 << 20)])
        assert sent < len(data), "nobody stops the writer"
    conn.settimeout(scaled(10))
    return sent


@pytest.mark.parametrize("who", ["node", "caller"])
def test_who_does_not_read_stops_the_writer_and_nobody_else(site, who):
    daemon, node = site
    data = memoryview(random.Random(3).randbytes(64 << 20))
    with contextlib.ExitStack() as held:
        ends = list(map(held.enter_context, stream(node, daemon.port)))
        other = list(map(held.enter_context, stream(node, daemon.port)))
        writer, reader = ends if who == "node" else reversed(ends)
        echo(*other, b"warm-up" * 1000)
        before = resident(daemon)
        sent = send_until_stopped(writer, data)
        assert_grew_by_at_most(daemon, before, STALLED_GROWTH, f"{sent} bytes on their way to who does not read")

        trips = []
        for _ in range(200):
            began = time.monotonic()
            echo(*other)
            trips.append(time.monotonic() - began)
        print(f"round trips of another stream: median {sorted(trips)[100] * 1e6:.0f} µs, longest {max(trips) * 1e6:.0f} µs")
        assert sorted(trips)[100] < scaled(ROUND_TRIP_SECONDS) and max(trips) < scaled(1)

        rest = threading.Thread(target=lambda: (writer.sendall(data[sent:]), writer.shutdown(socket.SHUT_WR)))
        rest.start()
        heard = hashlib.sha1()
        while piece := reader.recv(1 << 20):
            heard.update(piece)
        rest.join()
        assert heard.digest() == hashlib.sha1(data).digest()


def test_what_a_slow_reader_leaves_of_small_messages_arrives(site):
    """Between two of them the daemon has time to pass the first on: so no transfer begins."""
    daemon, node = site
    source, sent, heard = random.Random(5), hashlib.sha1(), hashlib.sha1()
    with contextlib.ExitStack() as held:
        reader, writer = map(held.enter_context, stream(node, daemon.port, receive_buffer=4096))
        other = list(map(held.enter_context, stream(node, daemon.port)))
        for _ in range(5):
            writer.setblocking(False)
            said = taken = size = 0
            while taken == size:
                piece = source.randbytes(source.randrange(10000, 30000))
                taken, size = 0, len(piece)
                with contextlib.suppress(BlockingIOError):
                    taken = writer.send(piece)
                sent.update(piece[:taken])
                said += taken
                echo(*other)
            while said > 0:
                piece = reader.recv(min(said, 65536))
                assert piece != b""
                heard.update(piece)
                said -= len(piece)
            assert heard.digest() == sent.digest()


@pytest.mark.parametrize("who", ["caller", "node"])
def test_the_end_of_one_direction_leaves_the_other_open(site, who):
    daemon, node = site
    with contextlib.ExitStack() as held:
        ends = list(map(held.enter_context, stream(node, daemon.port)))
        first, second = ends if who == "caller" else reversed(ends)
        echo(*ends)
        first.shutdown(socket.SHUT_WR)
        assert second.recv(1) == b""
        for said in (b"x", b"y" * 300000):
            second.sendall(said)
            assert wire.read_exactly(first, len(said)) == said
        assert [entry["state"] for entry in streams(daemon)] == ["open"]
        second.close()
        assert first.recv(1) == b""
        all_ended(daemon)


def test_both_sockets_of_a_stream_send_at_once_and_notice_a_peer_that_is_gone(site):
    daemon, node = site
    before = descriptors(daemon)
    with contextlib.ExitStack() as held:
        for end in stream(node, daemon.port):
            held.enter_context(end)
        mine = [number for number, kind in descriptors(daemon).items() if before.get(number) != kind]
        found = [held.enter_context(copy) for copy in sockets_of(daemon, mine)]
        names = {copy.getpeername()[1] for copy in found}
        assert len(found) == 2 and node.port in names
        for copy in found:
            assert copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


# --- when a stream ends ---


def test_the_death_of_a_node_ends_its_streams_at_once(site):
    daemon, node = site
    words = [sys.executable, proxied.__file__, str(daemon.port), "hare"]
    with contextlib.ExitStack() as held:
        hare = held.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        held.callback(hare.kill)
        hare_port = int(hare.stdout.readline())
        survivor = list(map(held.enter_context, stream(node, daemon.port)))  # the port's owner is the first one
        node.registration.close()
        wait_for(lambda: list(proxied.front_ports(daemon)) == ["hare"], 5)
        callers = [held.enter_context(call(daemon.port)) for _ in range(20)]
        wait_for(lambda: len(streams(daemon)) == 21 and {s["state"] for s in streams(daemon)} == {"open"}, 5)
        assert wire.look_up(daemon.port, "hare").port == hare_port

        hare.send_signal(signal.SIGKILL)
        began = time.monotonic()
        assert [ended(caller) for caller in callers] == [b""] * 20
        assert time.monotonic() - began < scaled(1)
        wait_for(lambda: len(streams(daemon)) == 1, 1)
        echo(*survivor)


def test_a_registration_that_ends_leaves_streams_whose_node_goes_on(site):
    daemon, node = site
    with contextlib.ExitStack() as held:
        going_on = list(map(held.enter_context, stream(node, daemon.port)))
        half, half_end = map(held.enter_context, stream(node, daemon.port))
        half_end.shutdown(socket.SHUT_WR)  # as long as the node is registered, the caller may go on
        assert half.recv(1) == b""
        half.sendall(b"still")
        assert wire.read_exactly(half_end, 5) == b"still"

        node.registration.close()
        assert ended(half_end) == b""
        wait_for(lambda: len(streams(daemon)) == 1, 5)
        assert proxied.front_ports(daemon) == {} and front_of(daemon)["ports"] == []
        echo(*going_on)

        going_on[1].shutdown(socket.SHUT_WR)  # the node has left: its end is the stream's
        assert ended(going_on[0]) == ended(going_on[1]) == b""
        all_ended(daemon)


def test_a_reset_by_one_side_is_an_end_for_the_other(site):
    daemon, node = site
    for who in (0, 1):
        with contextlib.ExitStack() as held:
            ends = list(map(held.enter_context, stream(node, daemon.port)))
            ends[who].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            ends[who].close()
            assert ended(ends[1 - who]) == b""
            all_ended(daemon)


# --- what can be seen of it ---


def test_streams_and_counters_are_told(site):
    daemon, node = site
    assert daemon.call("streams").stderr == "portolan: no connections through the front ports\n"
    assert "0 through the front ports" in daemon.call("status").stdout
    with contextlib.ExitStack() as held:
        caller, end = map(held.enter_context, stream(node, daemon.port, send_name("a@one.example.com")))
        echo(caller, end, b"12345")
        held.enter_context(stream(node, daemon.port, send_name_old("b@two.example.com"))[0])
        one, two = streams(daemon)
        own = f"127.0.0.1:{caller.getsockname()[1]}"
        assert (one["node"], one["peer"], one["address"]) == ("rabbit", "a@one.example.com", own)
        assert (one["front_port"], one["tls"], one["state"]) == (daemon.port, False, "open")
        assert (one["bytes_in"], one["bytes_out"]) == (len(send_name("a@one.example.com")) + 5, 5)
        assert two["peer"] == "b@two.example.com" and two["bytes_out"] == 0
        lines = daemon.call("streams").stdout.splitlines()
        assert len(lines) == 3 and "a@one.example.com" in lines[1] and own in lines[1]
        text = daemon.call("status").stdout
        assert f"{daemon.port}: rabbit" in text and "2 through the front ports" in text and "2 opened" in text
    all_ended(daemon)


# What is said in turn after the first packet, and whether the caller has turned away from whom it
# met.
TURNS = {
    "nothing was said": ([], False),
    "away at the challenge": ([("node", wire.frame(b"sok") + CHALLENGE)], True),
    "away after an older connection": ([("node", ALIVE_STATUS), ("caller", ALIVE_ANSWER), ("node", CHALLENGE)], True),
    "challenge answered": ([("node", wire.frame(b"sok") + CHALLENGE), ("caller", CHALLENGE_REPLY)], False),
    "both": (
        [("node", ALIVE_STATUS), ("caller", ALIVE_ANSWER), ("node", CHALLENGE), ("caller", CHALLENGE_REPLY)],
        False,
    ),
}


@pytest.mark.parametrize("case", TURNS)
def test_a_caller_that_was_misrouted_is_counted(site, case):
    daemon, node = site
    turns, misrouted = TURNS[case]
    with Node(daemon.port, "hare"), contextlib.ExitStack() as held:
        caller, end = map(held.enter_context, stream(node, daemon.port))
        for who, said in turns:
            sender, receiver = (caller, end) if who == "caller" else (end, caller)
            sender.sendall(said)
            assert wire.read_exactly(receiver, len(said)) == said
        caller.close()
        assert ended(end) == b""
        end.close()
        all_ended(daemon)
        assert counted(daemon, "guessed", "misled") == (1, int(misrouted))
