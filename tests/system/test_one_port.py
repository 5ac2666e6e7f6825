"""Unmodified Erlang nodes of several hosts, with nothing but TCP 4370 open between the hosts."""

import json
import os
import re
import threading

import pytest

from daemon import listening_addresses
from deadlines import wait_for
from members import cut, heal
from one_port import (  # noqa: F401
    FRONT, SHORT_TICK, build_release, code, connect_all, drive, exchange, is_mesh, open_too, site,
)

LONG = os.environ.get("PORTOLAN_LONG")
CONNECTS = 1000
MOST_RETRIES = CONNECTS // 100


@pytest.mark.parametrize("proto_dist", ["inet_tcp", "inet6_tcp"])
def test_three_hosts_become_a_mesh(site, proto_dist):
    site = site(3, proto_dist=proto_dist)
    nodes = site.nodes()
    for node in nodes[1:]:
        assert nodes[0].pings(node.name)
    connect_all(nodes)
    exchange(nodes)
    with pytest.raises(TimeoutError):
        site.hosts[1].connect(nodes[0].listening_port, site.address(site.hosts[0]), seconds=0.3)


def test_a_mesh_survives_a_reconnect_and_a_cut_wire(site):
    site = site(3)
    nodes = one, two, three = site.nodes(*SHORT_TICK)
    connect_all(nodes)

    assert one.evaluate(f"erlang:disconnect_node('{two.name}')") == "true"
    wait_for(lambda: not is_mesh(nodes), 5, "the connection to be gone")
    connect_all(nodes)

    cut(three.host, one.host, two.host)
    wait_for(lambda: all(three.name not in node.evaluate("nodes()") for node in (one, two)), 20)
    wait_for(lambda: three.evaluate("nodes()") == "[]", 20, "the node that was cut off to know it")
    assert one.pings(two.name)
    heal(three.host)
    connect_all(nodes)
    exchange(nodes)
    wait_for(lambda: site.streams() == 3, 20, "the streams of the cut wire to be gone")


def test_a_name_with_digits_is_reached_on_its_own_port(site):
    site = site(2)
    here = site.node("emqx", site.hosts[0], "-kernel", "net_setuptime", "1").started()
    numbered = site.node("emqx-1", site.hosts[1]).started()

    def is_open():
        with site.hosts[1].entered():
            return listening_addresses(FRONT + 1)

    wait_for(is_open, 5, "the daemon to open the port of emqx-1")
    assert not here.pings(numbered.name), f"{FRONT + 1} is closed between the hosts"
    for host in site.hosts:
        open_too(host, FRONT + 1)
    assert here.pings(numbered.name)
    assert here.evaluate("nodes()") == f"['{numbered.name}']"
    numbered.stop()
    wait_for(lambda: not is_open(), 5, "the port to be closed with its node")


def test_a_node_that_is_started_as_a_release_starts_it_is_reached(site, tmp_path):
    """From a boot file of its own, everything loaded at the start, and its name in vm.args."""
    release = build_release(tmp_path)
    site = site(2)
    (tmp_path / "vm.args").write_text("-kernel net_ticktime 30\n+K true\n")
    flags = ["-boot", release, "-mode", "embedded", "-args_file", tmp_path / "vm.args"]
    nodes = [site.node("plain", host, *flags).started() for host in site.hosts]
    assert nodes[0].evaluate("init:script_id()") == '{"plain","1"}'
    connect_all(nodes)
    exchange(nodes)


# --- several nodes on one port ---


class CommandLines:
    """Short-lived nodes of one host, one after the other, as rabbitmqctl starts them."""

    def __init__(self, site, host, targets):
        self.site, self.host, self.targets = site, host, targets
        self.done, self.over, self.failure = 0, threading.Event(), None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.over.is_set():
                target = self.targets[self.done % len(self.targets)]
                tool = self.site.node(f"rabbitmqcli-{self.done}-rabbit", self.host, "-hidden")
                assert tool.started().pings(target.name)
                tool.stop()
                self.done += 1
        except Exception as failure:  # of any kind: the test is to fail by it
            self.failure = failure

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        if self.failure:
            raise self.failure


# No node connects but when it is told to, so that all that happens is what the test wants.
ALONE = ["-connect_all", "false", "-kernel", "dist_auto_connect", "never"]


