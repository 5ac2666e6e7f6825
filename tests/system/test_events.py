"""Events that no other test brings about.

The line that the log has of each is compared whole but for its time, and so is what those who watch
are sent. What the program of cluster.on_event is given is in the unit tests.
"""

import datetime
import os
import re
import signal
import socket
import time

import pytest

from deadlines import scaled, wait_for
from members import Members, Network, agree, cut, free_base, heal, why_no_network
from portoland import Control, portoland  # noqa: F401
from test_many_names import CROWD, NAMES_OF_ONE, bring_names
from test_process_one import as_process_one, children, free_port, start_orphan_in


@pytest.fixture
def members(tmp_path):
    with Members(tmp_path) as all_of_them:
        yield all_of_them


def without_time(line):
    time_of, _, rest = line.partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time_of), line
    return rest


def line_of(log, event, **members):
    """The first line of the event whose members are, or begin with, these; it is waited for."""
    beginning = "".join(f" {name}={value}" for name, value in members.items())

    def find():
        return [line for line in log().splitlines() if f" {event}{beginning}" in line]

    return without_time(wait_for(find, 10, lambda: f"{event}{beginning} in\n{log()}")[0])


class Watch:
    """What a client that watches is sent."""

    def __init__(self, member):
        self.control = Control(str(member.socket))
        assert self.control.ask("watch")["ok"]

    def event(self, name):
        """The next of that name, without its version and time, of which the time is now."""
        while (event := self.control.reply())["event"] != name:
            pass
        at = datetime.datetime.strptime(event.pop("at"), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.UTC)
        assert abs(at.timestamp() - time.time()) < scaled(10)
        assert event.pop("v") == 1 and event.pop("event") == name
        return event

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()


# --- the log ---


def test_the_log_is_opened_anew_after_it_was_moved(portoland, tmp_path):  # noqa: F811
    path, moved = tmp_path / "portolan.log", tmp_path / "portolan.log.1"
    server = portoland("--set", f"log.to={path}")
    before = path.read_text()
    path.rename(moved)
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: path.exists() and path.read_text(), 5, "a new file")
    assert without_time(path.read_text()) == f"info log_reopened process={server.pid}\n"
    assert moved.read_text() == before


def test_a_log_that_cannot_be_opened_anew_goes_on_in_the_old_file(portoland, tmp_path):  # noqa: F811
    path, moved = tmp_path / "portolan.log", tmp_path / "portolan.log.1"
    server = portoland("--set", f"log.to={path}")
    path.rename(moved)
    path.mkdir()
    os.kill(server.pid, signal.SIGHUP)
    assert line_of(moved.read_text, "log_not_reopened") == (
        'warn log_not_reopened reason="Is a directory" outcome="the old file stays in use"'
    )
    assert server.lease("rabbit")
    line_of(moved.read_text, "leased", name="rabbit")


def test_each_process_that_the_first_one_reaps_is_logged(tmp_path):
    flags = ("--set", f"node.dist_base_port={free_port()}", "--set", "log.level=debug")
    with as_process_one(tmp_path, *flags) as (pid, _):
        start_orphan_in(pid)
        wait_for(lambda: children(pid) == [], 10, "the end of the orphans")
        assert re.fullmatch(r"debug process_ended process=\d+", line_of((tmp_path / "log").read_text, "process_ended"))


# --- members ---


def test_a_member_that_joins_and_leaves(members):
    one, two = members.on_loopback(2)
    with Watch(one) as at_one, Watch(two) as at_two, one.register("rabbit", 40000):
        two.join(one)
        assert at_one.event("member_joined") == {"member": two.name}
        assert at_two.event("member_joined") == {"member": one.name}
        assert at_two.event("name_registered") == {"member": one.name, "name": "rabbit@127.0.0.1", "port": 40000}
        assert at_two.event("join_done") == {"member": one.name, "members": 1, "names": 1}
        assert line_of(lambda: two.log, "join_progress") == f"debug join_progress member={one.name}"
        assert line_of(lambda: two.log, "join_done") == f"info join_done member={one.name} members=1 names=1"
        assert line_of(lambda: one.log, "link_up") == f"debug link_up member={two.name}"
        assert line_of(lambda: two.log, "link_up") == f"debug link_up member={one.name}"
        agree([one, two])
        assert two.ask("cluster_leave")["ok"]
        assert at_one.event("member_left") == {"member": two.name}
        assert line_of(lambda: two.log, "link_down") == f"debug link_down member={one.name} cause=not-member"


