"""Splits of a cluster of three hosts with real Erlang nodes: what comes and goes meanwhile is known
everywhere after the heal, and nothing is lost.

A split is long and asks little of the machine: all scenarios run at the same time, each on a
network of its own, and the tests wait for their ends.

    PORTOLAN_LONG    if set, the split of six minutes too: `make check-long`
"""

import contextlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

import erl
from deadlines import wait_for
from erl import Node
from members import Members, Network, agree, heal, lose, why_no_network

pytestmark = pytest.mark.skipif(erl.missing() is not None, reason=str(erl.missing()))

# Of the cluster's own rules: the longest pause between two calls of members that are down, or that
# were all cleaned; the deadline of a call; the longest time between two comparisons with a link.
PAUSE_DOWN_S, PAUSE_CLEANED_S = 30, 120
CALL_S, COMPARISON_S = 5, 6.25

# What a registry and the directory tell of a node alike.
COMPARED = ("port", "front_port", "type", "creation")

ALL_APART = ((0,), (1,), (2,))
ONE_FROM_TWO = ((0,), (1, 2))


class Split(NamedTuple):
    """`parts` are the hosts, by their places, that hear each other."""

    title: str
    seconds: int
    parts: tuple
    autoclean_s: int = 0

    @property
    def cleans(self):
        return self.autoclean_s > 0

    @property
    def heal_bound_s(self):
        """From the heal to equal directories. Pauses grow with the split: none is longer than all
        before it."""
        return min(self.seconds, PAUSE_CLEANED_S if self.cleans else PAUSE_DOWN_S) + CALL_S + COMPARISON_S

    def together(self, a, b):
        return any(a in part and b in part for part in self.parts)


SPLITS = [
    Split("30s_one_from_two", 30, ONE_FROM_TWO),
    Split("30s_all_apart", 30, ALL_APART),
    Split("45s_autoclean_10s", 45, ALL_APART, autoclean_s=10),
]
LONG_SPLITS = [Split("6min_autoclean_10s", 360, ONE_FROM_TWO, autoclean_s=10)]
ONLY_LONG = pytest.mark.skipif(not os.environ.get("PORTOLAN_LONG"), reason="takes 6 minutes; `make check-long` runs it")


class Site:
    """A host, its daemon, and the nodes that run there."""

    def __init__(self, member, directory):
        self.member, self.homes = member, directory
        self.host, self.name = member.host, member.name
        self.nodes, self.begun = {}, []

    def node_name(self, alive_name):
        return f"{alive_name}@{self.host.address}"

    def begin(self, *alive_names):
        """Nodes that boot together, in a new life each."""
        for alive_name in alive_names:
            with self.member.entered():
                node = Node(self.node_name(alive_name), self.member.port, self.homes)
            self.nodes[alive_name] = node
            self.begun.append(node)
        for alive_name in alive_names:
            self.nodes[alive_name].started()

    def come_and_go(self):
        self.nodes.pop("goes").stop()
        self.nodes["again"].crash()
        wait_for(lambda: set(self.registry()) == {"stays"}, 10, f"the end of two registrations at {self.name}")
        self.begin("again", "comes")

    def stop(self):
        for node in self.begun:
            node.stop()

    # --- what the daemon says ---

    def says(self, *words):
        call = self.member.portolan(*words, "--json")
        assert call.returncode == 0, (call.stdout, call.stderr)
        return json.loads(call.stdout)

    def registry(self):
        """Of the nodes of this host: alive name -> what is known of it."""
        return {name["name"]: tuple(name[key] for key in COMPARED) for name in self.says("names")["names"]}

    def registrations(self):
        """The same as a directory should have them."""
        return {self.node_name(name): (*facts, self.name, "alive") for name, facts in self.registry().items()}

    def directory(self):
        """Of all members, as far as this one knows: node -> what is known of it, the member, and
        the member's state."""
        return {
            f"{name['name']}@{name['host']}": tuple(
                name[key] for key in (*COMPARED, "member", "member_state")
            )
            for name in self.says("names", "--cluster")["names"]
        }

    def running(self):
        """What the directory has of members that run."""
        return {node: facts for node, facts in self.directory().items() if facts[-1] == "alive"}

    def is_whole(self):
        """Every member is up, and linked with this one: of three all are."""
        members = self.says("cluster", "status")["members"]
        return len(members) == 3 and all(
            member["state"] == "alive" and (member["self"] or member["linked"]) and not member["path_broken"]
            for member in members
        )

    def logged(self, *events):
        """(event, of what or whom), in their order."""
        lines = [line.split() for line in self.member.log.splitlines()]
        return [(words[2], words[3].partition("=")[2]) for words in lines if len(words) > 3 and words[2] in events]


