"""What one local user can do to others by way of the daemon: next to nothing."""

import contextlib
import socket
import ssl
import sys
from pathlib import Path

import pytest

import local_attacker
import wire
from deadlines import scaled, wait_for
from local_attacker import OTHER_USER, USER, Attacker
from portoland import portoland  # noqa: F401
from proxied import (
    Node, all_ended, call, counted, echo, ended, front_of, front_ports, many_descriptors, send_name,  # noqa: F401
    send_name_old, streams,
)
from without_netlink import NUMBER_OF_SOCKET

DESCRIPTORS = 200
SHARE = DESCRIPTORS // 4



def tls_hello():
    """A whole hello without ALPN, as TLS distribution begins: it goes through as it is."""
    context, incoming, outgoing = ssl.create_default_context(), ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="h.example.com").do_handshake()
    return outgoing.read()


pytestmark = pytest.mark.skipif(local_attacker.why_impossible() is not None, reason=str(local_attacker.why_impossible()))


class Service:
    """Somebody's own service, on loopback only; at a port of its own choice."""

    def __init__(self, at=0):
        self.listener = socket.create_server(("127.0.0.1", at))
        self.listener.settimeout(scaled(10))
        self.port = self.listener.getsockname()[1]

    def met(self):
        """The connection that came."""
        conn, _ = self.listener.accept()
        conn.settimeout(scaled(10))
        return conn

    def heard(self):
        """All that came on it."""
        with self.met() as conn:
            return ended(conn)

    def met_nobody(self):
        self.listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.listener.accept()
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


# --- other people's services ---


@pytest.mark.parametrize("said", [send_name(), send_name_old(), tls_hello()], ids=["N", "n", "TLS"])
def test_a_service_of_another_user_is_not_published(portoland, said):
    daemon = portoland()
    with Service() as service, Attacker("publish", daemon.port, "x", service.port) as attacker:
        assert attacker.said == "registered"
        with call(daemon.port, said) as conn:
            with service.met() as met:
                with contextlib.suppress(OSError):
                    conn.sendall(b"SET x y\r\n" * 9)
                    conn.shutdown(socket.SHUT_WR)
                assert ended(met) == b""
            assert ended(conn) == b""
        wait_for(lambda: counted(daemon, "not_owned") == (1,), 5)
        daemon.logged("refused", "what=stream", "name=x", f"user {USER} registered", "user 0 listens")
        assert "1 not owned" in daemon.call("status").stdout
    all_ended(daemon)


def test_a_service_of_another_user_on_the_called_address_is_not_published(portoland):
    """Nobody listens on 127.0.0.1: so the proxy tries the address that was called."""
    daemon = portoland()
    with socket.create_server(("127.0.0.9", 0)) as listener:
        port = listener.getsockname()[1]
        with Attacker("publish", daemon.port, "x", port), call(daemon.port, host="127.0.0.9") as conn:
            assert ended(conn) == b""
            listener.settimeout(scaled(10))
            with listener.accept()[0] as met:
                assert ended(met) == b""


def test_ports_of_root_are_published_for_root_alone(portoland):
    daemon = portoland()
    port = next(port for port in range(700, 1000) if wire_is_free(port))
    with Service(port) as service:
        with Attacker("publish", daemon.port, "x", port):
            daemon.logged("no_front_port", "name=x", "below 1024")
            assert front_ports(daemon) == {"x": None}
            with call(daemon.port) as conn:
                assert ended(conn) == b""
            assert service.met_nobody()
        wait_for(lambda: front_ports(daemon) == {}, 5)
        conn, answer = wire.register(daemon.port, "y", port=port)
        service.listener.settimeout(scaled(10))
        with conn, call(daemon.port) as caller:
            assert answer.result == 0
            with service.listener.accept()[0] as met:
                assert wire.read_exactly(met, len(send_name())) == send_name()
                echo(caller, met)


def wire_is_free(port):
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


