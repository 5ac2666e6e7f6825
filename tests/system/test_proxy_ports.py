"""Which port a node is reached on from where, on a host whose nodes register what they like."""

import contextlib
import os
import socket
from pathlib import Path

import pytest

import wire
from daemon import listening_addresses
from deadlines import scaled, wait_for
from members import free_base
from portoland import a_range, portoland  # noqa: F401
from proxied import Node, counted, echo, ended, front_of, front_ports, refused, send_name, streams

BASE = 4370


class Site(contextlib.ExitStack):
    """A daemon and its nodes on one host, callers on another one."""

    def __init__(self, pair, start):
        super().__init__()
        self.pair, self.start, self.daemon = pair, start, None

    def run(self, *flags, **options):
        with self.pair.here.entered():
            self.daemon = self.start(*flags, **{"port": BASE, **options})
        return self

    def node(self, name, **fields):
        with self.pair.here.entered():
            return self.enter_context(Node(BASE, name, **fields))

    def call(self, port, said=None):
        conn = self.enter_context(self.pair.there.connect(port, self.pair.here.address, seconds=scaled(5)))
        conn.sendall(said or send_name())
        return conn

    def asks(self, host, name):
        with host.connect(BASE, self.pair.here.address, seconds=scaled(5)) as conn:
            conn.sendall(wire.port_please(name))
            return wire.Found(wire.read_to_end(conn)).port

    def told(self, name):
        """The port of a node as callers of its own host and of another one are told it."""
        return self.asks(self.pair.here, name), self.asks(self.pair.there, name)

    def stream(self, node, port, said=None):
        said = said or send_name()
        caller = self.call(port, said)
        end = self.enter_context(node.accept())
        assert wire.read_exactly(end, len(said)) == said
        return caller, end

    def listeners(self, port):
        with self.pair.here.entered():
            return listening_addresses(port)

    def gone(self, node):
        node.close()
        wait_for(lambda: node.name not in front_ports(self.daemon), 5, f"the end of {node.name}")

    def assert_goes_on(self):
        before, good = len(streams(self.daemon)), self.node("good-40")
        assert self.told("good-40") == (good.port, BASE + 40)
        for end in self.stream(good, BASE + 40):
            end.close()
        wait_for(lambda: len(streams(self.daemon)) == before, 5)


@pytest.fixture
def site(pair, portoland):
    with Site(pair, portoland) as site:
        yield site


def test_a_numbered_node_has_a_port_of_its_own_as_long_as_it_is_registered(site):
    site.run()
    rabbit, emqx = site.node("rabbit"), site.node("emqx-7")
    assert site.told("rabbit") == (rabbit.port, BASE) and site.told("emqx-7") == (emqx.port, BASE + 7)
    echo(*site.stream(rabbit, BASE))
    ends = site.stream(emqx, BASE + 7)
    assert [(port["port"], port["names"]) for port in front_of(site.daemon)["ports"]] == [
        (BASE, ["rabbit"]), (BASE + 7, ["emqx-7"])]
    emqx.registration.close()
    wait_for(lambda: site.listeners(BASE + 7) == [], 5)
    echo(*ends)
    with pytest.raises(ConnectionRefusedError):
        site.call(BASE + 7)


# --- ports that lead nowhere, or back ---


def test_a_node_with_the_port_of_the_daemon_leads_to_no_loop(site):
    site.run()
    site.node("loop", port=BASE)
    site.node("loop-5", port=BASE)
    site.daemon.logged("no_front_port", "name=loop-5", "port of this daemon")
    assert front_ports(site.daemon) == {"loop": None, "loop-5": None}
    assert site.told("loop") == site.told("loop-5") == (BASE, BASE)
    assert ended(site.call(BASE)) == b""
    wait_for(lambda: refused(site.daemon) == 1, 5)
    assert counted(site.daemon) == {} and site.listeners(BASE + 5) == []
    site.assert_goes_on()


def test_nodes_that_lead_to_each_others_front_ports_are_no_loop(site):
    site.run()
    first = site.node("first-1")
    site.node("second-2", port=BASE + 1)  # where the daemon listens for the first
    site.daemon.logged("no_front_port", "name=second-2", "port of this daemon")
    assert site.told("second-2") == (BASE + 1, BASE + 1) and site.listeners(BASE + 2) == []
    echo(*site.stream(first, BASE + 1))

    site.node("third-3", port=BASE + 4)  # where nobody listens yet
    site.node("fourth-4", port=BASE + 3)
    site.daemon.logged("no_front_port", "name=fourth-4", "port of this daemon")
    assert site.told("third-3") == (BASE + 4, BASE + 3)
    assert ended(site.call(BASE + 3)) == b""
    wait_for(lambda: counted(site.daemon, "opened", "unreachable") == (2, 1), 5)

    site.node("fifth", port=BASE + 6)
    site.node("sixth-6")
    site.daemon.logged("no_front_port", "name=sixth-6", "the port belongs to another name")
    assert site.listeners(BASE + 6) == []
    site.assert_goes_on()


