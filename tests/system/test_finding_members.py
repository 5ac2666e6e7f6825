"""How a daemon in epmd mode finds one that is no member yet: its host's epmd is asked, then there
is the rule."""

import contextlib
import socket
import threading
import time

import pytest

from daemon import free_port
from deadlines import scaled, wait_for
from members import Members, Network, agree, free_base, open_only, why_no_network

CONNECT_SECONDS = 5  # what an attempt may take in all
HIDDEN, NORMAL = 72, 77


@pytest.fixture
def members(tmp_path):
    with Members(tmp_path) as all_of_them:
        yield all_of_them


class Epmd:
    """Something on epmd's port of 127.0.0.2 that says `reply` to everybody; None: nothing, and it
    waits."""

    def __init__(self, port, reply, host="127.0.0.2"):
        self.reply, self.questions = reply, []
        self.listener = socket.create_server((host, port))

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                self.answer(self.listener.accept()[0])

    def answer(self, caller):
        with caller, contextlib.suppress(OSError):
            self.questions.append(caller.recv(2000))
            if self.reply is None:
                caller.recv(1)  # until the caller has gone
            else:
                caller.sendall(self.reply)


def found(name, port, kind=HIDDEN):
    name = name.encode()
    return (b"w\0" + port.to_bytes(2, "big") + bytes([kind, 0, 0, 6, 0, 5]) +
            len(name).to_bytes(2, "big") + name + b"\0\0")


@contextlib.contextmanager
def mute():
    """A port that takes connections and never says a word, as a node does at a TLS hello."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        yield listener.getsockname()[1]


class Here:
    """A daemon in epmd mode on 127.0.0.1, and one on 127.0.0.2 whose epmd is the test's."""

    def __init__(self, members, other_base=False, **keys):
        base = free_base(2)
        self.epmd_port = free_port()
        keys = {"epmd__enable": "on", "epmd__port": self.epmd_port, "epmd__address": "127.0.0.1", **keys}
        self.one = members.add("p1@127.0.0.1", base=base, **keys)
        self.two = members.add("p2@127.0.0.2", base=free_base(2) if other_base else base)
        self.one.start()
        self.two.start()

    def join(self):
        """How long that took."""
        began = time.monotonic()
        self.one.join(self.two)
        took = time.monotonic() - began
        print(f"joined in {took:.3f} s\n" + "\n".join(line for line in self.one.log.splitlines() if "epmd_asked" in line))
        agree([self.one, self.two])
        return took


# --- the epmd knows ---


@pytest.mark.parametrize("kind", [HIDDEN, NORMAL])
def test_the_port_that_epmd_tells_is_called(members, kind):
    here = Here(members, other_base=True)
    with Epmd(here.epmd_port, found("p2", here.two.port, kind)) as epmd:
        here.join()
        assert epmd.questions == [b"\0\3zp2"]
    assert f'outcome="knows the name" told={here.two.port}' in here.one.log


def test_a_member_is_called_where_it_says_itself(members):
    here = Here(members, other_base=True)
    with Epmd(here.epmd_port, found("p2", here.two.port)) as epmd:
        here.join()
        here.two.crash()
        wait_for(lambda: here.one.members()[here.two.name] == "down", 10)
        here.two.start()
        agree([here.one, here.two])
        assert len(epmd.questions) == 1


# --- it does not, or lies ---


@pytest.mark.parametrize("reply", [
    pytest.param(b"w\1", id="unknown"),
    pytest.param(found("p2", 0), id="port 0"),
    pytest.param(found("p2", 1), id="a port where nobody listens"),
    pytest.param(found("p2", 1, NORMAL), id="a node's port where nobody listens"),
    pytest.param(found("p3", 1), id="another name"),
    pytest.param(found("p2", 1)[:9], id="cut"),
    pytest.param(b"", id="closed"),
    pytest.param(found("p2", 1)[:-2] + b"\xff\xff" + bytes(70000), id="70,000 bytes"),
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n" * 3000, id="a web server"),
])
def test_a_wrong_answer_leaves_the_rule(members, reply):
    here = Here(members)
    with Epmd(here.epmd_port, reply) as epmd:
        assert here.join() < scaled(2)
        assert len(epmd.questions) == 1


def test_without_an_epmd_there_is_the_rule(members):
    assert Here(members).join() < scaled(2)


def test_silence_leaves_time_for_the_rule(members):
    here = Here(members)
    with Epmd(here.epmd_port, None):
        assert 1.9 < here.join() < scaled(CONNECT_SECONDS)
    assert 'outcome="did not reply in time"' in here.one.log


