"""Clusters of real daemons on this host: joining, leaving, failing, and what people are told."""

import json
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import portolan_cli
from certificates import certificate
from deadlines import scaled, wait_for
from members import COOKIE, Members, agree
from portolan_cli import clean_environment


@pytest.fixture
def members(tmp_path):
    with Members(tmp_path) as all_of_them:
        yield all_of_them


def status_line(*names, stopped=()):
    def quoted(atoms):
        return ",".join(f"'{atom}'" for atom in sorted(atoms))

    behind = f",{{stopped_nodes,[{quoted(stopped)}]}}" if stopped else ""
    return f"Cluster status: [{{running_nodes,[{quoted(names)}]}}{behind}]\n"


def said(call, code, stdout, *complaints):
    assert (call.returncode, call.stdout) == (code, stdout), call.stderr
    for complaint in complaints:
        assert complaint in call.stderr


# --- commands ---


def test_commands_print_what_emqx_prints(members):
    one, two = members.on_loopback(2)
    both = status_line(one.name, two.name)

    said(one.portolan("cluster", "status"), 0, status_line(one.name))
    said(two.portolan("cluster", "leave"), 1, "Failed to leave the cluster: node_not_in_cluster\n", "nothing to leave")
    said(two.portolan("cluster", "join", two.name), 0, "Ignore.\n")
    said(
        two.portolan("cluster", "join", one.name),
        0,
        f"Join the cluster successfully.\n{both}",
        "took over 1 member and 0 names",
    )
    said(
        two.portolan("cluster", "join", one.name),
        1,
        f"Failed to join the cluster: {{already_in_cluster,'{one.name}'}}\n",
        "already a member of this cluster",
    )
    said(one.portolan("cluster", "status"), 0, both)
    said(two.portolan("cluster", "leave"), 0, f"Leave the cluster successfully.\n{status_line(two.name)}")
    agree([one])


