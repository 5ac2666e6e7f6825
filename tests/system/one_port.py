"""Hosts with a wall between them that lets one TCP port through, a daemon on each, and Erlang nodes
that find each other by it.
"""

import contextlib
import re
import subprocess

import pytest

import erl
from daemon import REPOSITORY
from deadlines import scaled, wait_for
from members import Members, Network, agree, nft, why_no_network

FRONT = 4370
# Nodes notice a cut wire after 4 s, not 60.
SHORT_TICK = ["-kernel", "net_ticktime", "4"]


def wall(host, *ports):
    """Only calls of these ports come in or go out; what belongs to a call goes both ways."""
    nft(
        host,
        "table inet wall {",
        f"set open {{ type inet_service; elements = {{ {', '.join(map(str, ports))} }}; }}",
        *(
            line
            for hook, interface in (("input", "iif"), ("output", "oif"))
            for line in (
                f"chain {hook} {{ type filter hook {hook} priority 0; policy drop;",
                f"{interface} lo accept; meta l4proto {{ icmp, ipv6-icmp }} accept;",
                "ct state established,related accept; tcp dport @open accept;",
                "}",
            )
        ),
        "}",
    )


def open_too(host, port):
    nft(host, f"add element inet wall open {{ {port} }}")


def why_impossible():
    return erl.missing() or why_no_network()


class Site(contextlib.ExitStack):
    """`count` hosts s1 … sN behind such walls, each with a daemon, all daemons in one cluster;
    nodes talk by `proto_dist`.
    """

    def __init__(self, directory, count, proto_dist="inet_tcp", **keys):
        super().__init__()
        self.directory, self.proto_dist = directory, proto_dist
        self.ipv6 = proto_dist.startswith("inet6")
        network = Network(count)
        self.callback(network.close)
        self.hosts = network.hosts
        self.names = directory / "hosts"
        self.names.write_text(
            "127.0.0.1 localhost\n::1 localhost\n"
            + "".join(f"{host.address} s{i}\n" for i, host in enumerate(self.hosts, 1))
        )
        for host in self.hosts:
            wall(host, FRONT)
        members = self.enter_context(Members(directory))
        self.daemons = [
            members.add(f"portolan@{self.address(host)}", host=host, names=self.names, **keys)
            for host in self.hosts
        ]
        for daemon in self.daemons:
            daemon.start()
        for daemon in self.daemons[1:]:
            daemon.join(self.daemons[0])
        agree(self.daemons)

    def address(self, host):
        return host.address6 if self.ipv6 else host.address

    def as_host(self, host):
        """Words before a command for which this host has a name, and knows those of the others."""
        script = 'mount --bind "$0" /etc/hosts && hostname "$1" && shift && exec "$@"'
        return ["unshare", "-m", "-u", "sh", "-c", script, self.names, self.name_of(host)]

    def name_of(self, host):
        return f"s{self.hosts.index(host) + 1}"

    def daemon_of(self, host):
        return self.daemons[self.hosts.index(host)]

    def streams(self):
        """How many connections of nodes the daemons move between hosts."""
        return sum(daemon.ask("status")["front"]["streams"] for daemon in self.daemons)

    def node(self, alive, host, *flags, private=False):
        """A node of that alive name, which may still be starting."""
        name = f"{alive}@{self.address(host)}"
        epmd_port, through = FRONT, ()
        if private:
            option = "--private6" if self.ipv6 else "--private"
            through = self.daemon_of(host).command("exec", option, name, "--")
            epmd_port = None
        with host.entered():
            node = erl.Node(
                name, epmd_port, self.directory, "-proto_dist", self.proto_dist, *flags, through=through
            )
        node.host = host
        self.callback(node.stop)
        return node

    def nodes(self, *flags):
        """`a` of each host, all started."""
        made = [self.node("a", host, *flags) for host in self.hosts]
        return [node.started() for node in made]


@pytest.fixture
def site(tmp_path):
    """Builds a site; it is gone after the test."""
    if reason := why_impossible():
        pytest.skip(reason)
    with contextlib.ExitStack() as built:
        yield lambda count, **options: built.enter_context(Site(tmp_path, count, **options))


@pytest.fixture(scope="session")
def code(tmp_path_factory):
    """Where the compiled module of rounds.erl is."""
    if reason := erl.missing():
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("ebin")
    source = REPOSITORY / "tests" / "system" / "rounds.erl"
    subprocess.run(["erlc", "-Werror", "-o", directory, source], check=True)
    return directory


def build_release(directory):
    """The boot file of a release that has kernel and stdlib only, without its extension."""
    build = (
        "[application:load(App) || App <- [kernel, stdlib]], "
        "V = fun(App) -> element(2, application:get_key(App, vsn)) end, "
        'Release = {release, {"plain", "1"}, {erts, erlang:system_info(version)}, '
        "[{App, V(App)} || App <- [kernel, stdlib]]}, "
        'ok = file:write_file("plain.rel", io_lib:format("~p.~n", [Release])), '
        'ok = systools:make_script("plain"), halt().'
    )
    command = ["erl", "-noinput", "-eval", build]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=scaled(30))
    return directory / "plain"


def is_mesh(nodes):
    """Whether each is connected with all others."""
    names = sorted(node.name for node in nodes)
    return all(
        node.evaluate("lists:sort([node() | nodes()])") == f"[{','.join(map(quoted, names))}]"
        for node in nodes
    )


def quoted(name):
    return f"'{name}'"


def connect_all(nodes):
    """Pings until all are connected with all."""

    def connected():
        for node in nodes:
            for other in nodes:
                if other is not node:
                    node.pings(other.name)
        return is_mesh(nodes)

    wait_for(connected, 30, lambda: str([node.evaluate("nodes()") for node in nodes]))


def exchange(nodes):
    """Every node sends a large and a small message to each other one, and gets them back."""
    for node in nodes:
        for other in nodes:
            if other is not node:
                assert (
                    node.evaluate(
                        f"(fun() -> B = rand:bytes(3000000), "
                        f"P = spawn('{other.name}', fun Echo() -> receive {{From, M}} -> "
                        "From ! {self(), M}, Echo() end end), "
                        "lists:all(fun(M) -> P ! {self(), M}, "
                        "receive {P, M} -> true after 10000 -> false end end, [small, B, last]) end)()"
                    )
                    == "true"
                ), f"{node.name} to {other.name}"


def drive(callers, targets, connects, seed):
    """Each caller connects so often in a random order of its own; how many had to be tried
    again."""
    names = ",".join(quoted(target.name) for target in targets)
    for number, caller in enumerate(callers):
        caller.ask(f"rounds:run({seed * 100 + number}, {connects}, [{names}])")
    retries = 0
    for caller in callers:
        answer = caller.answer(seconds=120)
        found = re.fullmatch(r"\{(\d+),(\d+),\[\]\}", answer)
        assert found and int(found[1]) == connects, f"{caller.name}: {answer}"
        retries += int(found[2])
    return retries
