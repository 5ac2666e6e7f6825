"""Names to ports with a real daemon and real nodes: leases, ranges, enforcement, and where a node
is said to be."""

import json
import re
import socket
import struct
from pathlib import Path

import pytest

import erl
import wire
from daemon import Daemon, our_epmd
from deadlines import wait_for
from portolan_cli import portolan, words
from portoland import Portoland, Watch, a_range, free_range, portoland  # noqa: F401

LISTEN = "0A"  # the state, in /proc/net/tcp

needs_erl = pytest.mark.skipif(erl.missing() is not None, reason=str(erl.missing()))


@pytest.fixture
def run(tmp_path):
    """Starts nodes through `portolan exec`."""
    started = []

    def start(server, name, *flags, exec_options=(), through=None, **options):
        through = through or words("--socket", server.socket, "exec", *exec_options, name, "--")
        started.append(erl.Node(name, None, tmp_path, *flags, through=through, **options))
        return started[-1]

    yield start
    for node in started:
        node.stop()


def stopped(server, node):
    """The node has ended, and its daemon knows."""
    node.stop()
    alive = node.name.split("@")[0]
    wait_for(lambda: alive not in server.leases(), 5, f"the end of {alive}'s port")


# --- nodes ---

@needs_erl
def test_ten_nodes_of_ten_ports(portoland, run):
    first = free_range(10, [6369])
    server = portoland("--set", "node.port_policy=range", "--set", "node.port_enforce=on", *a_range(10, first))
    names = [f"n{number}@127.0.0.1" for number in range(10)]

    nodes = {name: run(server, name) for name in names}
    for node in nodes.values():
        node.started()
    ports = {name: node.listening_port for name, node in nodes.items()}
    assert sorted(ports.values()) == list(range(first, first + 10))
    assert server.leases() == {name.split("@")[0]: (port, True) for name, port in ports.items()}
    caller = nodes[names[0]]
    assert [name for name in names[1:] if not caller.pings(name)] == []
    assert len(server.says("names")["names"]) == 10

    refused = server.call("exec", "n10@127.0.0.1", "--", "erl")
    assert refused.returncode == 1
    assert f"no port is free in {first}-{first + 9}" in refused.stderr
    holders = dict(line.split() for line in refused.stderr.splitlines()[2:])
    assert holders == {str(port): name.split("@")[0] for name, port in ports.items()}

    low, high = sorted([names[3], names[8]], key=ports.get)
    for name in (low, high):
        stopped(server, nodes[name])
    for name in (high, low):  # the higher first: the lowest free port is not its own
        nodes[name] = run(server, name).started()
        assert nodes[name].listening_port == ports[name]
    assert all(caller.pings(name) for name in (low, high) if name != caller.name)


@needs_erl
def test_a_lease_ends_with_its_node(portoland, run):
    server = portoland()
    node = run(server, "one@127.0.0.1").started()
    assert server.leases() == {"one": (node.listening_port, True)}
    assert server.call("lease", "one", "--release").returncode == 4
    node.crash()
    wait_for(lambda: server.leases() == {}, 5, "the end of the lease")


@needs_erl
def test_exec_keeps_what_is_in_the_flags_already(portoland, run):
    server = portoland()
    node = run(server, "one@127.0.0.1", env={"ERL_AFLAGS": "-portolan_test yes"}).started()
    assert node.evaluate("init:get_argument(portolan_test)") == '{ok,[["yes"]]}'
    assert node.listening_port == server.leases()["one"][0]


@needs_erl
@pytest.mark.parametrize("name, exec_options, flags, address", [
    ("one@127.0.0.1", [], [], "0.0.0.0"),
    ("one@127.0.0.1", ["--private"], [], "127.0.0.1"),
    ("one@127.0.0.1", ["--private"], ["-kernel", "inet_dist_use_interface", "{0,0,0,0}"], "127.0.0.1"),
    ("one@::1", ["--private6"], ["-proto_dist", "inet6_tcp"], "::1")],
    ids=["open", "private", "in place of the program's own", "IPv6"])
def test_a_private_node_listens_on_the_loopback_only(portoland, run, name, exec_options, flags, address):
    if ":" in address and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    server = portoland()
    one = run(server, name, *flags, exec_options=exec_options).started()
    assert listening_addresses(server.leases()["one"][0]) == {address}
    other = run(server, name.replace("one", "two"), *flags).started()
    assert other.pings(name)


def listening_addresses(port):
    """Where the kernel says that somebody listens on the port."""
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        lines = Path("/proc/net", table).read_text().splitlines() if Path("/proc/net", table).exists() else []
        for local, state in ((line.split()[1], line.split()[3]) for line in lines[1:]):
            address, number = local.split(":")
            if state == LISTEN and int(number, 16) == port:
                packed = b"".join(struct.pack("=I", int(address[at:at + 8], 16)) for at in range(0, len(address), 8))
                found.add(socket.inet_ntop(family, packed))
    return found