class StatusWatch:
    """A running `portolan cluster status --watch`."""

    def __init__(self, member, *options):
        words = portolan_cli.words("--socket", member.socket, "cluster", "status", "--watch", *options)
        self.process = subprocess.Popen(
            words, env=clean_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.deadline = threading.Timer(scaled(30), self.process.kill)  # else a line is waited for for ever
        self.deadline.start()

    def line(self):
        return self.process.stdout.readline()

    def end(self, number=None):
        """The exit code, and what it said after the lines that were taken."""
        if number is not None:
            self.process.send_signal(number)
        rest = self.process.communicate()
        self.deadline.cancel()
        return self.process.returncode, *rest


def test_the_status_is_printed_again_whenever_it_changes(members):
    one, two = members.on_loopback(2)
    watch, as_json = StatusWatch(one), StatusWatch(one, "--json")
    assert watch.line() == status_line(one.name)
    assert [member["name"] for member in json.loads(as_json.line())["members"]] == [one.name]
    with one.register("rabbit", 6369):  # an event that changes no line
        wait_for(lambda: one.ask("names")["names"], 5)
    two.join(one)
    assert watch.line() == status_line(one.name, two.name)
    assert {member["name"]: member["state"] for member in json.loads(as_json.line())["members"]} == {
        one.name: "alive",
        two.name: "alive",
    }
    two.crash()
    assert watch.line() == status_line(one.name, stopped=[two.name])
    two.start()
    assert watch.line() == status_line(one.name, two.name)
    assert watch.end(signal.SIGINT) == (0, "", "")
    as_json.end(signal.SIGTERM)
    assert as_json.process.returncode == 0


def test_the_watch_of_the_status_ends_with_the_daemon(members):
    (one,) = members.on_loopback(1)
    watch = StatusWatch(one)
    assert watch.line() == status_line(one.name)
    one.stop()
    code, lines, complaint = watch.end()
    assert (code, lines) == (3, "")
    assert complaint.startswith("portolan: cannot watch the cluster: ") and complaint.count("\n") == 1


def test_a_member_that_is_down_is_removed_and_stays_out_until_it_joins(members):
    one, two, three = members.on_loopback(3)
    two.join(one)
    three.join(one)
    agree([one, two, three])
    three.crash()
    wait_for(lambda: one.members().get(three.name) == "down", 10)
    said(
        one.portolan("cluster", "status"),
        0,
        status_line(one.name, two.name, stopped=[three.name]),
    )

    said(
        one.portolan("cluster", "force-leave", three.name),
        0,
        f"Remove the node from cluster successfully.\n{status_line(one.name, two.name)}",
    )
    said(
        one.portolan("cluster", "force-leave", three.name),
        1,
        "Failed to remove the node from cluster: node_not_in_cluster\n",
        "it is not a member",
    )
    said(one.portolan("cluster", "force-leave", one.name), 0, "Ignore.\n")
    agree([one, two])
    three.start()
    wait_for(three.is_out, 10, "the third to be told that it is out")
    agree([one, two])
    agree([three])
    cure = "was forced out of its cluster; 'portolan cluster join' with a member's name brings it back"
    said(three.portolan("cluster", "status"), 0, status_line(three.name), cure)
    assert "this daemon was forced out of its cluster and runs alone; rejoin with 'portolan cluster join'" in three.log
    three.join(two)
    agree([one, two, three])
    assert three.portolan("cluster", "status").stderr == ""


def test_a_member_rejoins_by_itself_and_knows_the_names(members):
    one, two = members.on_loopback(2)
    two.join(one)
    with one.register("rabbit", 6369):
        two.stop()
        wait_for(lambda: one.members()[two.name] == "down", 10)
        two.start()
        agree([one, two])
        wait_for(lambda: two.directory_of_cluster() == [("rabbit@127.0.0.1", 6369)], 5)
        call = two.portolan("resolve", "rabbit@127.0.0.1")
        said(call, 0, f"127.0.0.1:6369  (registered at {one.name}; from other hosts {one.base})\n")
    wait_for(lambda: two.directory_of_cluster() == [], 5)


def test_each_of_two_rejoins_by_itself(members):
    """The one with the lower name calls the other as it starts."""
    everyone = members.on_loopback(2)
    everyone[1].join(everyone[0])
    for member, other in (everyone, everyone[::-1]):
        store = member.directory / "data" / "cluster"
        wait_for(lambda: other.name.encode() in store.read_bytes(), 5, f"{other.name} in {store}")
        member.crash()
        member.start()
        agree(everyone)


def test_a_member_may_not_change_its_name(members):
    one, two = members.on_loopback(2)
    two.join(one)
    two.stop()
    old_name, two.name = two.name, "q7@127.0.0.1"
    two.launch()
    assert two.process.wait(timeout=scaled(10)) == 1
    assert f"a member of a cluster as {old_name}" in two.log and "portolan cluster leave" in two.log


def test_who_was_never_a_member_may_change_its_name(members):
    (one,) = members.on_loopback(1)
    one.stop()
    one.name = "q1@127.0.0.1"
    one.start()
    assert one.running() == [one.name]


def test_joining_elsewhere_leaves_the_first_cluster(members):
    one, two, three = members.on_loopback(3)
    two.join(one)
    two.join(three)
    agree([two, three])
    agree([one])


# --- what went wrong, and what to do ---


def test_each_trouble_has_its_own_words(members):
    (one,) = members.on_loopback(1)
    other_cookie = members.add("p2@127.0.0.1", base=one.base, node__cookie="ANOTHER").start()
    other_name = members.add("p3@127.0.0.1", base=one.base, cluster__name="other").start()
    loner = members.add("p4@127.0.0.1", base=one.base, node__cookie=None).start()

    def join(member, target):
        return member.portolan("cluster", "join", target)

    def failed(target):
        return f"Failed to join the cluster: {{node_down,'{target}'}}\n"

    said(join(other_cookie, one.name), 1, failed(one.name), "has another cookie; set the same node.cookie")
    said(join(other_name, one.name), 1, failed(one.name), "another name; set the same cluster.name")
    said(join(one, "p5@127.0.0.1"), 1, failed("p5@127.0.0.1"), "refused the connection; is portoland running")
    said(join(one, "p1@nosuch.invalid"), 1, failed("p1@nosuch.invalid"), "no address found for the host")
    said(join(one, loner.name), 1, failed(loner.name), "is not a portoland with a cluster")
    lost = members.add("p6@127.0.0.1", base=one.base).start()
    said(join(lost, "q1@127.0.0.1"), 1, failed("q1@127.0.0.1"), "the daemon there has another name")
    said(join(loner, one.name), 1, "", "it has no cookie; set the same node.cookie or node.cookie_file")
    wait_for(lambda: one.log.count("caller_refused") >= 2, 5)
    assert "cause=wrong-cookie" in one.log and "cause=wrong-cluster-name" in one.log
    assert "cause=wrong-cookie" in other_cookie.log and "ANOTHER" not in other_cookie.log
    wait_for(lambda: "it called this daemon by another name" in one.log, 5)
    agree([one])


def test_a_stranger_learns_nothing_and_is_limited(members):
    (one,) = members.on_loopback(1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["portolan/1"])
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", one.port), timeout=5) as conn:
            with pytest.raises((ssl.SSLError, OSError)):
                context.wrap_socket(conn)
    counts = one.ask("cluster_status")["handshakes"]
    print(counts)
    assert counts["refused"] > 0 and counts["limited"] > 0
    assert one.running() == [one.name]


def test_a_cookie_file_must_be_its_owners_alone(members, tmp_path):
    secret = tmp_path / "cookie"
    secret.write_text(COOKIE + "\n")
    secret.chmod(0o644)
    (one,) = members.on_loopback(1)
    two = members.add("p9@127.0.0.1", base=one.base, node__cookie=None, node__cookie_file=secret)
    two.launch()
    assert two.process.wait(timeout=scaled(10)) == 1
    assert "users other than its owner may read" in two.log and COOKIE not in two.log
    secret.chmod(0o400)
    two.start().join(one)
    agree([one, two])


# --- certificates ---


def test_certificates_take_the_place_of_the_cookie(members, tmp_path):
    (one,) = members.on_loopback(1)
    one.stop()
    certificate(tmp_path, "authority", "authority.invalid")
    good = certificate(tmp_path, "good", "127.0.0.1", "authority")
    wrong = certificate(tmp_path, "wrong", "192.0.2.1", "authority")
    base = one.base
    first = members.add("c1@127.0.0.1", base=base, node__cookie=None, **good).start()
    second = members.add("c2@127.0.0.1", base=base, node__cookie="whatever", **good).start()
    misnamed = members.add("c3@127.0.0.1", base=base, **wrong).start()
    with_cookie = members.add("c4@127.0.0.1", base=base).start()

    second.join(first)
    agree([first, second])
    for target, caller in ((first, misnamed), (misnamed, first), (first, with_cookie), (with_cookie, first)):
        reply = caller.ask("cluster_join", node=target.name)
        print(reply["error"]["message"])
        assert reply["error"]["cause"] == "certificate", reply
        assert "certificates of this daemon and" in reply["error"]["message"]
        wait_for(lambda: "cause=certificate" in target.log, 5, target.log)
    agree([first, second])


# --- many ---


def test_seeds_find_each_other_in_any_order(members):
    names = [f"p{i}@127.0.0.1" for i in range(1, 5)]
    options = {"cluster__discovery": "static", "cluster__static__seeds": ", ".join(names)}
    one, two, three = members.on_loopback(3, **options)
    print(f"three seeds of four: {agree([one, two, three], seconds=30):.2f} s after their start")
    late = members.add(names[3], base=one.base, **options).start()
    print(f"the fourth: {agree([one, two, three, late], seconds=30):.2f} s after its start")
    assert late.portolan("cluster", "status").stderr == ""
    late.portolan("cluster", "leave")
    cure = "discovery is paused since the last leave; 'portolan cluster join' or a restart resumes it"
    said(late.portolan("cluster", "status"), 0, status_line(late.name), cure)


def test_sixteen_form_quickly_and_know_of_a_death(members):
    everyone = members.on_loopback(16)
    began = time.monotonic()
    for member in everyone[1:]:
        member.join(everyone[0])
    last_join = time.monotonic()
    agree(everyone)
    print(f"16 joined one by one in {last_join - began:.2f} s, agreed {time.monotonic() - last_join:.2f} s later")

    victim, rest = everyone[7], [member for member in everyone if member is not everyone[7]]
    began = time.monotonic()
    victim.crash()
    wait_for(lambda: all(member.members()[victim.name] == "down" for member in rest), 20)
    print(f"SIGKILL known at all 15 after {time.monotonic() - began:.2f} s")
    victim.start()
    print(f"back after {agree(everyone):.2f} s")



def test_who_sleeps_for_two_seconds_is_not_down_and_takes_nobody_for_down(members):
    everyone = members.on_loopback(16)
    for member in everyone[1:]:
        member.join(everyone[0])
    agree(everyone)
    sleeper, silent = everyone[3], everyone[11]
    sleeper.signal(signal.SIGSTOP)
    time.sleep(2)  # what is tried: the sleep itself
    sleeper.signal(signal.SIGCONT)

    # Silence that began later has been noticed: so any that was thought to be before has been, too.
    silent.signal(signal.SIGSTOP)
    rest = [member for member in everyone if member is not silent]
    wait_for(lambda: all(member.members()[silent.name] == "down" for member in rest), 30)
    assert [taken_for_down(member) for member in rest] == [{silent.name}] * 15
    silent.signal(signal.SIGCONT)
    agree(everyone)


def taken_for_down(member):
    """Who was, at any time, as its log tells."""
    return set(re.findall(r" member_down .*?member=(\S+)", member.log))


def test_all_members_know_of_a_front_port_that_comes_and_goes(members):
    one, two = members.on_loopback(2)
    two.join(one)
    members.enter_context(two.register("rabbit", 6369))

    def told(member):
        return [name["front_port"] for name in member.ask("names", cluster=True)["names"]]

    for proxy, front_port in (("on", two.base), ("off", None), ("on", two.base)):
        two.keys["front.proxy"] = proxy
        (two.directory / "conf").write_text(two.configuration())
        assert two.ask("reload")["ok"]
        wait_for(lambda: told(one) == told(two) == [front_port], 10, lambda: f"{proxy}: {told(one)}, {told(two)}")


# --- events ---


def test_events_are_told_to_a_program(members, tmp_path):
    told = tmp_path / "told"
    program = tmp_path / "on-event"
    program.write_text(f'#!/bin/sh\necho "$1 $2 $PORTOLAN_EVENT $PORTOLAN_MEMBER $PORTOLAN_PORT" >>{told}\n')
    program.chmod(0o755)
    one, two = members.on_loopback(2, cluster__on_event=program)
    two.join(one)
    with one.register("rabbit", 6369):
        wait_for(lambda: told.exists() and "name_registered rabbit@127.0.0.1" in told.read_text(), 10)
    two.stop()
    wait_for(lambda: "member_down" in told.read_text(), 10)
    lines = told.read_text().splitlines()
    print("\n".join(lines))
    assert f"member_joined {one.name} member_joined {one.name} " in lines
    assert f"name_registered rabbit@127.0.0.1 name_registered {one.name} 6369" in lines


def test_the_program_gets_no_socket_of_the_daemon(members, tmp_path):
    """Else it would hold links and streams open that the daemon has ended."""
    told = tmp_path / "told"
    program = tmp_path / "on-event"
    program.write_text(f'#!/bin/sh\necho "$1" $(readlink /proc/$$/fd/*) >>{told}\n')
    program.chmod(0o755)
    one, two = members.on_loopback(2, cluster__on_event=program)
    with one.register("rabbit", 6369):
        two.join(one)
        two.stop()
        wait_for(lambda: told.exists() and "member_down" in told.read_text(), 10)
    assert "/dev/null" in told.read_text() and "socket:" not in told.read_text()
