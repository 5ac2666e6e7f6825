"""Listing names from other hosts: who may, what the others get, and which ports are told."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import erl
import wire
from deadlines import scaled, wait_for
from members import Members, Network, agree, why_no_network

FRONT = 4370
OWN = 43739
NONE = FRONT.to_bytes(4, "big")
JINTERFACE = os.environ.get("PORTOLAN_JINTERFACE", "/usr/share/java/OtpErlang.jar")


@pytest.fixture(scope="module")
def hosts():
    """Two hosts of members, s1 and s2, and that of a stranger."""
    if reason := why_no_network():
        pytest.skip(reason)
    network = Network(3)
    yield network.hosts
    network.close()


@pytest.fixture
def members(tmp_path):
    with Members(tmp_path) as all_of_them:
        yield all_of_them


@pytest.fixture
def named(tmp_path, hosts):
    path = tmp_path / "hosts"
    lines = [f"{host.address} s{i}.test\n" for i, host in enumerate(hosts, 1)]
    path.write_text("127.0.0.1 localhost\n" + "".join(lines))
    return path


@pytest.fixture(params=["by address", "by name"])
def cluster(request, members, hosts, named):
    """The daemons of s1 and s2, one cluster."""
    made = [
        members.add(f"portolan@s{i}.test", host=host, names=named)
        if request.param == "by name"
        else members.add(f"portolan@{host.address}", host=host)
        for i, host in enumerate(hosts[:2], 1)
    ]
    for member in made:
        member.start()
    made[1].join(made[0])
    agree(made)
    return made


def asked(host, request, address, port=FRONT):
    with host.connect(port, address, seconds=scaled(5)) as conn:
        conn.sendall(request)
        return wire.read_to_end(conn)


def listed(host, address):
    """What the host gets; the head is always there."""
    reply = asked(host, wire.names(), address)
    assert reply[:4] == NONE
    return reply[4:].decode()


def in_order(port):
    return f"name rabbit at port {port}\n"


def test_members_get_the_list_and_strangers_an_empty_one(cluster, hosts):
    here, member, stranger = hosts
    with cluster[0].register("rabbit", OWN):
        assert listed(here, "127.0.0.1") == in_order(OWN)
        assert listed(here, here.address) == in_order(OWN)
        for address in (here.address, here.address6):
            assert listed(stranger, address) == ""
        wait_for(lambda: listed(member, here.address) == in_order(FRONT), 10, "the list to a member")
        found = wire.Found(asked(member, wire.port_please("rabbit"), here.address))
        assert found.port == FRONT, "names and look-up say the same"
        found = wire.Found(asked(stranger, wire.port_please("rabbit"), here.address))
        assert found.port == FRONT, "a name that is known may be looked up by all"
    refusals = [line for line in cluster[0].log.splitlines() if "refused" in line]
    assert any("epmd.remote_names allows only hosts of members" in line for line in refusals), refusals


def test_a_member_that_is_down_is_a_member(cluster, hosts):
    """Without a link its host is known all the same, until it has left."""
    here, member, _ = hosts
    with cluster[0].register("rabbit", OWN):
        cluster[1].crash()
        wait_for(lambda: cluster[0].members()[cluster[1].name] == "down", 20, "the member to be down")
        wait_for(lambda: listed(member, here.address) == in_order(FRONT), 10, "the list to its host")
        assert cluster[0].ask("cluster_force_leave", node=cluster[1].name)["ok"]
        wait_for(lambda: listed(member, here.address) == "", 10, "an empty list")


def looked_up(member, of):
    """How often the member has looked the other's host up."""
    return sum("member_host" in line and f"member={of.name}" in line for line in member.log.splitlines())


@pytest.fixture
def pair_by_name(members, hosts, named):
    """s1 and s2 by name: each has looked the other's host up."""
    one, two = (
        members.add(f"portolan@s{i}.test", host=host, names=named).start()
        for i, host in enumerate(hosts[:2], 1)
    )
    two.join(one)
    agree([one, two])
    wait_for(lambda: looked_up(one, two) == 1, 10, lambda: one.log)
    return one, two


def moves(path, here, there):
    """s2.test has another address from now on."""
    path.write_text(f"127.0.0.1 localhost\n{here.address} s1.test\n{there.address} s2.test\n")


