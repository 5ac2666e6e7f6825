"""Which other hosts may come in at a front port: front.allow."""

import contextlib

import pytest

import wire
from deadlines import scaled, wait_for
from members import Members, Network, agree, why_no_network
from portoland import portoland  # noqa: F401
from proxied import Node, counted, echo, ended, send_name
from test_check_config import check, secret, warned  # noqa: F401

LINES = 60  # a second, and more than are logged


@contextlib.contextmanager
def says_its_name(host, port, address):
    """A node of another host that opens distribution."""
    with host.connect(port, address, seconds=scaled(10)) as conn:
        with contextlib.suppress(ConnectionError):
            conn.sendall(send_name())
        yield conn


def reaches(host, port, address, node):
    with says_its_name(host, port, address) as conn, node.accept() as end:
        assert wire.read_exactly(end, len(send_name())) == send_name()
        echo(conn, end)
    return True


def is_refused(host, port, address):
    with says_its_name(host, port, address) as conn:
        return ended(conn) == b""


def looks_up(host, port, address):
    """What a look-up of "rabbit" is answered with; b"" when it is closed."""
    with host.connect(port, address, seconds=scaled(10)) as conn:
        with contextlib.suppress(ConnectionError):
            conn.sendall(wire.port_please("rabbit"))
        return ended(conn)[:2]


def test_only_these_networks(pair, portoland, tmp_path):
    conf = tmp_path / "portolan.conf"
    conf.write_text(f"front.allow = {pair.there.address}, fd00::/16\n")
    with pair.here.entered(), contextlib.ExitStack() as held:
        daemon = portoland("-c", conf, port=4370)
        node = held.enter_context(Node(daemon.port))
        here, there = pair.here, pair.there
        assert reaches(there, 4370, here.address, node) and looks_up(there, 4370, here.address) == b"w\0"
        assert is_refused(there, 4370, here.address6) and looks_up(there, 4370, here.address6) == b""
        for address in ("127.0.0.1", here.address, here.address6):  # this host itself may
            assert reaches(here, 4370, address, node)
        assert counted(daemon, "not_allowed") == (2,)
        daemon.logged("refused", "what=connection", "front.allow", here.address6.split("::")[0])

        for _ in range(LINES):
            is_refused(there, 4370, here.address6)
        assert counted(daemon, "not_allowed") == (LINES + 2,)
        assert daemon.log.count("front.allow does not have") < LINES

        conf.write_text("front.allow = any\n")
        assert daemon.says("reload")["applied"] == ["front.allow"]
        assert reaches(there, 4370, here.address6, node)
        conf.write_text(f"front.allow = {here.address6}\n")
        daemon.says("reload")
        assert is_refused(there, 4370, here.address)


@pytest.fixture
def network():
    if reason := why_no_network():
        pytest.skip(reason)
    network = Network(3)
    yield network.hosts
    network.close()


def test_only_members_reach_nodes_and_others_may_join(network, tmp_path):
    keys = {"front__allow": "members"}
    with Members(tmp_path) as members, contextlib.ExitStack() as held:
        one, two, three = [members.add(f"emqx@{host.address}", host=host, **keys).start() for host in network]
        with network[0].entered():
            node = held.enter_context(Node(4370))
        two.join(one)
        agree([one, two])
        assert reaches(network[1], 4370, network[0].address, node)
        assert is_refused(network[2], 4370, network[0].address)
        assert looks_up(network[2], 4370, network[0].address) == b"w\0"  # as whoever joins asks
        wait_for(lambda: one.ask("status")["front"]["counters"]["not_allowed"] == 1, 5)

        three.join(two)  # a link from a host of no member
        agree([one, two, three])
        assert reaches(network[2], 4370, network[0].address, node)
        assert three.portolan("cluster", "leave").returncode == 0
        agree([one, two])
        wait_for(lambda: is_refused(network[2], 4370, network[0].address), 10)


@pytest.mark.parametrize("value, why", [
    ("everybody", "other than addresses"), ("any, members", "cannot be combined"), ("10.0.0.0/33", "invalid prefix length"),
    ("10.1.2.3/8", "bits beyond"), ("", "empty")])
def test_what_is_no_list_is_refused(check, value, why):
    done = check(f"front.allow = {value}")
    assert done.code == 1
    assert "cannot set front.allow" in done.lines[0] and why in done.lines[0] and "192.0.2.0/24" in done.lines[0]


def test_members_without_a_cluster_are_warned_of(check):
    warned(check("front.allow = members"), "front.allow allows members, but there are none")