def test_a_user_s_own_node_is_reached(portoland):
    daemon = portoland()
    with Attacker("node", daemon.port, "mine", user=OTHER_USER) as attacker, call(daemon.port) as conn:
        assert attacker.said == "registered"
        assert wire.read_exactly(conn, len(send_name())) == send_name()
    all_ended(daemon)


def test_the_check_can_be_turned_off_and_on(portoland, tmp_path):
    conf = tmp_path / "portolan.conf"
    conf.write_text("front.check_owner = off\n")
    daemon = portoland("-c", conf)
    with Service() as service, Attacker("publish", daemon.port, "x", service.port):
        with call(daemon.port) as conn:
            met, _ = service.listener.accept()
            with met:
                echo(conn, met) if wire.read_exactly(met, len(send_name())) == send_name() else pytest.fail("other bytes")
        conf.write_text("front.check_owner = on\n")
        assert daemon.says("reload")["applied"] == ["front.check_owner"]
        with call(daemon.port) as conn:
            assert ended(conn) == b""
        assert service.heard() == b""


@pytest.mark.skipif(NUMBER_OF_SOCKET is None, reason="no filter is written for this machine")
def test_without_netlink_nobody_is_led_anywhere_and_the_cure_is_told(portoland, tmp_path):
    conf = tmp_path / "portolan.conf"
    conf.write_text("")
    helper = Path(__file__).with_name("without_netlink.py")
    daemon = portoland("-c", conf, before=[sys.executable, "-B", str(helper)])
    daemon.logged("no_owner_check", "AF_NETLINK", "front.check_owner = off")
    with Node(daemon.port) as node:
        with call(daemon.port) as conn:
            assert ended(conn) == b""
        daemon.logged("refused", "what=stream", "name=rabbit", "Address family not supported")
        conf.write_text("front.check_owner = off\n")
        daemon.says("reload")
        with call(daemon.port) as conn, accepted(node) as end:
            assert wire.read_exactly(end, len(send_name())) == send_name()
            echo(conn, end)
    assert daemon.log.count("no_owner_check") == 1


@contextlib.contextmanager
def accepted(node):
    """The node's end of the next stream, past those that ended without a byte."""
    while True:
        conn = node.accept()
        conn.settimeout(scaled(10))
        if conn.recv(1, socket.MSG_PEEK) != b"":
            break
        conn.close()
    with conn:
        yield conn


# --- streams that nobody holds ---


def test_streams_whose_callers_are_gone_end(portoland, many_descriptors):
    daemon = portoland(descriptors=1024)
    with Attacker("streams", daemon.port, 400):
        all_ended(daemon)
        front = front_of(daemon)["counters"]
        assert front["opened"] > 0 and front["unanswered"] == front["opened"]
        assert not any(streams(daemon))
    with Node(daemon.port, "rabbit") as node, call(daemon.port) as conn, node.accept() as end:
        assert wire.read_exactly(end, len(send_name())) == send_name()
        echo(conn, end)


# --- loops ---


def lead_to_each_other(held, daemons):
    """Each daemon has a node that says that it listens where the next one does."""
    for daemon, following in zip(daemons, [*daemons[1:], daemons[0]], strict=True):
        conn, answer = wire.register(daemon.port, "loop", port=following.port)
        held.enter_context(conn)
        assert answer.result == 0


@pytest.mark.parametrize("check", ["on", "off"])
@pytest.mark.parametrize("count", [2, 3])
def test_daemons_that_lead_to_each_other_are_no_loop(portoland, count, check):
    """All of them are of one user, who registers too: so whose a listener is does not tell."""
    flags = [] if check == "on" else ["--set", "front.check_owner=off"]
    daemons = [portoland(*flags) for _ in range(count)]
    with contextlib.ExitStack() as held:
        lead_to_each_other(held, daemons)
        for daemon in daemons:
            with call(daemon.port) as conn:
                assert ended(conn) == b""
        for daemon in daemons:
            all_ended(daemon)
        opened = [counted(daemon, "opened", "loops") for daemon in daemons]
        assert opened == [(1, 1)] * count, opened
        daemons[0].logged("refused", "proxy on this host")


