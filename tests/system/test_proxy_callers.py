"""Who is taken for an Erlang node at a front port, and that of nobody else a byte arrives at a
node."""

import contextlib
import socket
import time

import pytest

import wire
from certificates import certificate
from deadlines import scaled, wait_for
from members import Members, free_base
from portoland import portoland  # noqa: F401
from proxied import (  # noqa: F401
    CHALLENGE, Node, all_ended, assert_grew_by_at_most, call, counted, descriptors, ended, front_of, front_ports,
    refused, resident, send_name, send_name_old, stream, streams,
)
from test_cluster_security import client_hello

PACKET_TIMEOUT = 1
HELLO_SECONDS = 5
FAILED_GROWTH = 128 << 10

NAME = b"caller@h.example.com"
PACKET = send_name()
NODE_HELLO = client_hello("erlang")


@pytest.fixture
def site(portoland):
    """A daemon and two nodes: `rabbit` behind its own port, `emqx-1` behind the next one."""
    daemon = portoland("--set", f"epmd.packet_timeout={PACKET_TIMEOUT}s", port=free_base(1))
    with Node(daemon.port) as rabbit, Node(daemon.port, "emqx-1") as emqx:
        yield daemon, rabbit, emqx


def bad_ones(daemon):
    counters = daemon.says("status")["counters"]
    front = front_of(daemon)["counters"]
    return {
        **{f"counters {name}": counters[name] for name in ("refused", "timed_out", "shed", "limited")},
        **{f"front {name}": front[name] for name in ("refused", "timed_out", "limited", "unreachable", "misled")},
    }


def only(counter):
    names = [f"counters {name}" for name in ("refused", "timed_out", "shed", "limited")]
    names += [f"front {name}" for name in ("refused", "timed_out", "limited", "unreachable", "misled")]
    return {name: int(name == counter) for name in names}


def assert_goes_on(daemon, *nodes):
    """Nobody came to a node; and who ought to, does."""
    assert all(node.met_nobody() for node in nodes)
    assert counted(daemon, "opened", "bytes_in", "bytes_out") == (0, 0, 0) and streams(daemon) == []
    for node in nodes:
        assert wire.look_up(daemon.port, node.name).port == node.port
        for end in stream(node, front_ports(daemon)[node.name]):
            end.close()


def cut(packet, by):
    """A packet whose length says what is there, without its last bytes."""
    return wire.frame(packet[2 : len(packet) - by])