@pytest.mark.parametrize("name, port", [("shy", 0), ("shy-3", 0), ("remsh", 40001), ("remsh12-rabbit", 40001)])
def test_a_node_that_others_need_not_reach_has_no_front_port(site, name, port):
    site.run()
    site.node(name, port=port)
    assert front_ports(site.daemon) == {name: None} and site.told(name) == (port, port)
    assert ended(site.call(BASE)) == b""
    assert "no_front_port" not in site.daemon.log
    site.assert_goes_on()


def test_a_number_over_the_last_port_opens_none(portoland):
    daemon = portoland("--set", "node.name=portolan@127.0.0.1", "--set", "front.offset_max=59999", port=free_base(1))
    last = 65535 - daemon.port
    with contextlib.ExitStack() as held:
        for name, offset in ((f"n{last + 1}", 0), ("n59999", 0), ("n60000", 0), ("n60001", 1)):
            node = held.enter_context(Node(daemon.port, name))
            assert front_ports(daemon)[name] == daemon.port + offset
            assert wire.look_up(daemon.port, name).port == node.port


# --- ports that names must not open ---


@pytest.mark.parametrize("name, offset", [("app-7b77bc47b4-54123", 54123), ("vmq_1302", 1302), ("epmd-starter-3710", 3710)])
def test_digits_that_number_no_node_open_no_port(site, name, offset):
    """A process id, a date or the hash of a pod: 5672 is RabbitMQ's, and 8080 somebody's too."""
    site.run()
    node = site.node(name)
    assert site.told(name) == (node.port, BASE)
    assert site.listeners(BASE + offset) == []
    echo(*site.stream(node, BASE))


def test_each_port_that_a_name_opens_and_closes_has_a_line_in_the_log(site):
    site.run()
    first, second = site.node("emqx-7"), site.node("hare-7")
    site.daemon.logged("front_port_opened", f"front_port={BASE + 7}", "name=emqx-7")
    site.gone(first)
    site.gone(second)
    site.daemon.logged("front_port_closed", f"front_port={BASE + 7}", "name=hare-7")
    assert site.daemon.log.count("front_port_opened") == site.daemon.log.count("front_port_closed") == 1


def test_a_name_opens_neither_a_port_of_the_system_nor_epmds(site):
    site.run("--set", "epmd.port=1030", port=1000)
    with site.pair.here.entered():
        nodes = [site.enter_context(Node(1000, name)) for name in ("low-3", "epmd-30", "fine-31")]
    assert [front_ports(site.daemon)[node.name] for node in nodes] == [1000, 1000, 1031]
    assert site.listeners(1003) == site.listeners(1030) == []


def test_the_largest_offset_can_be_changed_while_nodes_run(site, tmp_path):
    conf = tmp_path / "portolan.conf"
    conf.write_text("")
    site.run("-c", conf)
    node = site.node("emqx-7")
    assert site.told("emqx-7") == (node.port, BASE + 7)
    ends = site.stream(node, BASE + 7)
    for most, front in ((6, BASE), (7, BASE + 7)):
        conf.write_text(f"front.offset_max = {most}\n")
        assert site.daemon.says("reload")["applied"] == ["front.offset_max"]
        assert site.told("emqx-7") == (node.port, front)
    assert site.listeners(BASE + 7) != []
    echo(*ends)


# --- ports that are shared or taken ---


def test_of_two_nodes_of_one_number_the_one_that_was_asked_for_is_met(site):
    site.run()
    one = site.node("one-6")
    with site.daemon.dial() as watch:
        assert watch.ask("watch")["ok"]
        two = site.node("two-6")
        event = next(event for event in iter(watch.reply, None) if event["event"] == "port_shared")
        assert (event["name"], event["port"], event["names"]) == ("two-6", BASE + 6, ["one-6", "two-6"])
    site.stream(one, BASE + 6)  # the owner's, for nobody was asked for
    for wanted, other in ((two, one), (one, two), (two, one)):
        assert site.told(wanted.name) == (wanted.port, BASE + 6)
        site.stream(wanted, BASE + 6, send_name(f"{wanted.name}-wanted@h.example.com"))
        assert other.met_nobody()
    assert counted(site.daemon, "opened", "guessed") == (4, 4)
    site.gone(one)
    site.stream(two, BASE + 6)
    assert site.listeners(BASE + 6) != [] and counted(site.daemon, "guessed") == (4,)


def test_a_node_that_listens_on_its_front_port_is_left_alone(site):
    site.run()
    emqx = site.node("emqx-9", at=BASE + 9)
    assert emqx.port == BASE + 9 and site.listeners(BASE + 9) == ["0.0.0.0"]
    assert front_ports(site.daemon) == {"emqx-9": None} and site.told("emqx-9") == (BASE + 9, BASE + 9)
    for end in site.stream(emqx, BASE + 9):
        end.close()
    assert counted(site.daemon) == {} and "no_front_port" not in site.daemon.log


