"""Unmodified Erlang nodes with our daemon: they find each other, come back, survive our end."""

import re
import subprocess
from pathlib import Path

import pytest

import erl
import wire
from daemon import end_holder, environment, free_port, holder_of, our_epmd, stock_epmd
from deadlines import scaled, wait_for
from erl import COOKIE, Node

pytestmark = pytest.mark.skipif(erl.missing() is not None, reason=str(erl.missing()))

RETRY_SECONDS = 2


@pytest.fixture
def node(tmp_path):
    """Starts nodes; `wait=False` leaves it to the test to see them start."""
    started = []

    def start(name, server_or_port, *flags, wait=True, **options):
        port = getattr(server_or_port, "port", server_or_port)
        started.append(Node(name, port, tmp_path, *flags, **options))
        return started[-1].started() if wait else started[-1]

    yield start
    for one in started:
        one.stop()


def is_registered(server, name):
    return wire.look_up(server.port, name).result == 0


def test_nodes_find_and_list_each_other(epmd, node):
    server = epmd()
    names = [f"n{number}@127.0.0.1" for number in range(3)]
    nodes = [one.started() for one in [node(name, server, wait=False) for name in names]]
    for one in nodes:
        assert all(one.pings(name) for name in names if name != one.name)
        assert one.names() == {"n0", "n1", "n2"}
    assert {name for name, _ in wire.list_names(server.port)[1]} == {"n0", "n1", "n2"}


def test_nodes_with_short_names_find_each_other(epmd, node):
    server = epmd()
    first = node("short1", server, short=True)
    second = node("short2", server, short=True)
    assert first.pings(second.evaluate("node()").strip("'"))


def test_a_node_is_found_at_the_port_it_listens_on(epmd, node):
    server = epmd()
    one = node("one@127.0.0.1", server)
    found = wire.look_up(server.port, "one")
    assert found.port == one.listening_port
    assert (found.type, found.protocol, found.name) == (wire.NORMAL_NODE, 0, b"one")
    assert found.highest >= 5


def test_a_hidden_node_is_listed_and_reached(epmd, node):
    server = epmd()
    hidden, normal = node("hidden@127.0.0.1", server, "-hidden"), node("normal@127.0.0.1", server)
    assert normal.names() == {"hidden", "normal"}
    assert normal.pings(hidden.name)
    assert normal.evaluate("nodes()") == "[]"
    assert normal.evaluate("nodes(hidden)") == "['hidden@127.0.0.1']"


def test_a_node_over_ipv6_is_found(epmd, node):
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 on this machine")
    server = epmd()
    first = node("six1@::1", server, "-proto_dist", "inet6_tcp")
    node("six2@::1", server, "-proto_dist", "inet6_tcp")
    assert first.pings("six2@::1")


def test_each_life_of_a_node_has_another_creation(epmd, node):
    server, creations = epmd(), []
    for _ in range(3):
        one = node("one@127.0.0.1", server)
        creations.append(one.creation)
        one.stop()
        wait_for(lambda: not is_registered(server, "one"), 5, "the end of the registration")
    assert len(set(creations)) == 3


def test_a_restarted_node_is_told_from_its_former_life(epmd, node):
    """A pid of the former life, kept by another node, must not name a process of the new one."""
    server = epmd()
    watcher, one = node("watcher@127.0.0.1", server), node("one@127.0.0.1", server)
    watcher.evaluate("persistent_term:put(old, rpc:call('one@127.0.0.1', erlang, whereis, [init]))")
    assert (
        watcher.evaluate(
            "rpc:call('one@127.0.0.1', erlang, is_process_alive, [persistent_term:get(old)])"
        )
        == "true"
    )
    one.crash()
    wait_for(lambda: not is_registered(server, "one"), 5, "the end of the registration")
    wait_for(lambda: watcher.evaluate("nodes()") == "[]", 10, "the watcher to see the node go")
    node("one@127.0.0.1", server)
    assert watcher.pings("one@127.0.0.1")
    same = "rpc:call('one@127.0.0.1', erlang, whereis, [init]) =:= persistent_term:get(old)"
    assert watcher.evaluate(same) == "false"


def test_a_crashed_node_is_gone_at_once(epmd, node):
    server = epmd()
    one, other = node("one@127.0.0.1", server), node("other@127.0.0.1", server)
    one.crash()
    wait_for(lambda: not is_registered(server, "one"), 2, "the end of the registration")
    assert other.evaluate("net_adm:ping('one@127.0.0.1')") == "pang"
    assert other.names() == {"other"}


def test_a_second_node_of_one_name_does_not_start(epmd, node):
    server = epmd()
    first = node("one@127.0.0.1", server)
    assert "seems to be in use" in node("one@127.0.0.1", server, wait=False).ended()
    assert is_registered(server, "one")
    assert first.evaluate("node()") == "'one@127.0.0.1'"


