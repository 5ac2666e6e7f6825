"""Real nodes under `portolan exec` that do more than to listen on their port: they start tools,
throw flags away, or go elsewhere.
"""

import json
import subprocess

import pytest

import erl
import wire
from deadlines import scaled, wait_for
from portolan_cli import words
from portoland import PROGRAM, Watch, a_range, free_range, portoland  # noqa: F401
from test_ports import run, stopped  # noqa: F401

pytestmark = pytest.mark.skipif(erl.missing() is not None, reason=str(erl.missing()))

NODE = "one@127.0.0.1"
# A node of its own that says which names have which ports, and ends.
TOOL = ("erl -name t@127.0.0.1 -start_epmd false -noshell -eval "
        "'{ok, L} = erl_epmd:names({127,0,0,1}), io:format(\"~p\", [lists:sort(L)]), halt().'")

@pytest.fixture
def server(portoland, request):
    """A daemon with a range of ten ports, of which the last four are for tools."""
    first = free_range(10)
    daemon = portoland(*a_range(10, first), "--set", "node.dist_tool_ports=4", *getattr(request, "param", []))
    daemon.first = first
    return daemon


ENFORCED = ["--set", "node.port_policy=range", "--set", "node.port_enforce=on"]
both = pytest.mark.parametrize("server", [[], ENFORCED], ids=["not enforced", "enforced"], indirect=True)


def leases(server):
    """All lines of `portolan leases`."""
    return [(entry["name"], entry["port"], entry["held"], entry["conflicts_with"])
            for entry in server.says("leases")["leases"]]


def run_tool(node):
    command = TOOL.replace("\\", "\\\\").replace('"', '\\"')
    return node.evaluate(f'os:cmd("{command}")', 60)


# --- tools that a node starts ---

@both
def test_a_tool_that_a_node_starts_gets_a_port_of_the_range(run, server):
    node = run(server, NODE, exec_options=["--range"]).started()
    first = server.first
    assert f'{{"one",{first}}},{{"t",{first + 1}}}' in run_tool(node).replace("\\", "").replace(" ", "")
    wait_for(lambda: leases(server) == [("one", first, True, None)], 10, lambda: str(leases(server)))
    stopped(server, node)
    assert leases(server) == [] and "lease_ended" not in server.log


@both
def test_without_range_the_tool_fails_and_the_node_keeps_its_lease(run, server):
    node = run(server, NODE).started()
    assert "eaddrinuse" in run_tool(node)
    assert leases(server) == [("one", server.first, True, None)] and node.listening_port == server.first
    stopped(server, node)


def with_script(run, server, script, *options):
    """The node, by a start script that becomes what its words say."""
    through = words("--socket", server.socket, "exec", *options, NODE, "--", "sh", "-c", script, "sh")
    return run(server, NODE, through=through)


@pytest.mark.parametrize("options", [[], ["--range"]], ids=["one port", "range"])
def test_a_start_script_may_run_a_tool_first(run, server, options):
    node = with_script(run, server, f'{TOOL} && echo && exec "$@"', *options).started()
    assert f'[{{"t",{server.first}}}]\n' in node.output
    assert node.listening_port == server.first and leases(server) == [("one", server.first, True, None)]
    assert "lease_ended" not in server.log


def test_a_node_moves_on_from_a_tool_that_stays_and_keeps_a_lease(run, server):
    """The tool came first, so the node has the next port; each port is there once."""
    through = words("--socket", server.socket, "exec", "--range", NODE, "--")
    with staying_tool(server) as tool:
        assert leases(server) == [("one", server.first, False, None), ("t", server.first, True, "one")]
        node = run(server, NODE, through=through).started()
        assert node.listening_port == server.first + 1
        assert leases(server) == [("t", server.first, True, None), ("one", server.first + 1, True, None)]
        server.logged("warn lease_ended name=one", f"port={server.first} reason=moved",
                      f"other_port={server.first + 1} other_name=t")
        tool.stop()
        stopped(server, node)
    assert leases(server) == []


@pytest.mark.parametrize("server", [ENFORCED], indirect=True)
def test_under_enforcement_the_script_gives_its_tool_other_ports(run, server):
    tools = f"-kernel inet_dist_listen_min {server.first + 6} inet_dist_listen_max {server.first + 9}"
    node = with_script(run, server, f'ERL_AFLAGS="{tools}" {TOOL} && echo && exec "$@"').started()
    assert f'[{{"t",{server.first + 6}}}]\n' in node.output
    assert leases(server) == [("one", server.first, True, None)]
    assert "refused" not in server.log and "lease_ended" not in server.log