@needs_erl
def test_a_node_on_a_stray_port_is_refused_and_told_of(portoland, run, tmp_path):
    first = free_range(10)
    server = portoland("--set", "node.port_policy=range", "--set", "node.port_enforce=on", *a_range(10, first))
    watch, events = Watch(server), Watch(server, "--json")
    try:
        stray = erl.Node("stray@127.0.0.1", server.port, tmp_path)
        assert stray.ended() and stray.process.returncode != 0
        line = server.logged("warn refused what=registration name=stray", 'reason="the port is outside the range"')
        port = int(re.search(r"port=(\d+)", line)[1])
        assert not first <= port < first + 10
        assert f"  refused       stray  port {port}: the port is outside the range (127.0.0.1:" in watch.line_with("stray")
        event = json.loads(events.line_with("stray"))
        assert {key: event[key] for key in ("v", "event", "what", "name", "port", "reason")} == {
            "v": 1, "event": "refused", "what": "registration", "name": "stray", "port": port,
            "reason": "the port is outside the range"}
        assert server.leases() == {}
        run(server, "stray@127.0.0.1").started()
        assert "  registered    stray  port " in watch.line_with("registered")
    finally:
        watch.end()
        events.end()
        stray.stop()


@needs_erl
def test_a_node_on_the_port_of_the_rule(run, tmp_path):
    base = free_range(12)  # for the rule; the daemon itself is on offset 9
    server = Portoland(tmp_path, "--set", f"node.dist_base_port={base}", "--set", "node.name=portolan9@127.0.0.1",
                       "--set", "node.port_policy=derived", "--set", "node.port_enforce=on", port=base + 9)
    with server:
        node = run(server, "emqx-3@127.0.0.1").started()
        assert node.listening_port == base + 3
        assert server.call("lease", "other3").returncode == 1
        taken = json.loads(server.call("lease", "other3", "--json").stdout)
        assert taken["error"]["code"] == "port_taken"
        assert [holder["name"] for holder in taken["error"]["holders"]] == ["emqx-3"]
        assert json.loads(server.call("lease", "remsh1", "--json").stdout)["error"]["code"] == "no_port"
        conn, answer = wire.register(server.port, "x1", port=base + 2)
        conn.close()
        assert answer.result != 0
        server.logged("refused", "name=x1", "is not the one derived from this name")


# --- leases ---

def test_a_thousand_simultaneous_requests_get_a_thousand_ports(portoland):
    server = portoland("--set", "node.dist_listen_min=20000", "--set", "node.dist_listen_max=21499")
    callers = [server.dial() for _ in range(50)]
    for number, caller in enumerate(callers):  # all have asked before any reads
        for which in range(20):
            caller.request("lease", node=f"n{number}x{which}@h")
    replies = [caller.reply() for caller in callers for _ in range(20)]
    for caller in callers:
        caller.close()
    ports = {reply["port"] for reply in replies}
    assert len(replies) == len(ports) == 1000
    assert min(ports) >= 20000 and max(ports) <= 21499
    assert {reply["node"]: reply["port"] for reply in replies} == {
        f"{name}@h": port for name, (port, _) in server.leases().items()}


def test_the_status_counts_as_leased_what_waits_for_its_node(portoland):
    server = portoland()
    server.lease("waits@h")
    with wire.register(server.port, "stays", port=20001)[0]:
        assert "1 registered, 1 leased\n" in server.call("status").stdout


@pytest.mark.parametrize("end", [Daemon.crash, Daemon.stop], ids=["SIGKILL", "SIGTERM"])
def test_leases_survive_a_restart(portoland, end):
    server = portoland()
    ports = {name: server.lease(name) for name in ("a", "b", "c", "gone")}
    server.says("lease", "gone", "--release")
    with wire.register(server.port, "a", port=ports["a"])[0]:
        state = server.directory / f"ports-{server.port}"
        wait_for(lambda: state.exists() and b" 63\n" in state.read_bytes() and b"\nlease %d" % ports["gone"]
                 not in state.read_bytes(), 5, "the state on disk")
        end(server)
    server.start()
    assert server.leases() == {name: (ports[name], False) for name in ("a", "b", "c")}
    assert all(0 < entry["expires_in_ms"] <= 60000 for entry in server.says("leases")["leases"])
    assert server.lease("d") not in {ports[name] for name in ("a", "b", "c")}
    assert server.lease("a") == ports["a"]


def test_what_was_said_to_be_promised_survives_a_crash_at_once(portoland):
    server = portoland()
    for number in range(10):
        with server.dial() as control:
            assert control.ask("lease", node=f"n{number}")["ok"]
            server.crash()
        server.start()
        assert f"n{number}" in server.leases()