def test_a_name_that_goes_is_reported_by_other_members(members):
    one, two = members.on_loopback(2)
    two.join(one)
    with Watch(two) as watch:
        conn = one.register("rabbit", 40000)
        assert watch.event("name_registered")["name"] == "rabbit@127.0.0.1"
        conn.close()
        gone = {"member": one.name, "name": "rabbit@127.0.0.1", "port": 40000}
        assert watch.event("name_unregistered") == gone
        assert line_of(lambda: two.log, "name_unregistered") == (
            f"debug name_unregistered name=rabbit@127.0.0.1 port=40000 member={one.name}"
        )


def test_a_join_that_fails(members):
    (one,) = members.on_loopback(1)
    with Watch(one) as watch:
        assert not one.ask("cluster_join", node="p9@127.0.0.1")["ok"]
        failed = watch.event("join_failed")
        assert (failed["member"], failed["cause"]) == ("p9@127.0.0.1", "refused")
        assert line_of(lambda: one.log, "join_failed") == (
            f'error join_failed member=p9@127.0.0.1 cause=refused reason="{failed["reason"]}"'
        )
        assert failed["reason"].startswith(f"127.0.0.1:{one.base + 9} refused the connection; ")


def test_two_clusters_that_find_each_other(members):
    base = free_base(2)
    seeds = "p1@127.0.0.1, p2@127.0.0.1"
    both = [
        members.add(f"p{number}@127.0.0.1", base=base, cluster__discovery="static", cluster__static__seeds=seeds)
        for number in (1, 2)
    ]
    one, two = (member.start() for member in both)
    agree([one, two])

    def merged():
        return [line for member in both for line in member.log.splitlines() if " merged " in line]

    line = without_time(wait_for(merged, 10, "a line of the merge")[0])
    assert line in (f"info merged member={one.name}", f"info merged member={two.name}")
    assert len(merged()) == 1  # the younger one's


def test_a_second_daemon_of_a_name(members):
    (one,) = members.on_loopback(1)
    second = members.add(one.name, base=one.port - 9)
    second.directory = one.directory / "second"  # the name is that of the first
    second.directory.mkdir()
    second.socket, second.log_path = second.directory / "socket", second.directory / "log"
    second.start()
    with Watch(one) as watch:
        assert not second.ask("cluster_join", node="p9@127.0.0.1")["ok"]
        clash = watch.event("name_clash")
        assert (clash["member"], clash["cause"]) == (one.name, "name-in-use")
        assert line_of(lambda: one.log, "name_clash") == (
            f'error name_clash member={one.name} cause=name-in-use reason="{clash["reason"]}"'
        )


def test_a_path_that_breaks_while_the_member_is_heard_by_others(members):
    if reason := why_no_network():
        pytest.skip(reason)
    network = Network(3)
    try:
        three = [members.add(f"portolan@{host.address}", host=host).start() for host in network.hosts]
        for member in three[1:]:
            member.join(three[0])
        agree(three)
        with Watch(three[0]) as watch:
            cut(network.hosts[0], network.hosts[1])
            assert watch.event("path_broken") == {"member": three[1].name, "cause": "silent"}
            assert line_of(lambda: three[0].log, "path_broken") == (
                f"warn path_broken member={three[1].name} cause=silent"
            )
            heal(network.hosts[0])
            assert watch.event("path_healed") == {"member": three[1].name}
            assert line_of(lambda: three[0].log, "path_healed") == f"info path_healed member={three[1].name}"
    finally:
        network.close()


@pytest.mark.skipif(not CROWD.exists(), reason="tests/crowd is not built")
def test_a_member_with_too_many_names(members, tmp_path):
    """It has names that the others are not told."""
    (one,) = members.on_loopback(1)
    bring_names(one, 100, tmp_path, NAMES_OF_ONE + 1)
    log = (tmp_path / "crowd").read_text
    assert line_of(log, "directory_full") == (
        f"error directory_full name=node{NAMES_OF_ONE}@127.0.0.1 port=40000 member=crowd100@127.0.0.1"
    )