def test_daemons_that_another_user_leads_to_each_other_are_no_loop(portoland):
    one, other = portoland(), portoland()
    with Attacker("publish", one.port, "x", other.port), Attacker("publish", other.port, "x", one.port):
        with call(one.port) as conn:
            assert ended(conn) == b""
        all_ended(one)
        assert counted(one, "not_owned") == (1,) and counted(other, "opened") == (0,)


# --- shares ---


def test_one_user_cannot_take_all_names(portoland):
    daemon = portoland(descriptors=DESCRIPTORS)
    with Attacker("names", daemon.port, 2 * DESCRIPTORS) as attacker:
        assert int(attacker.said) == SHARE
        daemon.logged("refused", "what=registration", f"user {USER} has used up its share", "limits.user_share")
        with Attacker("node", daemon.port, "rabbit", user=OTHER_USER) as other:
            assert other.said == "registered"
            with Node(daemon.port, "roots"):
                assert daemon.says("status")["names"] == SHARE + 2
                assert daemon.says("status")["counters"]["limited"] == 1
                with call(daemon.port, b"") as conn:
                    conn.sendall(wire.port_please("rabbit"))
                    assert wire.read_to_end(conn)[:2] == b"w\0"
    wait_for(lambda: daemon.says("status")["names"] == 0, 10)
    with Attacker("names", daemon.port, SHARE) as again:
        assert int(again.said) == SHARE


@pytest.mark.skipif(not Path("/etc/subuid").exists(), reason="there is no /etc/subuid to put another one over")
def test_a_user_s_subordinate_users_have_no_shares_of_their_own(portoland, tmp_path):
    """A user namespace makes thousands of users of one."""
    subuid = tmp_path / "subuid"
    subuid.write_text(f"{USER}:100000:65536\n")
    script = 'mount --bind "$0" /etc/subuid && exec "$@"'
    daemon = portoland(descriptors=DESCRIPTORS, before=["unshare", "-m", "sh", "-c", script, str(subuid)])
    with contextlib.ExitStack() as held:
        attackers = [held.enter_context(Attacker("names", daemon.port, SHARE // 2, f"of{user}", user=user))
                     for user in (100001, 100002, 100003, USER, 165535)]
        assert [int(attacker.said) for attacker in attackers] == [SHARE // 2, SHARE // 2, 0, 0, 0]
        assert held.enter_context(Attacker("node", daemon.port, "rabbit", user=OTHER_USER)).said == "registered"


def test_one_user_s_idle_connections_leave_room_for_others(portoland):
    daemon = portoland(descriptors=DESCRIPTORS)
    with Attacker("idle", daemon.port, 2 * DESCRIPTORS), Attacker("names", daemon.port, 10) as names:
        assert int(names.said) == 0  # his share is taken
        wait_for(lambda: daemon.says("status")["connections"]["waiting"] == SHARE, 10)
        with Attacker("node", daemon.port, "rabbit", user=OTHER_USER) as other:
            assert other.said == "registered"


def test_the_share_can_be_changed(portoland, tmp_path):
    conf = tmp_path / "portolan.conf"
    conf.write_text("limits.user_share = 10%\n")
    daemon = portoland("-c", conf, descriptors=DESCRIPTORS)
    with Attacker("names", daemon.port, DESCRIPTORS) as attacker:
        assert int(attacker.said) == DESCRIPTORS // 10
    conf.write_text("limits.user_share = 30%\n")
    assert daemon.says("reload")["applied"] == ["limits.user_share"]
    wait_for(lambda: daemon.says("status")["names"] == 0, 10)
    with Attacker("names", daemon.port, DESCRIPTORS) as attacker:
        assert int(attacker.said) == DESCRIPTORS * 30 // 100