@pytest.mark.parametrize("count", [2, 3])
def test_many_connects_never_end_at_the_wrong_node(site, code, count):
    """Names without digits share one port: what counts is which one the caller asked for."""
    site = site(3)
    flags = [*ALONE, "-pa", code]
    starting = [site.node(name, site.hosts[0], *flags) for name in ("a", "b", "c")[:count]]
    starting += [site.node("caller", host, *flags) for host in site.hosts[1:]]
    nodes = [node.started() for node in starting]
    targets, callers = nodes[:count], nodes[count:]

    with CommandLines(site, site.hosts[0], targets) as tools:
        retries = drive(callers, targets, CONNECTS // len(callers), seed=count)
    print(f"{count} nodes: {CONNECTS} connects, {retries} retries; {tools.done} command lines meanwhile")
    print(site.daemons[0].ask("status")["front"]["counters"])
    wait_for(lambda: site.streams() == 0, 5, "all streams to end")
    assert tools.done > 0
    assert retries <= MOST_RETRIES


def test_callers_of_one_host_at_once_never_end_at_the_wrong_node(site, code):
    """One name after the other is asked for, so that each caller meets the one that it wanted."""
    site = site(2)
    flags = [*ALONE, "-pa", code]
    starting = [site.node(name, site.hosts[0], *flags) for name in ("a", "b")]
    starting += [site.node(f"caller{letter}", site.hosts[1], *flags) for letter in "xyz"]
    nodes = [node.started() for node in starting]
    targets, callers = nodes[:2], nodes[2:]
    retries = drive(callers, targets, 100, seed=4)
    print(f"3 callers of one host at once: 300 connects, {retries} retries")
    counted = site.daemons[0].ask("status")["front"]["counters"]
    print(counted)
    assert counted["misled"] <= retries


# Five names without digits share a port. Of all connects under one in a thousand may fail.
FIVE = ("hare", "rabbit", "fox", "owl", "mole")
PARALLEL_ROUNDS = 1000 if LONG else 100


def five_and_a_caller(site, code, *flags):
    site = site(2)
    starting = [site.node(name, site.hosts[0], "-connect_all", "false") for name in FIVE]
    starting.append(site.node("caller", site.hosts[1], "-connect_all", "false", "+S", "4:4", *flags, "-pa", code))
    nodes = [node.started() for node in starting]
    names = ",".join(f"'{node.name}'" for node in nodes[:-1])
    return site, nodes[-1], f"[{names}]"


def hardly_any_fails(site, run):
    """`run(seed)` tells how many connects failed. One that comes too late, where the machine is so
    busy, fails too; it is tried again then.
    """
    connects = PARALLEL_ROUNDS * len(FIVE)
    may_fail = max(1, connects // 1000)
    late = 0
    for seed in range(3):
        failed = run(seed)
        front = site.daemons[0].ask("status")["front"]
        late, before = front["lookups"]["expired"], late
        print(f"{connects} connects, {failed} failed, {late - before} were late; {front['lookups']}")
        assert failed <= may_fail + late - before
        if failed <= may_fail:
            return
    pytest.fail("too many were late")


def test_parallel_connects_to_five_names_of_one_port_do_not_fail(site, code):
    """Erlang does not call again by itself: a connection to the wrong node is a failed one."""
    site, caller, targets = five_and_a_caller(site, code, "-kernel", "dist_auto_connect", "never")

    def run(seed):
        caller.ask(f"rounds:parallel({seed}, {PARALLEL_ROUNDS}, {targets})")
        failed = re.fullmatch(r"\{(\d+),\[\]\}", caller.answer(seconds=600))
        return int(failed[1])

    hardly_any_fails(site, run)


def test_multicalls_to_five_names_of_one_port_have_no_bad_nodes(site, code):
    site, caller, targets = five_and_a_caller(site, code)
    hardly_any_fails(
        site, lambda _: int(caller.evaluate(f"rounds:multicalls({PARALLEL_ROUNDS}, {targets})", seconds=600))
    )


# --- private nodes, and what can be seen of it all ---


@pytest.mark.parametrize("proto_dist", ["inet_tcp", "inet6_tcp"])
def test_a_private_node_is_reached_through_the_front_port_alone(site, proto_dist):
    site = site(2, proto_dist=proto_dist)
    private = site.node("secret", site.hosts[0], private=True).started()
    others = site.nodes()
    with site.hosts[0].entered():
        assert listening_addresses(private.listening_port) == ["::1" if site.ipv6 else "127.0.0.1"]
    assert all(node.pings(private.name) for node in others)
    connect_all([private, *others])
    exchange([private, others[-1]])


def test_streams_are_listed_and_counted_while_nodes_are_connected(site):
    site = site(2)
    one, two = site.nodes()
    daemon = site.daemon_of(two.host)
    assert daemon.ask("streams")["streams"] == []
    resolved = site.daemon_of(one.host).portolan("resolve", two.name).stdout
    assert resolved.startswith(f"{two.host.address}:{FRONT} "), resolved
    assert one.pings(two.name)
    exchange([one, two])

    (stream,) = json.loads(daemon.portolan("streams", "--json").stdout)["streams"]
    print(stream)
    assert (stream["node"], stream["peer"], stream["front_port"]) == ("a", one.name, FRONT)
    assert stream["address"].startswith(f"{one.host.address}:")
    assert stream["since_s"] in range(60) and not stream["tls"]
    assert min(stream["bytes_in"], stream["bytes_out"]) > 6_000_000  # to and fro, from both
    text = daemon.portolan("streams").stdout
    print(text)
    assert len(text.splitlines()) == 2 and one.name in text
    assert "1 through the front ports" in daemon.portolan("status").stdout
    assert site.streams() == 1

    assert one.evaluate(f"erlang:disconnect_node('{two.name}')") == "true"
    wait_for(lambda: daemon.ask("streams")["streams"] == [], 5, "the stream to end")
    assert daemon.ask("status")["front"]["counters"]["bytes_in"] > 6_000_000
