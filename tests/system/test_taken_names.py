"""A name is taken as long as its holder's connection lives: one that has ended holds nothing,
whether or not the daemon has come to see it yet.
"""

import os
import signal
from pathlib import Path

import pytest

import wire
from daemon import Daemon, our_epmd
from deadlines import wait_for
from members import Members, agree
from portoland import Portoland, portoland  # noqa: F401: a fixture

TIMES = 200


@pytest.fixture(params=["epmd", "portoland"])
def server(request, tmp_path):
    with Portoland(tmp_path) if request.param == "portoland" else Daemon(our_epmd(), tmp_path) as daemon:
        yield daemon


def is_stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def registered(conn, name="quick"):
    """Sends a registration; the reply is yet to come."""
    conn.sendall(wire.alive(name))
    return conn


def is_accepted(conn):
    first = wire.read_exactly(conn, 1)
    return wire.Registered(first + wire.read_exactly(conn, 5)).result == 0


def close_then_connect(server, old):
    old.close()
    return registered(wire.connect(server.port))


def connect_then_close(server, old):
    new = wire.connect(server.port)
    old.close()
    return registered(new)


def close_while_the_daemon_is_paused(server, old):
    os.kill(server.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: is_stopped(server.pid), 10, "the daemon to pause")
        old.close()
        return registered(wire.connect(server.port))
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "again", [close_then_connect, connect_then_close, close_while_the_daemon_is_paused]
)
def test_a_name_whose_holder_has_closed_can_be_registered_at_once(server, again):
    refused = 0
    conn = registered(wire.connect(server.port))
    assert is_accepted(conn)
    for _ in range(TIMES):
        conn = again(server, conn)
        if not is_accepted(conn):
            refused += 1
            conn.close()
            wait_for(lambda: wire.look_up(server.port, "quick").result != 0, 10, "the name to go")
            conn = registered(wire.connect(server.port))
            assert is_accepted(conn)
    conn.close()
    assert refused == 0, f"refused {refused} of {TIMES}"


def test_a_reset_holder_is_no_holder_either(server):
    conn = registered(wire.connect(server.port))
    assert is_accepted(conn)
    for _ in range(TIMES):
        conn.setsockopt(wire.socket.SOL_SOCKET, wire.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        conn = close_then_connect(server, conn)
        assert is_accepted(conn)
    conn.close()


def test_a_name_whose_holder_lives_stays_taken(server):
    with registered(wire.connect(server.port)) as first:
        assert is_accepted(first)
        with registered(wire.connect(server.port)) as second:
            assert not is_accepted(second)
        assert wire.look_up(server.port, "quick").result == 0


def test_the_daemon_may_be_killed_right_after_its_last_node_has_left(tmp_path):
    """KILL is refused while names are registered; a holder that has ended does not count."""
    for number in range(20):
        with Daemon(our_epmd(), tmp_path) as server:
            conns = [registered(wire.connect(server.port), f"n{number}") for number in range(3)]
            assert all(is_accepted(conn) for conn in conns)
            assert wire.ask(server.port, wire.kill()) == b"NO"
            for conn in conns:
                conn.close()
            assert wire.ask(server.port, wire.kill()) == b"OK", number
            assert server.exit_code() == 0


def test_a_leased_port_is_free_when_the_node_on_it_has_left(portoland):  # noqa: F811
    """With enforcement a port has one name; a holder that has ended does not keep others off it."""
    server = portoland("--set", "node.port_enforce=on")
    port = server.lease("first")
    conn = registered_on(server, "first", port)
    for number in range(TIMES):
        conn.close()
        conn = registered_on(server, f"n{number}", port)
    conn.close()


def registered_on(server, name, port):
    conn, reply = wire.register(server.port, name, port=port)
    assert reply.result == 0, name
    return conn


def test_events_are_told_in_their_order(portoland):  # noqa: F811
    """The end of the first life is told before the beginning of the second."""
    server = portoland()
    conn = registered(wire.connect(server.port))
    assert is_accepted(conn)
    for _ in range(20):
        conn = close_then_connect(server, conn)
        assert is_accepted(conn)
    conn.close()
    server.logged("unregistered", "quick")
    wait_for(lambda: told(server).count("unregistered") == 21, 10, lambda: server.log)
    assert told(server) == ["registered", "unregistered"] * 21


def told(server):
    words = [word for line in server.log.splitlines() if "quick" in line for word in line.split()]
    return [word for word in words if word in ("registered", "unregistered")]


def test_the_cluster_is_told_in_order(tmp_path):
    """Each life has a port of its own: others end up with the last one."""
    with Members(tmp_path) as members:
        one, two = members.on_loopback(2)
        one.join(two)
        agree([one, two])
        conn = one.register("quick", 10000)
        for port in range(10001, 10021):
            conn.close()
            conn = one.register("quick", port)
        with conn:
            wait_for(
                lambda: two.directory_of_cluster() == [("quick@127.0.0.1", 10020)], 10,
                lambda: two.directory_of_cluster())
        wait_for(lambda: two.directory_of_cluster() == [], 10, lambda: two.directory_of_cluster())
