"""Each failure that the control socket reports: its code, and its message whole."""

import contextlib
import socket

import pytest

import wire
from daemon import Daemon, free_port, our_epmd
from members import Members
from portoland import Control, portoland  # noqa: F401

BAD_NODE = ("bad_request", '"node" must be the name of a node: Name@Host, or Name')
BAD_MEMBER = ("bad_request", '"node" must be the name of a daemon: Name@Host, with an IP address or a full host name')
NO_COOKIE = ("no_cluster", "this daemon runs alone because it has no cookie; set the same node.cookie or "
             "node.cookie_file on all hosts, and restart it")
NO_FRONT = ("no_cluster", "this daemon runs alone because its front port is off; set front.enable = on, and restart it")
NO_LEASES = ("failed", "a daemon under the name epmd does not lease ports; start it as portoland")
NOT_THERE = ("node_not_in_cluster", "it is not a member of this cluster; 'portolan cluster status' lists the members")


def fails(control, command, expected, **members):
    reply = control.ask(command, **members)
    assert (reply["v"], reply["ok"]) == (1, False)
    assert (reply["error"]["code"], reply["error"]["message"]) == expected, command
    return reply["error"]


@pytest.mark.parametrize("command", ["lease", "release", "resolve"])
@pytest.mark.parametrize("members", [{}, {"node": ""}, {"node": 1}, {"node": "@h"}, {"node": "a" * 256}])
def test_a_node_must_have_a_name(portoland, command, members):  # noqa: F811
    with portoland().dial() as control:
        fails(control, command, BAD_NODE, **members)


def test_a_node_that_is_not_there(portoland):  # noqa: F811
    with portoland().dial() as control:
        fails(control, "resolve", ("not_found", "no node with this name is registered here"), node="a@localhost")
        fails(control, "release", ("not_found", "this name has no lease"), node="a")


@pytest.mark.parametrize("members", [{}, {"nodes": "a"}, {"nodes": [1]}, {"nodes": [], "base": -1},
                                     {"nodes": [], "base": 65536}, {"nodes": [], "base": "1"}])
def test_ports_are_of_a_list_of_names(portoland, members):  # noqa: F811
    with portoland().dial() as control:
        fails(control, "port", ("bad_request", '"nodes" must be a list of names, "base" a port'), **members)


@pytest.mark.parametrize("user", ["root", -1, 4294967295, 1.5, None])
def test_a_lease_is_of_a_users_number(portoland, user):  # noqa: F811
    with portoland().dial() as control:
        fails(control, "lease", ("bad_request", '"user" must be the number of a user'), node="a", user=user)


def test_a_name_that_is_registered_keeps_its_port(portoland):  # noqa: F811
    server = portoland()
    with server.dial() as control, wire.register(server.port, "a", port=40000)[0]:
        fails(control, "release", ("not_found", "this name is registered; it keeps its port until it leaves"), node="a")


def test_a_port_that_follows_from_the_name(portoland):  # noqa: F811
    server = portoland("--set", "node.port_policy=derived", "--set", "node.dist_base_port=4370", port=4370)
    with contextlib.ExitStack() as held, server.dial() as control:
        fails(control, "lease", ("no_port", "no port can be derived from this name"), node="remsh1")
        free = control.ask("lease", node="a7")["port"]
        assert free == 4377
        assert control.ask("release", node="a7")["ok"]
        held.enter_context(socket.create_server(("127.0.0.1", 4377)))
        error = fails(control, "lease", ("port_taken", "port 4377, derived from this name, is in use"), node="a7")
        assert error["holders"] == []


def test_a_port_that_is_too_high(portoland):  # noqa: F811
    base = free_port()
    server = portoland("--set", "node.port_policy=derived", port=base)
    number = 65536 - base
    with server.dial() as control:
        fails(control, "lease", ("no_port", "the port derived from this name is 65536, above 65535"), node=f"a{number}")
        assert control.ask("port", nodes=[f"a{number - 1}"])["ports"] == [{"node": f"a{number - 1}", "port": 65535}]


def test_a_range_that_is_full(portoland):  # noqa: F811
    first = free_port()
    server = portoland("--set", f"node.dist_listen_min={first}", "--set", f"node.dist_listen_max={first}",
                       "--set", "node.port_policy=range")
    with server.dial() as control:
        assert control.ask("lease", node="a")["port"] == first
        expected = ("pool_full", f"no port is free in {first}-{first}; free one, or widen node.dist_listen_min and _max")
        error = fails(control, "lease", expected, node="b")
        assert [(holder["name"], holder["port"]) for holder in error["holders"]] == [("a", first)]


def test_a_daemon_without_a_cookie_has_no_cluster(portoland):  # noqa: F811
    with portoland().dial() as control:
        for command in ("cluster_status", "cluster_leave", "names"):
            fails(control, command, NO_COOKIE, **({"cluster": True} if command == "names" else {}))
        for command in ("cluster_join", "cluster_force_leave"):
            fails(control, command, NO_COOKIE, node="a@127.0.0.1")


def test_a_daemon_under_the_name_epmd_has_neither_leases_nor_a_cluster(tmp_path):
    path = str(tmp_path / "control")
    with Daemon(our_epmd(), tmp_path, env={"PORTOLAN_CONTROL__SOCKET": path}), Control(path) as control:
        for command in ("lease", "release"):
            fails(control, command, NO_LEASES, node="a")
        fails(control, "cluster_status", NO_FRONT)


def test_clusters(tmp_path):
    with Members(tmp_path) as members:
        one, two = members.on_loopback(2)
        with Control(str(one.socket)) as control:
            alone = ("node_not_in_cluster", "this daemon is not in a cluster with others; there is nothing to leave")
            fails(control, "cluster_leave", alone)
            for node in ("p2", "p2@", "@127.0.0.1", "", "a" * 250 + "@127.0.0.1"):
                fails(control, "cluster_join", BAD_MEMBER, node=node)
            fails(control, "cluster_force_leave", NOT_THERE, node=two.name)
            one.join(two)
            there = ("already_in_cluster",
                     "it is already a member of this cluster; 'portolan cluster status' lists the members")
            fails(control, "cluster_join", there, node=two.name)


def test_one_join_at_a_time(tmp_path):
    with Members(tmp_path) as members, socket.create_server(("127.0.0.1", 0)) as silent:
        (one,) = members.on_loopback(1)
        target = f"p{silent.getsockname()[1] - one.base}@127.0.0.1"
        with Control(str(one.socket)) as first, Control(str(one.socket)) as second:
            first.request("cluster_join", node=target)
            with silent.accept()[0]:
                busy = ("busy", "another join is in progress; wait until it ends, 30 s at most")
                fails(second, "cluster_join", busy, node=target)


def test_members_are_listed_in_the_order_of_their_names(tmp_path):
    with Members(tmp_path) as members:
        four = members.on_loopback(4)
        for member in (four[1], four[3], four[0]):
            member.join(four[2])
        listed = [member["name"] for member in four[2].ask("cluster_status")["members"]]
        assert listed == [f"p{number}@127.0.0.1" for number in (1, 2, 3, 4)]