def test_a_host_that_moves_is_found_again(pair_by_name, hosts, named):
    """Who asks from an unknown address has the names of members looked up again."""
    one, two = pair_by_name
    here, member, mover = hosts
    with one.register("rabbit", OWN):
        two.crash()
        wait_for(lambda: one.members()[two.name] == "down", 20, "the member to be down")
        assert listed(member, here.address) == in_order(FRONT), "known without a link"
        moves(named, here, mover)
        assert listed(member, here.address) == in_order(FRONT), "nobody has been looked up again"
        wait_for(lambda: listed(mover, here.address) == in_order(FRONT), 25, "the list to where it is")
        assert listed(member, here.address) == "", "none to where it was"


def test_a_member_that_comes_up_is_looked_up_again(pair_by_name, hosts, named):
    one, two = pair_by_name
    two.crash()
    wait_for(lambda: one.members()[two.name] == "down", 20, "the member to be down")
    two.start()
    wait_for(lambda: looked_up(one, two) == 2, 10, lambda: one.log)


def test_who_leaves_may_list_no_longer(cluster, hosts):
    here, member, _ = hosts
    with cluster[0].register("rabbit", OWN):
        wait_for(lambda: listed(member, here.address) == in_order(FRONT), 10, "the list to a member")
        assert cluster[1].ask("cluster_leave")["ok"]
        wait_for(lambda: listed(member, here.address) == "", 10, "an empty list")


@pytest.mark.parametrize("value, expected", [("on", in_order(FRONT)), ("off", "")])
def test_on_and_off_are_for_all(members, hosts, value, expected):
    here, other, _ = hosts
    daemon = members.add(f"portolan@{here.address}", host=here, epmd__remote_names=value).start()
    with daemon.register("rabbit", OWN):
        assert listed(other, here.address) == expected
        assert listed(here, here.address) == in_order(OWN)


def test_a_reload_changes_it(members, hosts):
    here, other, _ = hosts
    daemon = members.add(f"portolan@{here.address}", host=here).start()
    with daemon.register("rabbit", OWN):
        assert listed(other, here.address) == ""
        conf = daemon.directory / "conf"
        conf.write_text(conf.read_text() + "epmd.remote_names = on\n")
        assert daemon.ask("reload")["ok"]
        assert listed(other, here.address) == in_order(FRONT)


def test_what_changes_things_is_closed_to_others_as_ever(cluster, hosts):
    here, member, _ = hosts
    with cluster[0].register("rabbit", OWN):
        for request in (wire.dump(), wire.kill(), wire.stop("rabbit"), wire.alive("b")):
            assert asked(member, request, here.address) == b""


# --- callers that people have ---


@pytest.mark.skipif(erl.missing() is not None, reason=str(erl.missing()))
def test_net_adm_names(cluster, hosts):
    here, member, stranger = hosts
    with cluster[0].register("rabbit", OWN):
        wait_for(lambda: listed(member, here.address) == in_order(FRONT), 10, "the list to a member")
        for host, expected in ((member, '{ok,[{"rabbit",4370}]}'), (stranger, "{ok,[]}")):
            asks = f'io:format("~0p", [net_adm:names("{here.address}")]), halt().'
            with host.entered():
                call = subprocess.run(
                    ["erl", "-noshell", "-eval", asks],
                    env={**os.environ, "ERL_EPMD_PORT": str(FRONT)}, stdin=subprocess.DEVNULL,
                    capture_output=True, text=True, timeout=scaled(60))
            assert call.stdout == expected, call.stderr


LOOK_UP = """
import com.ericsson.otp.erlang.OtpEpmd;
import java.net.InetAddress;
import java.util.Arrays;

public class LookUp {
    public static void main(String[] words) throws Exception {
        System.out.println(Arrays.toString(OtpEpmd.lookupNames(InetAddress.getByName(words[0]))));
    }
}
"""


@pytest.mark.skipif(not shutil.which("java") or not Path(JINTERFACE).exists(),
                    reason="no java, or no jinterface: install erlang-jinterface and a JDK")
def test_lookup_names_of_jinterface(cluster, hosts, tmp_path):
    here, member, stranger = hosts
    source = tmp_path / "LookUp.java"
    source.write_text(LOOK_UP)
    with cluster[0].register("rabbit", OWN):
        wait_for(lambda: listed(member, here.address) == in_order(FRONT), 10, "the list to a member")
        for host, expected in ((member, "[name rabbit at port 4370]"), (stranger, "[]")):
            with host.entered():
                call = subprocess.run(
                    ["java", "-cp", JINTERFACE, str(source), here.address],
                    env={**os.environ, "ERL_EPMD_PORT": str(FRONT)},
                    capture_output=True, text=True, timeout=scaled(60))
            assert re.sub(r"\s+$", "", call.stdout) == expected, call.stderr
