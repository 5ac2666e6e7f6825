"""What another host may ask: look up and list, and nothing that changes anything."""

import contextlib

import pytest

import hosts
import wire
from daemon import Daemon, listening_addresses, our_epmd, stock_epmd
from deadlines import scaled, wait_for

PER_HOST = 20


@pytest.fixture(params=["IPv4", "IPv6"])
def address(request, pair):
    """The address at which the other host knows this one."""
    return pair.here.address if request.param == "IPv4" else pair.here.address6


@pytest.fixture
def daemon_here(pair, tmp_path):
    started = []

    def start(*flags, program=None, **env):
        with pair.here.entered():
            server = Daemon(program or our_epmd(), tmp_path, *flags, env=env)
            started.append(server)
            return server.start()

    yield start
    for server in started:
        server.stop()


def asked(host, port, address, request, source=None):
    with host.connect(port, address, source, seconds=scaled(5)) as conn:
        conn.sendall(request)
        return wire.read_to_end(conn)


def registered_here(pair, port, name="a"):
    with pair.here.entered():
        return wire.register(port, name, port=40001)[0]


def test_a_remote_host_may_look_up_and_list(pair, address, daemon_here):
    server = daemon_here()
    with registered_here(pair, server.port):
        assert (
            wire.Found(asked(pair.there, server.port, address, wire.port_please("a"))).port == 40001
        )
        assert asked(pair.there, server.port, address, wire.names()).endswith(
            b"name a at port 40001\n"
        )


@pytest.mark.parametrize("flags", [(), ("-relaxed_command_check",)], ids=["strict", "relaxed"])
@pytest.mark.parametrize(
    "request_of",
    [lambda: wire.alive("b"), wire.kill, wire.dump, lambda: wire.stop("a")],
    ids=["register", "kill", "dump", "stop"],
)
def test_a_remote_host_may_change_nothing(pair, address, daemon_here, flags, request_of):
    server = daemon_here(*flags)
    with registered_here(pair, server.port):
        assert asked(pair.there, server.port, address, request_of()) == b""
        listing = asked(pair.there, server.port, address, wire.names())
        assert listing[4:] == b"name a at port 40001\n"


def test_the_hosts_own_address_is_local(pair, address, daemon_here):
    server = daemon_here()
    with pair.here.connect(server.port, address) as node:
        node.sendall(wire.alive("a"))
        assert wire.Registered(wire.read_exactly(node, 6)).result == 0
        assert asked(pair.here, server.port, address, wire.dump()) != b""


def test_any_loopback_address_is_local(pair, daemon_here):
    server = daemon_here()
    assert asked(pair.here, server.port, "127.0.0.1", wire.dump(), source="127.99.1.2") != b""


def test_names_are_listed_to_this_host_only_where_remote_names_are_off(pair, address, daemon_here):
    server = daemon_here(PORTOLAN_EPMD__REMOTE_NAMES="off")
    with registered_here(pair, server.port):
        empty = server.port.to_bytes(4, "big")
        assert asked(pair.there, server.port, address, wire.names()) == empty
        assert asked(pair.here, server.port, "127.0.0.1", wire.names()) > empty
        assert (
            wire.Found(asked(pair.there, server.port, address, wire.port_please("a"))).port == 40001
        )


def open_after_a_moment(conns):
    """How many of the connections the daemon has not closed."""
    count = 0
    for conn in conns:
        conn.settimeout(0.001)
        try:
            conn.recv(1)
        except TimeoutError:
            count += 1
        except ConnectionError:
            pass
    return count


def test_one_host_cannot_take_all_connections(pair, address, daemon_here):
    """Over its share a host's newest connections are closed; all others are served as ever."""
    server = daemon_here(PORTOLAN_EPMD__PEER_CONNECTIONS=PER_HOST)
    with contextlib.ExitStack() as held:
        greedy = []
        for _ in range(3 * PER_HOST):
            conn = held.enter_context(pair.there.connect(server.port, address))
            greedy.append(conn)
            with contextlib.suppress(ConnectionError):
                conn.sendall(b"\0")
        wait_for(
            lambda: open_after_a_moment(greedy) <= PER_HOST,
            5,
            "the greedy host's surplus to be closed",
        )
        assert open_after_a_moment(greedy) == PER_HOST
        assert asked(pair.here, server.port, "127.0.0.1", wire.port_please("nobody")) == b"w\1"
        assert asked(pair.there, server.port, address, wire.port_please("nobody")) in (b"w\1", b"")
        local = [
            held.enter_context(pair.here.connect(server.port, "127.0.0.1"))
            for _ in range(3 * PER_HOST)
        ]
        for conn in local:
            conn.sendall(b"\0")
        assert asked(pair.here, server.port, "127.0.0.1", wire.port_please("nobody")) == b"w\1"
        assert open_after_a_moment(local) == 3 * PER_HOST
        while greedy:
            greedy.pop().close()
        wait_for(
            lambda: asked(pair.there, server.port, address, wire.port_please("nobody")) == b"w\1",
            5,
            "the host to have its share again",
        )


@pytest.mark.parametrize("addresses", ["10.77.0.1", "fd77::1", "10.77.0.1,fd77::1"])
def test_only_the_addresses_of_the_list_and_loopback_are_listened_on(pair, daemon_here, addresses):
    found = {}
    for program in (stock_epmd(), our_epmd()):
        server = daemon_here("-address", addresses, program=program)
        with pair.here.entered():
            found[program] = listening_addresses(server.port)
    assert found[our_epmd()] == found[stock_epmd()]
    assert set(addresses.split(",")) < set(found[our_epmd()])


def test_loopback_alone_is_not_reached_from_elsewhere(pair, address, daemon_here):
    server = daemon_here("-address", "127.0.0.1")
    with pytest.raises(ConnectionRefusedError):
        pair.there.connect(server.port, address)


@pytest.mark.parametrize(
    "flags", [(), ("-address", "127.0.0.1"), ("-address", "10.77.0.1")], ids=str
)
def test_a_machine_without_ipv6_is_served_over_ipv4(tmp_path, flags):
    if reason := hosts.why_impossible():
        pytest.skip(reason)
    pair = hosts.Pair()
    try:
        for interface in ("lo", "wire"):
            pair.here.ip("-6", "addr", "flush", "dev", interface)
        found = {}
        for program in (stock_epmd(), our_epmd()):
            with pair.here.entered(), Daemon(program, tmp_path, *flags) as server:
                found[program] = listening_addresses(server.port)
                wire.register(server.port, "a")[0].close()
        assert found[our_epmd()] == found[stock_epmd()]
    finally:
        pair.close()


def test_a_connection_of_another_host_is_closed_after_the_packet_timeout(
    pair, address, daemon_here
):
    server = daemon_here("-packet_timeout", "1")
    with pair.there.connect(server.port, address, seconds=scaled(10)) as conn:
        conn.sendall(b"\0")
        assert wire.read_to_end(conn) == b""