def test_a_lease_that_ended_with_its_node_does_not_come_back_by_a_crash(portoland):
    server = portoland()
    wire.register(server.port, "a", port=server.lease("a"))[0].close()
    wait_for(lambda: server.leases() == {}, 5, "the end of the lease")
    state = server.directory / f"ports-{server.port}"
    wait_for(lambda: b"lease " not in state.read_bytes(), 5, "the end of the lease to be saved")
    server.crash()
    server.start()
    assert server.leases() == {}


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_leased_port_is_really_free(portoland, address):
    first = free_range(3)
    server = portoland(*a_range(3, first))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stranger.bind((address, first))
        except OSError as error:
            pytest.skip(f"no {address} on this machine: {error}")
        stranger.listen()
        assert server.lease("a") == first + 1
        assert server.lease("b") == first + 2
        full = server.call("lease", "c")
        assert full.returncode == 1 and "no port is free" in full.stderr
    assert server.lease("c") == first


def test_a_lease_is_given_back(portoland):
    server = portoland()
    port = server.lease("a")
    assert server.call("lease", "a", "--release").returncode == 0
    assert server.leases() == {}
    assert server.call("lease", "a", "--release").returncode == 4
    assert server.lease("b") == port  # the lowest, and nobody's now
    server.logged("info leased name=a")
    server.logged("info lease_ended name=a", "reason=released")


def test_a_lease_that_nobody_uses_is_one_for_a_minute(portoland):
    server = portoland()
    with server.dial() as control:
        first = control.ask("lease", node="a@h")
        again = control.ask("lease", node="a@h")
        left = control.ask("leases")["leases"][0]["expires_in_ms"]
    assert (first["expires_in_ms"], first["held"], first["epmd_port"]) == (60000, False, server.port)
    assert again["port"] == first["port"] and 59000 < left <= 60000


def test_a_front_port_in_the_range_is_leased_to_nobody_and_said_to_be_one(tmp_path):
    base = free_range(10)
    server = Portoland(tmp_path, "--set", f"node.dist_base_port={base}", "--set", "node.name=portolan9@127.0.0.1",
                       *a_range(2, base + 1), port=base + 9)
    with server:
        with wire.register(server.port, "emqx-1", port=40000)[0]:
            wait_for(lambda: any(entry["front"] for entry in server.says("leases")["leases"]), 5, "the front port")
            assert server.lease("a") == base + 2
            assert list(map(str.strip, server.call("leases").stdout.splitlines()[1:])) == [
                f"{base + 1}  emqx-1  front port", f"{base + 2}  a       leased for 1m", "40000  emqx-1  registered"]
            full = server.call("lease", "b")
            assert full.returncode == 1 and f"{base + 1}  front port of emqx-1\n" in full.stderr
        wait_for(lambda: "emqx-1" not in server.call("leases").stdout, 5, "the front port to be closed")
        assert server.lease("b") == base + 1


# --- where is a node? ---

@pytest.fixture
def known(pair, tmp_path):
    """This host with a node on its daemon, and another host with one that only its epmd knows."""
    (tmp_path / "there").mkdir()
    here, there = Portoland(tmp_path, port=4370), Daemon(our_epmd(), tmp_path / "there", port=4369)
    with pair.here.entered():
        here.start()
        own = wire.register(4370, "rabbit", port=25672)[0]
    with pair.there.entered():
        there.start()
        other = wire.register(4369, "hare", port=25673)[0]
    yield here
    own.close()
    other.close()
    here.stop()
    there.stop()


@pytest.mark.parametrize("node, place, source, text", [
    ("rabbit@10.77.0.1", "10.77.0.1:25672", "registered", "(registered; from other hosts 4370)"),
    ("rabbit@localhost", "localhost:25672", "registered", "(registered; from other hosts 4370)"),
    ("hare@10.77.0.2", "10.77.0.2:25673", "epmd", "(epmd at 10.77.0.2)"),
    ("emqx-3@10.77.0.2", "10.77.0.2:4373", "derived", "(derived from the name; unknown to epmd)"),
    ("emqx-3@10.77.0.1", "10.77.0.1:4373", "derived", "(derived from the name; unknown to epmd)")])
def test_where_a_node_is_and_who_says_so(pair, known, node, place, source, text):
    with pair.here.entered():
        call = known.call("resolve", "--derive", node)
        assert (call.returncode, call.stdout) == (0, f"{place}  {text}\n"), call.stderr
        assert (call.stderr != "") == (source == "derived")
        told = known.says("resolve", "--derive", node)
        assert (f"{told['host']}:{told['port']}", told["source"]) == (place, source)


def test_a_node_that_nobody_knows_is_an_error(pair, known):
    with pair.here.entered():
        assert known.call("resolve", "emqx-3@10.77.0.2").returncode == 4
        assert known.call("resolve", "hare@10.77.0.2").returncode == 0


def test_a_host_can_be_asked_without_a_daemon_here(pair, known):
    with pair.there.entered():
        call = portolan("--socket", "/nonexistent", "resolve", "rabbit@10.77.0.1")
        assert (call.returncode, call.stdout) == (0, "10.77.0.1:4370  (epmd at 10.77.0.1)\n")
        call = portolan("--socket", "/nonexistent", "names", "10.77.0.2")
        assert (call.returncode, call.stdout) == (0, "NAME   PORT\nhare  25673\n")