# What is said -> which counter tells of it. All are closed without a word.
REFUSED = {
    "shorter than a handshake": (wire.frame(b"N" + bytes(5)), "counters refused"),
    "length one too small": (wire.frame(PACKET[2:], announced=len(PACKET) - 3), "counters refused"),
    "length of the tag alone": (wire.frame(PACKET[2:], announced=1), "counters refused"),
    "length 0": (wire.frame(PACKET[2:], announced=0), "counters refused"),
    "longest length": (wire.frame(PACKET[2:], announced=0xFFFF), "counters refused"),
    "name longer than the packet": (send_name(name_length=len(NAME) + 1), "counters refused"),
    "longest name length": (send_name(name_length=0xFFFF), "counters refused"),
    "no name": (send_name(""), "counters refused"),
    "NUL in the name": (send_name(b"caller\0@h.example.com"), "counters refused"),
    "NUL behind the name": (send_name(NAME + b"\0"), "counters refused"),
    "endless name": (send_name(b"a" * 3000), "counters refused"),
    "name that is cut": (cut(PACKET, 5), "counters refused"),
    "bytes behind the handshake": (PACKET + CHALLENGE, "counters refused"),
    "two handshakes": (PACKET + PACKET, "counters refused"),
    "another tag": (wire.frame(b"M" + PACKET[3:]), "counters refused"),
    "our protocol without a key": (client_hello(), "counters refused"),
    "our protocol and garbage": (client_hello() + b"\xff" * 500, "counters refused"),
}
# They wait for more, until their time is over.
HELD = {
    "length one too large": (wire.frame(PACKET[2:], announced=len(PACKET) - 1), "counters timed_out"),
    "length far too large": (wire.frame(PACKET[2:], announced=3000), "counters timed_out"),
    "half a handshake": (PACKET[: len(PACKET) // 2], "counters timed_out"),
    "length and tag": (PACKET[:3], "counters timed_out"),
    "half an old handshake": (send_name_old()[:-4], "counters timed_out"),
    "half a hello of a node": (NODE_HELLO[:-1], "front timed_out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_no_node_is_refused_at_once(site, case):
    daemon, *nodes = site
    said, counter = REFUSED[case]
    began = time.monotonic()
    for node, before in zip(nodes, range(2)):
        with call(front_ports(daemon)[node.name], said) as conn:
            assert ended(conn) == b""
        wait_for(lambda: bad_ones(daemon)[counter] == before + 1, 5, lambda: bad_ones(daemon))
    assert time.monotonic() - began < scaled(PACKET_TIMEOUT)
    assert sum(bad_ones(daemon).values()) == len(nodes), bad_ones(daemon)
    assert_goes_on(daemon, *nodes)


def test_who_is_not_done_in_time_is_closed(site):
    daemon, *nodes = site
    with contextlib.ExitStack() as held:
        began = time.monotonic()
        conns = [held.enter_context(call(daemon.port, said)) for said, _ in HELD.values()]
        assert bad_ones(daemon) == only(None)  # they wait, and harm nobody
        for case, conn in zip(HELD, conns):
            assert ended(conn) == b"", case
        assert time.monotonic() - began < scaled(HELLO_SECONDS + 2)
    counters = [counter for _, counter in HELD.values()]
    wait_for(lambda: bad_ones(daemon) == {name: counters.count(name) for name in only(None)}, 5, lambda: bad_ones(daemon))
    assert_goes_on(daemon, *nodes)


def test_an_old_handshake_of_another_version_is_no_nodes(site):
    """To epmd it is a NAMES request with bytes behind, which gets what NAMES gets."""
    daemon, *nodes = site
    for version in (4, 6, 0xFFFF):
        with call(daemon.port, send_name_old(version=version)) as conn:
            assert ended(conn) in (b"", wire.ask(daemon.port, wire.names()))
    assert_goes_on(daemon, *nodes)


@pytest.mark.parametrize("said", [PACKET, send_name_old(), send_name("h.example.com")], ids=["new", "old", "no name yet"])
def test_a_handshake_in_single_bytes_arrives_whole(site, said):
    daemon, rabbit, emqx = site
    with call(daemon.port, b"") as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in said[:-1]:
            caller.sendall(bytes([byte]))
        assert rabbit.met_nobody()
        caller.sendall(said[-1:])
        with rabbit.accept() as end:
            assert wire.read_exactly(end, len(said)) == said
    assert emqx.met_nobody()


def test_tls_of_a_node_in_single_bytes_arrives_as_it_is(site):
    daemon, rabbit, emqx = site
    with call(daemon.port, b"") as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in NODE_HELLO[:-1]:
            caller.sendall(bytes([byte]))
        assert rabbit.met_nobody()
        caller.sendall(NODE_HELLO[-1:])
        with rabbit.accept() as end:
            assert wire.read_exactly(end, len(NODE_HELLO)) == NODE_HELLO
            (entry,) = streams(daemon)
            assert entry["tls"] and entry["peer"] is None
            assert daemon.call("streams").stdout.splitlines()[1].split()[:2] == ["rabbit", "-"]
            end.sendall(b"\x16\3\3 as it is")
            assert wire.read_exactly(caller, 12) == b"\x16\3\3 as it is"
    assert emqx.met_nobody() and bad_ones(daemon) == only(None)


def test_our_protocol_is_never_a_nodes_where_there_is_a_cluster(tmp_path):
    keys = certificate(tmp_path, "one", "127.0.0.1")
    with Members(tmp_path) as members:
        for number, more in enumerate([{}, keys]):
            one = members.add(f"m{number}@127.0.0.1", base=free_base(2), **more).start()
            with Node(one.port, f"rabbit{number}") as rabbit, call(one.port, client_hello() + b"\xff" * 50) as conn:
                ended(conn)
                wait_for(lambda: one.ask("cluster_status")["handshakes"]["refused"] == 1, 5)
                assert rabbit.met_nobody()
                assert one.ask("status")["front"]["counters"]["opened"] == 0
                stream(rabbit, one.port)[0].close()


# --- nobody behind the port ---


def test_a_front_port_without_a_node_closes(portoland):
    daemon = portoland()
    for said, count in ((PACKET, 1), (send_name_old(), 2), (NODE_HELLO, 3)):
        with call(daemon.port, said) as conn:
            assert ended(conn) == b""
        wait_for(lambda: refused(daemon) == count, 5)
    daemon.logged("refused", 'reason="no node is behind this port"')
    assert counted(daemon) == {} and front_of(daemon)["ports"] == []


def test_who_came_in_time_for_a_node_that_has_left_is_closed(site):
    """It is inside when the port closes, and says its name after that."""
    daemon, rabbit, emqx = site
    port = front_ports(daemon)["emqx-1"]
    with call(port, PACKET[:10]) as early, call(port, NODE_HELLO[:10]) as early_tls:
        wait_for(lambda: daemon.says("status")["connections"]["waiting"] == 1, 5)
        emqx.registration.close()
        wait_for(lambda: front_ports(daemon) == {"rabbit": daemon.port}, 5)
        with pytest.raises(ConnectionRefusedError):
            call(port)
        began = time.monotonic()
        for conn, rest in ((early, PACKET[10:]), (early_tls, NODE_HELLO[10:])):
            conn.sendall(rest)
            assert ended(conn) == b""
        assert time.monotonic() - began < scaled(PACKET_TIMEOUT)
    wait_for(lambda: bad_ones(daemon) == {**only("counters refused"), "front refused": 1}, 5, lambda: bad_ones(daemon))
    assert emqx.met_nobody()
    assert_goes_on(daemon, rabbit)


def test_a_node_that_does_not_listen_is_unreachable(site):
    daemon, rabbit, emqx = site
    rabbit.deafen()
    for count in (1, 2):
        began = time.monotonic()
        with call(daemon.port) as conn:
            assert ended(conn) == b""
        assert time.monotonic() - began < scaled(1)
        assert counted(daemon) == {"opened": count, "unreachable": count}
    assert emqx.met_nobody() and streams(daemon) == []
    assert "2 unreachable" in daemon.call("status").stdout


def test_calls_that_reach_no_node_leave_nothing_behind(site):
    """What follows the name in the first packet is ignored, so that is as long as a packet may
    be."""
    daemon, rabbit, _ = site
    longest = wire.frame(PACKET[2:] + bytes(wire.LONGEST_REQUEST - len(PACKET) + 2))
    rabbit.deafen()

    def fail(count):
        for _ in range(count):
            with call(daemon.port, longest) as conn:
                assert ended(conn) == b""

    fail(100)
    before, opened = resident(daemon), descriptors(daemon)
    fail(500)
    assert counted(daemon) == {"opened": 600, "unreachable": 600}
    assert_grew_by_at_most(daemon, before, FAILED_GROWTH, "500 calls that reached no node")
    wait_for(lambda: len(descriptors(daemon)) == len(opened), 5)


def test_a_node_that_takes_no_connection_is_given_up_in_time(portoland):
    daemon = portoland()
    with contextlib.ExitStack() as held:
        node = held.enter_context(Node(daemon.port, backlog=0))
        held.enter_context(wire.connect(node.port))  # its queue is full now
        began = time.monotonic()
        conn = held.enter_context(call(daemon.port))
        assert [entry["state"] for entry in streams(daemon)] == ["connecting"]
        assert ended(conn) == b""
        assert HELLO_SECONDS - 1 < time.monotonic() - began < scaled(HELLO_SECONDS + 2)
        wait_for(lambda: counted(daemon) == {"opened": 1, "unreachable": 1}, 5)
        assert streams(daemon) == []
        node.accept().close()
        for end in stream(node, daemon.port):
            held.enter_context(end)


def test_a_node_that_leaves_while_it_is_called_ends_the_call(portoland):
    daemon = portoland()
    with Node(daemon.port, backlog=0) as node, wire.connect(node.port), call(daemon.port) as conn:
        wait_for(lambda: [entry["state"] for entry in streams(daemon)] == ["connecting"], 5)
        began = time.monotonic()
        node.registration.close()
        assert ended(conn) == b""
        assert time.monotonic() - began < scaled(1)
        all_ended(daemon)