def union(sites):
    return {node: facts for site in sites for node, facts in site.registrations().items()}


def wait_for_equal(sites, read, seconds, what):
    """Until what each site's `read` says is what their registries have; how long that took."""
    began = time.monotonic()
    wanted = union(sites)

    def differences():
        found = [(site.name, read(site)) for site in sites]
        return [(name, sorted(wanted.items() ^ known.items())) for name, known in found if known != wanted]

    wait_for(lambda: not differences(), seconds, lambda: f"{what}: {differences()}")
    return time.monotonic() - began


# --- the scenario ---


def build_cluster(split, directory, stack):
    network = Network(3)
    stack.callback(network.close)
    members = stack.enter_context(Members(directory))
    keys = {"cluster__autoclean": f"{split.autoclean_s}s"} if split.cleans else {}
    started = [members.add(f"emqx@{host.address}", host=host, **keys).start() for host in network.hosts]
    for member in started[1:]:
        member.join(started[0])
    agree(started)
    sites = [Site(member, directory) for member in started]
    for site in sites:
        stack.callback(site.stop)
        site.begin("stays", "goes", "again")
    wait_for_equal(sites, Site.directory, 10, "directories before the split")
    return sites


def others_apart(split, sites, place):
    return [other for i, other in enumerate(sites) if not split.together(place, i)]


def cut_apart(split, sites):
    for place, site in enumerate(sites):
        lose(site.host, *(other.host for other in others_apart(split, sites, place)))


def are_apart(split, sites, state):
    """Whether each daemon gives this state to all that it cannot hear; who was cleaned has none."""
    found = [
        sites[place].member.members().get(other.name)
        for place in range(len(sites))
        for other in others_apart(split, sites, place)
    ]
    return set(found) == {state}


def check_parts(split, sites):
    """Each part goes on by itself, and knows nothing of what came elsewhere."""
    for part in split.parts:
        here = [sites[place] for place in part]
        wait_for_equal(here, Site.running, 10, f"{split.title}: the directory of a part")
        for site in here:
            for other in others_apart(split, sites, part[0]):
                assert other.node_name("comes") not in site.directory()


def live(split, directory, over):
    """From the cluster's birth to the checks after the heal; lines with the figures."""
    with contextlib.ExitStack() as stack:
        sites = build_cluster(split, directory, stack)
        cluster_id = sites[0].says("cluster", "status")["id"]
        before = union(sites)
        cut_apart(split, sites)
        began = time.monotonic()
        wait_for(lambda: are_apart(split, sites, "down"), 20, f"{split.title}: down")
        down_s = time.monotonic() - began
        for site in sites:
            site.come_and_go()
        check_parts(split, sites)
        cleaned_s = None
        if split.cleans:
            wait_for(lambda: are_apart(split, sites, None), split.autoclean_s + 20, f"{split.title}: cleaned")
            cleaned_s = time.monotonic() - began

        # The split's length is what is tried: nothing ends it sooner but the end of the run.
        assert not over.wait(began + split.seconds - time.monotonic()), "the run was ended"
        assert are_apart(split, sites, None if split.cleans else "down")
        check_parts(split, sites)

        split_s = time.monotonic() - began
        for site in sites:
            heal(site.host)
        equal_s = wait_for_equal(sites, Site.directory, split.heal_bound_s, f"{split.title}: directories after it")
        check_nothing_is_lost(split, sites, before, cluster_id)
        cleaned = f"cleaned after {cleaned_s:.1f} s, " if split.cleans else ""
        return (
            f"{split.title}: down after {down_s:.1f} s, {cleaned}healed after {split_s:.1f} s, "
            f"directories equal {equal_s:.2f} s later (bound {split.heal_bound_s:g} s)"
        )