class staying_tool:
    """A tool that goes on, started in the environment of exec."""

    def __init__(self, server):
        through = words("--socket", server.socket, "exec", NODE, "--")
        self.node = erl.Node("t@127.0.0.1", None, server.directory, through=through)

    def __enter__(self):
        return self.node.started()

    def __exit__(self, *_):
        self.node.stop()


def test_who_only_says_that_it_is_on_a_port_is_shown_so(run, server):
    with staying_tool(server):
        shown = server.call("leases").stdout.splitlines()[1:]
        assert [line.split(None, 2)[:2] for line in shown] == [[str(server.first), "one"], [str(server.first), "t"]]
        assert shown[0].split(None, 2)[2].startswith("leased for ")
        assert shown[1].split(None, 2)[2] == "registered, but the port is that of one"
        node = run(server, NODE)
        assert "eaddrinuse" in node.ended()
    wait_for(lambda: leases(server) == [("one", server.first, False, None)], 10, "the end of the tool")


# --- flags and ports that get lost ---

@both
def test_a_release_that_sets_the_flags_anew_is_on_its_port(run, server):
    """As the env.sh of many releases of Elixir does."""
    node = with_script(run, server, 'export ERL_AFLAGS="-proto_dist inet_tcp"; exec "$@"').started()
    assert node.listening_port == server.first and leases(server) == [("one", server.first, True, None)]


def test_a_node_that_goes_elsewhere_is_told_of(run, server):
    watch, events = Watch(server), Watch(server, "--json")
    try:
        node = with_script(run, server, 'unset ERL_AFLAGS ERL_ZFLAGS; exec "$@"').started()
        port = node.listening_port
        assert leases(server) == [("one", port, True, None)]
        server.logged(f"warn lease_ended name=one port={server.first} reason=moved other_port={port}")
        assert f"  lease_ended   one  port {server.first}: moved; one came to port {port}" in watch.line_with("moved")
        told = json.loads(events.line_with("moved"))
        assert (told["port"], told["reason"], told["other_port"]) == (server.first, "moved", port)
        assert "other_name" not in told
    finally:
        watch.end()
        events.end()


@pytest.mark.parametrize("server", [ENFORCED], indirect=True)
def test_a_lease_that_nobody_claimed_says_who_was_refused(server):
    port = server.lease("one")
    for name, at in (("one", 40000), ("bunny", port)):
        conn, answer = wire.register(server.port, name, port=at)
        conn.close()
        assert answer.result != 0
    assert server.call("lease", "one", "--release").returncode == 0
    server.logged(f"warn lease_ended name=one port={port} reason=released other_port=40000 other_name=bunny")


# --- ports for tools ---

@pytest.mark.parametrize("server", [ENFORCED], indirect=True)
def test_the_last_ports_are_leased_to_nobody_and_any_tool_may_have_them(server):
    first = server.first
    assert [server.lease(f"n{i}") for i in range(6)] == list(range(first, first + 6))
    full = server.call("lease", "more")
    assert full.returncode == 1 and f"no port is free in {first}-{first + 5}" in full.stderr
    assert f"range {first}-{first + 9} ({first + 6}-{first + 9} for tools)" in server.call("status").stdout
    assert server.says("status")["ports"]["tools_min"] == first + 6
    for name, port in (("rabbitmqcli-7-rabbit", first + 6), ("remote", first + 9)):
        with wire.register(server.port, name, port=port)[0]:
            pass
    assert "refused" not in server.log


def test_ports_for_tools_can_be_changed_by_a_reload(portoland, tmp_path):
    first = free_range(4)
    conf = tmp_path / "portolan.conf"
    range_of = f"node.dist_listen_min = {first}\nnode.dist_listen_max = {first + 3}\n"
    conf.write_text(range_of)
    server = portoland("-c", conf)
    assert server.says("status")["ports"]["tools_min"] is None
    conf.write_text(range_of + "node.dist_tool_ports = 3\n")
    assert server.says("reload")["applied"] == ["node.dist_tool_ports"]
    assert server.lease("a") == first and server.call("lease", "b").returncode == 1


@pytest.mark.parametrize("count, fine", [("3", True), ("4", False), ("100000", False)])
def test_a_range_is_not_for_tools_alone(tmp_path, count, fine):
    check = subprocess.run(
        [PROGRAM, "--check-config", *a_range(4, 20000), "--set", f"node.dist_tool_ports={count}"],
        env={"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "PORTOLAN_NODE__DATA_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=scaled(10))
    assert (check.returncode == 0) == fine, check.stderr
    if not fine:
        assert (f"cannot reserve ports for tools: node.dist_tool_ports is {count} (--set) and the range 20000-20003 has 4; "
                "leave at least one") in check.stderr