def test_a_node_on_loopback_is_told_by_the_way_that_the_caller_came(site):
    site.run()
    secret = site.node("secret", address="127.0.0.1")
    assert site.told("secret") == (BASE, BASE)  # both came by an address where the node does not listen
    with site.pair.here.entered():
        assert wire.look_up(BASE, "secret").port == secret.port
    echo(*site.stream(secret, BASE))


def test_a_taken_front_port_is_gone_without_until_it_is_free(site):
    site.run()
    with site.daemon.dial() as watch:
        assert watch.ask("watch")["ok"]

        def event(kind):
            return next(event for event in iter(watch.reply, None) if event["event"] == kind)

        with site.pair.here.entered(), socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", BASE + 8))
            other.listen()
            emqx = site.node("emqx-8")
            holder = f"{Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"
            told = event("no_front_port")
            told = {name: told[name] for name in ("name", "port", "front_port", "reason", "holder")}
            assert told == {"name": "emqx-8", "port": emqx.port, "front_port": BASE + 8,
                            "reason": "Address already in use", "holder": holder}
            site.daemon.logged("no_front_port", "name=emqx-8", f'holder="{holder}"')
            assert site.told("emqx-8") == (emqx.port, emqx.port)
            site.assert_goes_on()
        given = event("front_port_given")
        assert (given["name"], given["port"], given["front_port"]) == ("emqx-8", emqx.port, BASE + 8)
        site.daemon.logged("front_port_given", "name=emqx-8", f"front_port={BASE + 8}")
    assert site.told("emqx-8") == (emqx.port, BASE + 8)
    echo(*site.stream(emqx, BASE + 8))


def test_a_port_that_is_leased_to_another_is_given_when_the_lease_ends(site):
    site.run(*a_range(1, BASE + 9))
    with site.pair.here.entered():
        assert site.daemon.lease("other@h") == BASE + 9
    emqx = site.node("emqx-9")
    site.daemon.logged("no_front_port", "name=emqx-9", "holder=other")
    site.daemon.says("lease", "other@h", "--release")
    site.daemon.logged("front_port_given", "name=emqx-9")
    assert site.told("emqx-9") == (emqx.port, BASE + 9)


def test_more_numbered_nodes_than_front_ports_are_all_registered(site):
    site.run(descriptors=160)
    most = 160 // 16
    nodes = [site.node(f"n{number}") for number in range(1, most + 4)]
    fronts = front_ports(site.daemon)
    assert [fronts[node.name] for node in nodes] == [*range(BASE + 1, BASE + most + 1), None, None, None]
    assert site.told(nodes[0].name) == (nodes[0].port, BASE + 1)
    assert site.told(nodes[-1].name) == (nodes[-1].port, nodes[-1].port)
    site.daemon.logged("no_front_port", f"name=n{most + 1}", "too many descriptors")
    site.gone(nodes[2])
    site.daemon.logged("front_port_given")
    assert sorted(port or 0 for port in front_ports(site.daemon).values())[:3] == [0, 0, BASE + 1]


# --- without the proxy ---


def test_the_proxy_is_turned_off_and_on_for_nodes_that_are_there(site, tmp_path):
    conf = tmp_path / "portolan.conf"

    def reload(proxy):
        conf.write_text(f"front.proxy = {proxy}\n")
        assert site.daemon.says("reload")["applied"] == ["front.proxy"]

    conf.write_text("")
    site.run("-c", conf)
    rabbit, emqx = site.node("rabbit"), site.node("emqx-7")
    ends = [site.stream(rabbit, BASE), site.stream(emqx, BASE + 7)]

    reload("off")
    assert front_ports(site.daemon) == {"rabbit": None, "emqx-7": None}
    assert site.told("rabbit") == (rabbit.port, rabbit.port) and site.told("emqx-7") == (emqx.port, emqx.port)
    assert site.listeners(BASE + 7) == [] and site.listeners(BASE) != []
    assert ended(site.call(BASE)) == b""
    site.daemon.logged("refused", 'reason="the proxy is off"')
    assert "the proxy is off" in site.daemon.call("status").stdout
    hare = site.node("hare-9")
    assert site.told("hare-9") == (hare.port, hare.port)
    for pair_of_ends in ends:
        echo(*pair_of_ends)

    reload("on")
    assert front_ports(site.daemon) == {"rabbit": BASE, "emqx-7": BASE + 7, "hare-9": BASE + 9}
    for node, front in ((rabbit, BASE), (emqx, BASE + 7), (hare, BASE + 9)):
        assert site.told(node.name) == (node.port, front)
        site.stream(node, front)
    for pair_of_ends in ends:
        echo(*pair_of_ends)


def test_without_the_proxy_nodes_have_their_own_ports_from_the_start(site):
    site.run("--set", "front.proxy=off")
    rabbit, emqx = site.node("rabbit"), site.node("emqx-7")
    assert site.told("rabbit") == (rabbit.port, rabbit.port) and site.told("emqx-7") == (emqx.port, emqx.port)
    assert ended(site.call(BASE)) == b"" and rabbit.met_nobody()
    assert front_of(site.daemon)["proxy"] is False and "no_front_port" not in site.daemon.log