# --- what holds afterwards ---


def check_nothing_is_lost(split, sites, before, cluster_id):
    for site in sites:
        wait_for(site.is_whole, 10, lambda: f"{split.title}: {site.says('cluster', 'status')}")
        assert site.says("cluster", "status")["id"] == cluster_id
        assert set(site.registry()) == {"stays", "again", "comes"}
    after = union(sites)
    for site in sites:
        assert after[site.node_name("stays")] == before[site.node_name("stays")]
        assert after[site.node_name("again")] != before[site.node_name("again")]
        assert site.directory() == after
        check_resolving(site, sites, after)
        check_events(split, sites, site)
    for site in sites:
        for node in after:
            reached = node == site.node_name("stays") or site.nodes["stays"].pings(node)
            # each ping makes all nodes of two hosts connect at once, over one port: `misled` tells
            # of wrong guesses
            assert reached, (site.name, node, [other.says("status")["front"]["counters"] for other in sites])


def check_resolving(site, sites, directory):
    """Each node is found from each host, and one that has gone is not."""
    for node, (port, front_port, *_, member, _) in directory.items():
        found = site.says("resolve", node)
        ports = (found["own_port"], found["front_port"])
        assert (found["source"], ports, found["member"]) == ("registered", (port, front_port), member), found
        assert found["host"] == node.partition("@")[2]
    for other in sites:
        gone = site.member.portolan("resolve", other.node_name("goes"))
        assert gone.returncode == 4, (gone.stdout, gone.stderr)


def check_events(split, sites, site):
    """Those who were cut off went down and came up again, nobody else did, and no registration
    ended but the two."""
    place = sites.index(site)
    told = site.logged("member_down", "member_cleaned", "member_up", "member_left", "member_forced_out")
    for i, other in enumerate(sites):
        wanted = ["member_down", *(["member_cleaned"] if split.cleans else []), "member_up"]
        expected = [] if split.together(place, i) else wanted
        assert [event for event, of in told if of == other.name] == expected, (site.name, told)
    seen = [event for event, _ in site.logged("split_seen", "split_healed")]
    assert seen == ["split_seen", "split_healed"], (site.name, seen)
    assert site.logged("member_cleaned", "split_healed")[-1][0] == "split_healed"
    assert sorted(of for _, of in site.logged("unregistered")) == ["again", "goes"]


# --- the tests ---


@pytest.fixture(scope="module")
def scenarios(request, tmp_path_factory):
    """The end of each scenario that some test waits for."""
    if reason := why_no_network():
        pytest.skip(reason)
    here = [item for item in request.session.items if item.path == request.path]
    awaited = [item.callspec.params["split"] for item in here if not is_left_out(item)]
    over = threading.Event()
    with ThreadPoolExecutor(len(awaited)) as pool:
        yield {
            split: pool.submit(live, split, tmp_path_factory.mktemp(split.title), over) for split in awaited
        }
        over.set()


def is_left_out(item):
    return any(mark.args[0] for mark in item.iter_markers("skipif"))


@pytest.mark.parametrize(
    "split",
    [*SPLITS, *(pytest.param(split, marks=ONLY_LONG) for split in LONG_SPLITS)],
    ids=lambda split: split.title,
)
def test_nothing_is_lost_in_a_split(split, scenarios):
    print(scenarios[split].result())
