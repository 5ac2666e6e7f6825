"""Clients of the control socket that come, wait, fall silent and go."""

import os
import socket

import pytest

from deadlines import scaled, wait_for
from members import Members
from portolan_cli import open_to_all
from portoland import Control, portoland  # noqa: F401
from test_control import cpu_seconds, of_root

PEERS_MAX = 64  # places
RESERVE = 16  # and more, for callers that may change things
SHARE = PEERS_MAX // 4  # of a user who may not


@pytest.fixture
def member(tmp_path):
    with Members(tmp_path) as members:
        yield members.on_loopback(1)[0]


@pytest.fixture
def stalled(member):
    """A target of joins that takes calls and says nothing, until it is closed."""
    with socket.socket() as listener:
        listener.settimeout(scaled(10))
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def descriptors(member):
    return len(os.listdir(f"/proc/{member.process.pid}/fd"))


def has_seen_all(member):
    """What came at the daemon's sockets before this call, it has read when this returns."""
    with Control(str(member.socket)) as control:
        for _ in range(2):
            assert control.ask("status")["ok"]


def descriptors_at_rest(member):
    """How many it has when no client is there."""
    with Control(str(member.socket)) as control:
        for _ in range(2):  # the ends of earlier ones have been seen then
            assert control.ask("status")["ok"]
        return descriptors(member) - 1


class Join:
    """A join that is under way: the target has been called."""

    def __init__(self, member, target):
        self.member, self.control = member, Control(str(member.socket))
        name = f"p{target.getsockname()[1] - member.base}@127.0.0.1"
        self.control.request("cluster_join", node=name)
        self.call, _ = target.accept()

    def close_writing_side(self):
        self.control.conn.shutdown(socket.SHUT_WR)
        has_seen_all(self.member)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()
        self.call.close()


# --- who says no more ---


def test_who_says_no_more_while_it_joins_is_told_how_it_ended(member, stalled):
    with Join(member, stalled) as join:
        join.close_writing_side()
        join.call.close()
        reply = join.control.reply()
        assert reply is not None and reply["error"]["code"] == "node_down", reply
        assert join.control.ended()


def test_what_was_asked_behind_a_join_is_answered_too(member, stalled):
    with Join(member, stalled) as join:
        for _ in range(3):
            join.control.request("status")
        join.close_writing_side()
        join.call.close()
        assert join.control.reply()["error"]["code"] == "node_down"
        assert [join.control.reply()["ok"] for _ in range(3)] == [True] * 3
        assert join.control.ended()


def test_who_says_no_more_costs_nothing_while_it_waits(member, stalled):
    with Join(member, stalled) as join:
        join.close_writing_side()
        used = cpu_seconds(member.process.pid)
        assert join.control.reply()["error"]["cause"] == "timed-out"  # after 5 s
        assert cpu_seconds(member.process.pid) - used < scaled(0.5)


def test_who_goes_while_it_joins_is_let_go_at_once(member, stalled):
    before = descriptors_at_rest(member)
    with Join(member, stalled) as join:
        assert descriptors(member) > before
        join.control.close()
        wait_for(lambda: descriptors(member) == before + 1, 2, "only the call to the target to be left")
        assert member.ask("cluster_status")["state"] == "joining"


def test_who_says_no_more_and_goes_is_let_go_with_the_end_of_the_join(member, stalled):
    before = descriptors_at_rest(member)
    with Join(member, stalled) as join:
        join.close_writing_side()
        join.control.close()
        join.call.close()
        wait_for(lambda: descriptors(member) == before, 10, "all descriptors to be back")


def test_a_watch_ends_with_the_writing_side_and_what_was_said_is_sent(member):
    before = descriptors_at_rest(member)
    for _ in range(20):
        with Control(str(member.socket)) as watch:
            watch.request("watch")
            watch.conn.shutdown(socket.SHUT_WR)
            assert watch.reply() == {"v": 1, "ok": True}
            assert watch.ended()
    wait_for(lambda: descriptors(member) == before, 5, "all descriptors to be back")


# --- more than can be served ---


def dial_all(server, command, count=PEERS_MAX):
    """So many clients that have had an answer and stay."""
    clients = [server.dial() for _ in range(count)]
    for client in clients:
        assert client.ask(command)["ok"]
    return clients


def is_open(client):
    """Whether it is served still, which it asks for."""
    try:
        return client.ask("leases") is not None
    except ConnectionError:
        return False


