"""What the proxy does where descriptors run out, or one host takes too many streams."""

import contextlib

import wire
from deadlines import scaled, wait_for
from portoland import portoland  # noqa: F401
from proxied import (
    Node, Transfer, all_ended, call, counted, descriptors, echo, ended, front_of, refused, send_name, stream, streams,
)
from test_robustness import still_open

DESCRIPTORS = 64
STREAMS = DESCRIPTORS // 4


def test_more_streams_than_a_quarter_of_the_descriptors_are_refused(portoland):
    daemon = portoland(descriptors=DESCRIPTORS)
    with contextlib.ExitStack() as held:
        node = held.enter_context(Node(daemon.port))
        ends = [tuple(map(held.enter_context, stream(node, daemon.port))) for _ in range(STREAMS)]
        for count in (1, 2, 3):
            with call(daemon.port) as conn:
                assert ended(conn) == b""
            wait_for(lambda: counted(daemon, "opened", "limited") == (STREAMS, count), 5)
        assert refused(daemon) == 3 and node.met_nobody()
        daemon.logged("refused", 'reason="too many streams"')
        assert wire.look_up(daemon.port, "rabbit").port == node.port
        echo(*ends[0])

        for end in ends.pop():
            end.close()
        wait_for(lambda: len(streams(daemon)) == STREAMS - 1, 5)
        echo(*map(held.enter_context, stream(node, daemon.port)))


def test_hellos_that_wait_leave_descriptors_for_nodes(portoland):
    daemon = portoland(descriptors=DESCRIPTORS)
    with contextlib.ExitStack() as held:
        for _ in range(DESCRIPTORS):
            held.enter_context(call(daemon.port, b"\x16\x03\x01"))
        most = DESCRIPTORS // 16
        gave_way = wait_for(lambda: counted(daemon, "refused"), 5)
        wait_for(lambda: counted(daemon, "refused") == (DESCRIPTORS - most,), 5, lambda: f"{gave_way} gave way")
        daemon.logged("refused", 'reason="too many incomplete TLS hellos"')
        node = held.enter_context(Node(daemon.port))
        assert wire.look_up(daemon.port, "rabbit").port == node.port


def fill_descriptors(held, daemon, left):
    """Registers nodes, which have no front ports, until so many descriptors are left."""
    made = []
    while len(descriptors(daemon)) < DESCRIPTORS - left:
        made.append(held.enter_context(wire.register(daemon.port, f"remsh{len(made)}-{left}", port=40001)[0]))
    return made


def test_out_of_descriptors_streams_are_refused_and_all_else_goes_on(portoland):
    daemon = portoland(descriptors=DESCRIPTORS)
    with contextlib.ExitStack() as held:
        node = held.enter_context(Node(daemon.port))
        ends = list(map(held.enter_context, stream(node, daemon.port)))
        fillers = fill_descriptors(held, daemon, 1)
        with call(daemon.port) as conn:  # the last one is the caller's: there is none for the way to the node
            assert ended(conn) == b""
        fillers += fill_descriptors(held, daemon, 0)
        for _ in range(3):
            with call(daemon.port) as conn:
                assert ended(conn) == b""
            assert wire.look_up(daemon.port, "rabbit").port == node.port
        echo(*ends)  # a caller that ends before the node has said anything has given up
        ways = [Transfer(*ends, 8 << 20, 1), Transfer(*reversed(ends), 8 << 20, 2)]  # and none for pipes
        assert all(way.arrived() for way in ways)
        assert all(still_open(conn) for conn in (*fillers, node.registration)) and node.met_nobody()

        for conn in fillers[-8:]:
            conn.close()
        wait_for(lambda: len(descriptors(daemon)) < DESCRIPTORS - 8, 5)
        assert counted(daemon, "opened", "limited", "unreachable") == (2, 1, 0)
        assert refused(daemon) == 3
        echo(*map(held.enter_context, stream(node, daemon.port)))
        daemon.logged("limit", "descriptors")


def test_one_other_host_has_its_share_of_streams(pair, portoland, tmp_path):
    conf = tmp_path / "portolan.conf"
    conf.write_text("front.peer_streams = 3\n")
    with pair.here.entered(), contextlib.ExitStack() as held:
        daemon = portoland("-c", conf, port=4370)
        node = held.enter_context(Node(daemon.port))

        def from_there(address=pair.here.address):
            conn = held.enter_context(pair.there.connect(daemon.port, address, seconds=scaled(5)))
            conn.sendall(send_name())
            return conn

        def taken(caller):
            end = held.enter_context(node.accept())
            assert wire.read_exactly(end, len(send_name())) == send_name()
            return caller, end

        ends = [taken(from_there()) for _ in range(3)]
        for count in (1, 2):
            assert ended(from_there()) == b""
            wait_for(lambda: counted(daemon, "opened", "limited") == (3, count), 5)
        daemon.logged("refused", 'reason="too many streams from this address"')
        taken(from_there(pair.here.address6))  # another address has its own share
        for _ in range(5):  # and callers of this host have no bounds
            held.enter_context(stream(node, daemon.port)[0])
        assert "2 limited" in daemon.call("status").stdout and len(streams(daemon)) == 9

        for end in ends.pop():
            end.close()
        wait_for(lambda: len(streams(daemon)) == 8, 5)
        echo(*taken(from_there()))
        assert ended(from_there()) == b""
        conf.write_text("front.peer_streams = 4\n")
        assert daemon.says("reload")["applied"] == ["front.peer_streams"]
        echo(*taken(from_there()))
        assert ended(from_there()) == b""
        assert front_of(daemon)["counters"]["limited"] == 4
    all_ended(daemon)
