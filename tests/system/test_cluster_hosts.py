"""Clusters of real daemons on hosts of their own, with firewalls between them."""

import re
import time

import pytest

from deadlines import wait_for
from members import Members, Network, agree, cut, heal, open_only, why_no_network


@pytest.fixture
def network():
    if reason := why_no_network():
        pytest.skip(reason)
    made = []

    def build(count):
        made.append(Network(count))
        return made[-1].hosts

    yield build
    for one in made:
        one.close()


@pytest.fixture
def members(tmp_path, network):
    with Members(tmp_path) as all_of_them:
        yield all_of_them


@pytest.fixture
def named(tmp_path):
    """An /etc/hosts for s1.emqx.io … s9.emqx.io."""
    path = tmp_path / "hosts"
    lines = [f"10.78.0.{i} s{i}.emqx.io\nfd78::{i} s{i}.emqx.io" for i in range(1, 10)]
    path.write_text("\n".join(["127.0.0.1 localhost", *lines]) + "\n")
    return path


def test_the_transcript_with_one_open_port(members, network, named):
    s1, s2 = network(2)
    for host in (s1, s2):
        open_only(host, 4370)
    one = members.add("emqx@s1.emqx.io", host=s1, names=named).start()
    two = members.add("emqx@s2.emqx.io", host=s2, names=named).start()
    began = time.monotonic()
    call = two.portolan("cluster", "join", "emqx@s1.emqx.io")
    print(f"joined in {time.monotonic() - began:.3f} s\n{call.stdout}")
    assert call.stdout == (
        "Join the cluster successfully.\n"
        "Cluster status: [{running_nodes,['emqx@s1.emqx.io','emqx@s2.emqx.io']}]\n"
    ), call.stderr
    with one.register("rabbit", 6369):
        wait_for(two.directory_of_cluster, 5)
        call = two.portolan("resolve", "rabbit@s1.emqx.io")
        assert call.stdout == "s1.emqx.io:4370  (registered at emqx@s1.emqx.io; on its host 6369)\n"


def test_a_closed_port_and_an_absent_host_time_out_with_a_cure(members, network):
    s1, s2 = network(2)
    open_only(s1, 9999)
    members.add("emqx@10.78.0.1", host=s1).start()
    two = members.add("emqx@10.78.0.2", host=s2).start()
    call = two.portolan("cluster", "join", "emqx@10.78.0.1")
    assert call.stdout == "Failed to join the cluster: {node_down,'emqx@10.78.0.1'}\n"
    assert "connection to 10.78.0.1:4370 timed out after 5 s; is TCP 4370 open in its firewall?" in call.stderr
    call = two.portolan("cluster", "join", "emqx@10.78.0.77")
    print(call.stderr)
    assert "cannot be reached" in call.stderr or "timed out" in call.stderr


def test_both_sides_are_told_that_a_name_is_in_use(members, network, tmp_path):
    hosts = network(3)
    one, two = [members.add(f"emqx@{host.address}", host=host).start() for host in hosts[:2]]
    two.join(one)
    agree([one, two])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Members(elsewhere) as others:
        call = others.add(two.name, host=hosts[2]).start().portolan("cluster", "join", one.name)
    assert call.stdout == f"Failed to join the cluster: {{node_down,'{one.name}'}}\n"
    assert "already has this daemon's name; choose another node.name here, or stop the other one" in call.stderr
    refusal = next(line for line in one.log.splitlines() if "link_refused" in line)
    assert f"member={two.name} cause=name-in-use" in refusal and "choose another node.name there" in refusal
    agree([one, two])


def test_ipv6_hosts(members, network):
    s1, s2 = network(2)
    one = members.add("emqx@fd78::1", host=s1).start()
    two = members.add("emqx@fd78::2", host=s2).start()
    two.join(one)
    agree([one, two])


def test_a_split_heals_without_loss(members, network):
    hosts = network(3)
    one, two, three = everyone = [members.add(f"emqx@{host.address}", host=host).start() for host in hosts]
    two.join(one)
    three.join(one)
    agree(everyone)
    with one.register("a", 6369), two.register("b", 6370), three.register("c", 6371):
        whole = [("a@10.78.0.1", 6369), ("b@10.78.0.2", 6370), ("c@10.78.0.3", 6371)]
        wait_for(lambda: all(member.directory_of_cluster() == whole for member in everyone), 5)

        began = time.monotonic()
        cut(hosts[2], hosts[0], hosts[1])
        wait_for(lambda: one.members()[three.name] == two.members()[three.name] == "down", 20)
        print(f"cut off, and known after {time.monotonic() - began:.2f} s")
        assert one.running() == two.running() == [one.name, two.name]
        wait_for(lambda: three.running() == [three.name], 20)
        with one.register("d", 6372), three.register("e", 6373):
            began = time.monotonic()
            heal(hosts[2])
            agree(everyone, seconds=60)
            whole += [("d@10.78.0.1", 6372), ("e@10.78.0.3", 6373)]
            wait_for(lambda: all(member.directory_of_cluster() == sorted(whole) for member in everyone), 20)
            print(f"healed after {time.monotonic() - began:.2f} s")


def test_one_of_sixteen_that_is_cut_off_is_known_and_nobody_else_is_suspected(members, network):
    hosts = network(16)
    everyone = [members.add(f"emqx@{host.address}", host=host).start() for host in hosts]
    for member in everyone[1:]:
        member.join(everyone[0])
    agree(everyone)
    lost, others = everyone[7], everyone[:7] + everyone[8:]

    began = time.monotonic()
    cut(hosts[7], *hosts[:7], *hosts[8:])
    wait_for(lambda: all(member.members()[lost.name] == "down" for member in others), 20)
    print(f"cut off, and known to fifteen after {time.monotonic() - began:.2f} s")
    suspected = {match[1] for member in others for match in re.finditer(r" member_(?:suspect|down) member=(\S+)", member.log)}
    assert suspected == {lost.name}
    assert all(member.running() == sorted(other.name for other in others) for member in others)


def test_autoclean_forgets_and_autoheal_finds_again(members, network):
    hosts = network(2)
    one, two = everyone = [
        members.add(f"emqx@{host.address}", host=host, cluster__autoclean="2s").start() for host in hosts
    ]
    two.join(one)
    agree(everyone)
    cut(hosts[1], hosts[0])
    wait_for(lambda: all(list(member.members()) == [member.name] for member in everyone), 30)
    heal(hosts[1])
    agree(everyone, seconds=90)