def close_all(clients):
    for client in clients:
        client.close()


def test_a_caller_takes_the_place_of_the_longest_idle(portoland):
    server = portoland()
    clients = dial_all(server, "leases")
    assert clients[0].ask("leases")["ok"]  # so that another is the longest idle
    with server.dial() as caller:
        assert caller.ask("status")["ok"]
        assert clients[1].ended()
        assert [is_open(client) for client in clients] == [True, False] + [True] * (PEERS_MAX - 2)
        assert is_open(caller)
    close_all(clients)


def test_who_says_nothing_or_half_of_a_line_keeps_nobody_out(portoland):
    server = portoland()
    clients = []
    for said in b"", b'{"v":1,':
        for _ in range(PEERS_MAX):
            clients.append(server.dial())
            clients[-1].say(said)
        for _ in range(3):
            assert server.call("status").returncode == 0
    close_all(clients)


def must_wait(client):
    """It has come in and asked, and is neither answered nor closed."""
    client.request("leases")
    client.conn.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.conn.recv(1)
    client.conn.settimeout(scaled(10))


def test_who_watches_stays_and_one_more_waits_for_a_place(portoland):
    server = portoland()
    watchers = dial_all(server, "watch", PEERS_MAX + RESERVE - 1)
    idle = server.dial()
    assert idle.ask("leases")["ok"]
    caller, more = server.dial(), server.dial()
    assert caller.ask("watch")["ok"] and idle.ended()
    must_wait(more)
    caller.close()
    assert more.reply()["ok"]
    more.close()
    server.lease("a")
    assert {watcher.reply()["event"] for watcher in watchers} == {"leased"}
    close_all([*watchers, idle])


def as_user(uid, action):
    os.seteuid(uid)
    try:
        return action()
    finally:
        os.seteuid(0)


@of_root
def test_a_user_has_a_share_of_the_places(portoland, tmp_path):
    open_to_all(tmp_path)
    server = portoland()
    watchers = as_user(65534, lambda: dial_all(server, "watch", SHARE))
    late = as_user(65534, server.dial)
    must_wait(late)
    other = as_user(10001, server.dial)
    assert other.ask("leases")["ok"] and server.call("status").returncode == 0
    watchers.pop().close()
    assert late.reply()["ok"]
    close_all([*watchers, late, other])


def test_a_thousand_callers_at_once_are_all_answered(portoland):
    server = portoland()
    clients = [server.dial() for _ in range(1000)]
    for client in clients:
        client.request("port", nodes=["a1"])
    for client in clients:
        assert client.reply()["ports"] == [{"node": "a1", "port": server.port + 1}]
        client.close()


def test_who_joins_stays(member, stalled):
    with Join(member, stalled) as join:
        clients = []
        for _ in range(PEERS_MAX):
            clients.append(Control(str(member.socket)))
            assert clients[-1].ask("leases")["ok"]
        assert clients[0].ended()
        join.call.close()
        assert join.control.reply()["error"]["code"] == "node_down"
        close_all(clients)


@of_root
def test_who_may_only_read_keeps_out_nobody_who_may_change(portoland, tmp_path):
    open_to_all(tmp_path)
    server = portoland()
    watchers = []
    for uid in range(10001, 10001 + PEERS_MAX // SHARE):
        watchers += as_user(uid, lambda: dial_all(server, "watch", SHARE))
    waiting = as_user(10010, server.dial)
    must_wait(waiting)
    assert server.call("status").returncode == 0
    mine = dial_all(server, "watch", RESERVE)
    assert server.call("status").returncode == 0  # with all places taken, one of theirs is
    assert watchers[0].ended() and not any(is_closed(client) for client in watchers[1:])
    close_all([*watchers, *mine, waiting])


def is_closed(client):
    client.conn.setblocking(False)
    try:
        return client.conn.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def test_who_cannot_even_wait_is_told_so_and_does_not_fill_the_log(portoland):
    server = portoland(descriptors=200)  # an eighth of which may wait
    watchers = dial_all(server, "watch", PEERS_MAX + RESERVE)
    waiting = [server.dial() for _ in range(200 // 8)]
    for _ in range(300):
        with server.dial() as caller:
            assert caller.reply()["error"]["code"] == "busy" and caller.ended()
    close_all(watchers)
    for client in waiting:
        assert client.ask("leases")["ok"]
    close_all(waiting)
    assert 0 < server.log.count(" warn limit ") < 100