def test_a_mute_port_leaves_time_for_the_rule(members):
    here = Here(members)
    with mute() as port, Epmd(here.epmd_port, found("p2", port)):
        assert 2.4 < here.join() < scaled(CONNECT_SECONDS)


def test_a_node_with_the_daemons_name_is_no_delay(members):
    here = Here(members)
    with mute() as port, Epmd(here.epmd_port, found("p2", port, NORMAL)):
        assert here.join() < scaled(2)


def test_without_epmd_mode_nobody_is_asked(members):
    here = Here(members, epmd__enable="off")
    with Epmd(here.epmd_port, found("p2", 1)) as epmd:
        here.join()
        assert epmd.questions == []


# --- what people are told ---


@pytest.mark.parametrize("reply, way", [
    (b"w\1", "does not know the name; so port {rule} is that of the rule)"),
    (b"w\0\0", "sent an invalid reply; so port {rule} is that of the rule)"),
    (found("p2", 1), "reports port 1, the rule gives port {rule}; both were tried)"),
])
def test_a_failure_tells_which_way_was_tried(members, reply, way):
    here = Here(members)
    here.two.stop()
    with Epmd(here.epmd_port, reply):
        call = here.one.portolan("cluster", "join", here.two.name)
    print(call.stderr)
    assert call.returncode == 1
    port = 1 if "port 1," in way else here.two.port
    assert f"127.0.0.2:{port} refused the connection" in call.stderr
    assert f"(its epmd, TCP {here.epmd_port}, {way.format(rule=here.two.port)}" in call.stderr


def test_a_nodes_port_is_not_what_a_failure_tells_of(members):
    here = Here(members)
    here.two.stop()
    with mute() as port, Epmd(here.epmd_port, found("p2", port, NORMAL)):
        call = here.one.portolan("cluster", "join", here.two.name)
    assert f"127.0.0.2:{here.two.port} refused the connection" in call.stderr
    assert f"reports port {port}, the rule gives port {here.two.port}; both were tried)" in call.stderr


def test_a_wrong_cookie_is_told_whichever_port_it_was_found_on(members):
    here = Here(members, other_base=True)
    here.two.stop()
    here.two.keys["node.cookie"] = "ANOTHER"
    here.two.start()
    for kind in (HIDDEN, NORMAL):
        with Epmd(here.epmd_port, found("p2", here.two.port, kind)):
            call = here.one.portolan("cluster", "join", here.two.name)
        assert f"127.0.0.2:{here.two.port} has another cookie" in call.stderr


# --- hosts of their own ---


@pytest.fixture
def hosts():
    if reason := why_no_network():
        pytest.skip(reason)
    network = Network(2)
    yield network.hosts
    network.close()


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_two_daemons_with_other_base_ports_join(members, hosts, family):
    names = [f"emqx@{host.address if family == 'IPv4' else host.address6}" for host in hosts]
    one = members.add(names[0], base=4370, host=hosts[0], epmd__enable="on").start()
    two = members.add(names[1], base=5000, host=hosts[1], epmd__enable="on").start()
    one.join(two)
    agree([one, two])
    one.portolan("cluster", "leave")
    agree([two])
    two.join(one)
    agree([one, two])


def test_seeds_with_other_base_ports_find_each_other(members, hosts):
    names = [f"emqx@{host.address}" for host in hosts]
    options = {"epmd__enable": "on", "cluster__discovery": "static", "cluster__static__seeds": ", ".join(names)}
    one = members.add(names[0], base=4370, host=hosts[0], **options).start()
    two = members.add(names[1], base=5000, host=hosts[1], **options).start()
    agree([one, two])


def test_a_firewall_that_swallows_the_question_leaves_time_for_the_rule(members, hosts):
    names = [f"emqx@{host.address}" for host in hosts]
    open_only(hosts[1], 4370)
    one = members.add(names[0], host=hosts[0], epmd__enable="on").start()
    members.add(names[1], host=hosts[1], epmd__enable="on").start()
    call = one.portolan("cluster", "join", names[1])
    assert call.returncode == 0, call.stderr
    assert 'outcome="did not reply in time"' in one.log


def test_a_registered_node_of_the_same_name_wins_and_the_rule_is_left(members, hosts):
    names = [f"emqx@{host.address}" for host in hosts]
    one = members.add(names[0], host=hosts[0], epmd__enable="on").start()
    two = members.add(names[1], host=hosts[1], epmd__enable="on").start()
    with two.register("emqx", 35000):
        one.join(two)
        assert "first=4370" in one.log
        agree([one, two])