def test_nodes_are_found_again_after_the_daemon_was_killed(epmd, node, tmp_path):
    """They try every 2 s; meanwhile what is connected stays so."""
    server = epmd()
    first, second = node("first@127.0.0.1", server), node("second@127.0.0.1", server)
    assert first.pings(second.name)
    creation = first.creation
    server.crash()
    assert first.pings(second.name)
    server = epmd(port=server.port)
    for name in ("first", "second"):
        wait_for(
            lambda: is_registered(server, name), 3 * RETRY_SECONDS, f"{name} to register again"
        )
    assert first.creation == creation
    newcomer = node("newcomer@127.0.0.1", server)
    assert newcomer.pings(first.name) and newcomer.pings(second.name)
    assert newcomer.names() == {"first", "second", "newcomer"}
    assert newcomer.creation != creation


def test_a_node_starts_our_daemon_itself(node, tmp_path):
    """Nodes run `epmd -daemon` when they boot; ours is there by the time they ask."""
    port = free_port()
    started = {"start_epmd": True, "env": {"PORTOLAN_NODE__DATA_DIR": str(tmp_path)}}
    try:
        first = node("first@127.0.0.1", port, "-epmd", f"{our_epmd()} -daemon", **started)
        daemon = holder_of(port)
        assert Path(f"/proc/{daemon}/exe").resolve() == Path(our_epmd()).resolve()
        second = node("second@127.0.0.1", port, "-epmd", f"{our_epmd()} -daemon", **started)
        assert holder_of(port) == daemon
        assert first.pings(second.name)
        first.stop()
        assert second.names() == {"second"}
    finally:
        end_holder(port)


def test_a_node_that_starts_stock_epmd_beside_ours_uses_ours(epmd, node):
    if stock_epmd() is None:
        pytest.skip("no stock epmd on this machine")
    server = epmd()
    node("one@127.0.0.1", server, "-epmd", f"{stock_epmd()} -daemon", start_epmd=True)
    assert is_registered(server, "one")
    assert holder_of(server.port) == server.pid


def test_erl_call_finds_a_node(epmd, node, tmp_path):
    tools = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/erl_call"))
    if not tools:
        pytest.skip("no erl_call on this machine")
    server = epmd()
    node("called@127.0.0.1", server)
    called = subprocess.run(
        [tools[-1], "-c", COOKIE, "-name", "called@127.0.0.1", "-a", "erlang node"],
        text=True,
        env=environment(tmp_path, ERL_EPMD_PORT=server.port),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=scaled(20),
    )
    assert called.stdout == "'called@127.0.0.1'", called.stderr


def test_a_client_of_the_old_protocol_lives_beside_a_new_node(epmd, node):
    """Distribution version 5: a 16-bit reply with a creation of 1 to 3, another one each time."""
    server = epmd()
    newer = node("newer@127.0.0.1", server)
    creations = []
    for _ in range(4):
        old, answer = wire.register(server.port, "old", highest=5, lowest=5, port=4242)
        assert (answer.opcode, answer.result) == (121, 0)
        creations.append(answer.creation)
        assert newer.names() == {"newer", "old"}
        assert newer.evaluate('erl_epmd:port_please("old", {127,0,0,1})') == "{port,4242,5}"
        old.close()
        wait_for(lambda: not is_registered(server, "old"), 5, "the end of the registration")
    assert set(creations) <= {1, 2, 3}
    assert all(before != after for before, after in zip(creations, creations[1:]))


@pytest.fixture(scope="module")
def c_node(tmp_path_factory):
    """The program of c_node.c, built with erl_interface."""
    program = tmp_path_factory.mktemp("c") / "c_node"
    source = Path(__file__).with_name("c_node.c")
    include = Path("/usr/lib/erlang/usr/include")
    if not (include / "ei.h").exists():
        pytest.skip("no erl_interface on this machine: install erlang-dev")
    built = subprocess.run(
        [
            "cc",
            "-Wall",
            "-pthread",
            "-o",
            program,
            source,
            f"-I{include}",
            "-L/usr/lib/erlang/usr/lib",
            "-lei",
        ],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return program


def test_a_c_node_publishes_itself_and_is_found_and_finds(epmd, node, c_node, tmp_path):
    server = epmd()
    one = node("one@127.0.0.1", server)
    with subprocess.Popen(
        [c_node, "cee", "127.0.0.1", COOKIE, one.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(tmp_path, ERL_EPMD_PORT=server.port),
        text=True,
    ) as cee:
        try:
            port = int(re.fullmatch(r"published at (\d+)\n", cee.stdout.readline())[1])
            found = wire.look_up(server.port, "cee")
            assert (found.port, found.type) == (port, wire.C_NODE)
            assert cee.stdout.readline() == "connected: one@127.0.0.1\n"
            assert one.names() == {"one", "cee"}
            one.evaluate("net_kernel:disconnect('cee@127.0.0.1')")
            assert cee.stdout.readline() == "disconnected\n"
            assert one.evaluate("net_kernel:connect_node('cee@127.0.0.1')") == "true"
            assert cee.stdout.readline() == "accepted: one@127.0.0.1\n"
            cee.stdin.close()
            cee.wait(timeout=scaled(10))
        finally:
            cee.kill()
    wait_for(lambda: not is_registered(server, "cee"), 5, "the end of the registration")
