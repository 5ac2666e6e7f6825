"""What those get who have no key: a replayed link, a stranger, hostile first bytes at the front
port."""

import contextlib
import socket
import ssl
import struct
import time

import pytest

import wire
from certificates import certificate
from deadlines import scaled, wait_for
from members import Members, agree, free_base
from relay import Relay

CONNECT_SECONDS = 5  # that a handshake may take: CLUSTER_CONNECT_MS
HANDSHAKE_MAX = 1024  # bytes that a caller without a key may get: a flight without certificates
HANDSHAKE, ALERT, CHANGE_CIPHER, SEALED = 22, 21, 20, 23  # kinds of TLS records


@pytest.fixture
def members(tmp_path):
    with Members(tmp_path) as all_of_them:
        yield all_of_them


def handshakes(member):
    return member.ask("cluster_status")["handshakes"]


def records(data):
    """The TLS records that these bytes are: (kind, content). A half one is an error."""
    found = []
    while data:
        kind, _, length = struct.unpack(">BHH", data[:5])
        assert len(data) >= 5 + length, data
        found.append((kind, data[5 : 5 + length]))
        data = data[5 + length :]
    return found


def read_to_end(conn, seconds=10):
    """All that comes; a reset is an end too, for what we sent may not have been read."""
    conn.settimeout(scaled(seconds))
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := conn.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def assert_serves(member):
    with member.register("visitor", 7000):
        found = wire.look_up(member.port, "visitor")
        assert (found.result, found.port) == (0, 7000)


# --- a recorded link ---


@pytest.fixture
def recorded(members):
    """Two daemons, and a passage in which the second joined the first, had a node `ghost`, and
    left."""
    base = free_base(3)
    one = members.add("p1@127.0.0.5", base=base, front__address="127.0.0.6").start()
    two = members.add("p2@127.0.0.1", base=base).start()
    with Relay(at=("127.0.0.5", one.port), to=("127.0.0.1", one.port)) as relay:
        with two.register("ghost", 6369):
            two.join(one)
            wait_for(lambda: ("ghost@127.0.0.1", 6369) in one.directory_of_cluster(), 5)
            assert two.ask("cluster_leave")["ok"]
            agree([one])
        (passage,) = relay.passages
        wait_for(lambda: passage.is_over, 10, "the end of the recorded link")
        assert handshakes(one) == {"accepted": 1, "refused": 0, "limited": 0}
        assert len(passage.said["caller"]) > 1000 and len(passage.said["called"]) > 500
        yield one, two, relay, passage


@pytest.mark.parametrize("in_turn", [False, True], ids=["at once", "in turn"])
def test_a_recorded_caller_is_nobody(recorded, in_turn):
    one, two, relay, passage = recorded
    two.join(one)  # again: that it left must not be reported twice
    agree([one, two])
    before = handshakes(one)

    with wire.connect(one.port) as conn:
        with contextlib.suppress(ConnectionError):
            for who, data in passage.pieces if in_turn else [("caller", passage.said["caller"])]:
                if who == "caller":
                    conn.sendall(data)
                elif not conn.recv(1, socket.MSG_PEEK):
                    break
        reply = read_to_end(conn)

    if in_turn:  # a flight of its own, not that of the recorded link, and no word behind it
        assert 0 < len(reply) <= HANDSHAKE_MAX
        kinds = [kind for kind, _ in records(reply)]
        assert kinds[0] == HANDSHAKE and kinds.count(HANDSHAKE) == 1
        assert set(kinds[1:]) <= {CHANGE_CIPHER, SEALED, ALERT}
        assert reply[:76] != passage.said["called"][:76]
    else:  # more than a hello, so nothing of it is looked at
        assert reply == b""
    for name in (one.name, two.name, "ghost"):
        assert name.encode() not in reply
    wait_for(lambda: handshakes(one)["refused"] == before["refused"] + 1, 5)
    assert handshakes(one)["accepted"] == before["accepted"] + 1
    assert "caller_refused" in one.log
    assert one.running() == two.running() == sorted([one.name, two.name])
    assert one.directory_of_cluster() == []
    assert_serves(one)


def test_a_recorded_answer_is_nobodys(members, recorded):
    one, two, relay, passage = recorded
    three = members.add("p3@127.0.0.1", base=one.base).start()
    relay.replayed = passage

    for joiner in (two, three):
        began = time.monotonic()
        reply = joiner.ask("cluster_join", node=one.name)
        assert not reply["ok"] and time.monotonic() - began < scaled(CONNECT_SECONDS), reply
        played = relay.passages[-1]
        wait_for(lambda: played.is_over, 5, "the end of what was played")
        assert len(played.said["called"]) > HANDSHAKE_MAX  # all of it
        assert joiner.running() == [joiner.name]
        assert joiner.directory_of_cluster() == []
        assert joiner.ask("cluster_status")["links"] == 0
        assert_serves(joiner)
    relay.replayed = None
    three.join(one)
    agree([one, three])


# --- strangers ---


def client_hello(alpn="portolan/1"):
    """What a TLS client that has no key of ours says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([alpn])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def test_another_cookie_gets_an_alert_and_no_more(members):
    base = free_base(2)
    one = members.add("p1@127.0.0.5", base=base, front__address="127.0.0.6").start()
    two = members.add("p2@127.0.0.1", base=base, node__cookie="ANOTHER").start()
    with Relay(at=("127.0.0.5", one.port), to=("127.0.0.1", one.port)) as relay, one.register("rabbit", 6369):
        assert two.ask("cluster_join", node=one.name)["error"]["cause"] == "wrong-cookie"
        (passage,) = relay.passages
        wait_for(lambda: passage.is_over, 10, "the end of the link")
    ((kind, content),) = records(passage.said["called"])
    assert (kind, len(content)) == (ALERT, 2)
    for name in (one.name, "rabbit", "emqxcl"):  # nor does the caller tell
        assert name.encode() not in passage.said["called"] + passage.said["caller"]
    assert handshakes(one) == {"accepted": 1, "refused": 1, "limited": 0}


def call_from(address, member, said):
    with socket.create_connection(("127.0.0.1", member.port), scaled(10), (address, 0)) as conn:
        with contextlib.suppress(ConnectionError):
            conn.sendall(said)
        return read_to_end(conn)


def test_one_address_has_its_share_of_handshakes_and_others_theirs(members):
    (one,) = members.on_loopback(1)
    said, answers = client_hello(), []

    def is_limited():
        answers.extend(call_from("127.0.0.1", one, said) for _ in range(65))
        answers.append(call_from("127.0.0.2", one, said))
        return handshakes(one)["limited"] > 0

    wait_for(is_limited, 30, "65 handshakes in one second")
    counted = handshakes(one)
    busy = tls_record(b"\2\x50", kind=ALERT, version=0x0303)  # internal_error, and no more
    assert answers.count(busy) == counted["limited"]
    assert counted["accepted"] == counted["refused"] == len(answers) - counted["limited"]
    assert all(records(answer)[0][0] == ALERT for answer in answers)
    assert answers[65::66] and busy not in answers[65::66]  # the other address is always heard
    assert_serves(one)


def test_with_certificates_a_stranger_sees_the_servers_and_no_more(members, tmp_path):
    certificate(tmp_path, "authority", "authority.invalid")
    keys = certificate(tmp_path, "good", "127.0.0.1", "authority")
    one = members.add("secret1@127.0.0.1", base=free_base(1), **keys).start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["portolan/1"])
    with one.register("rabbit", 6369), wire.connect(one.port) as plain, context.wrap_socket(plain) as conn:
        # as TLS has it, the server proves itself first: docs/cluster-protocol.md says what that
        # tells
        shown = conn.getpeercert(binary_form=True)
        assert shown == ssl.PEM_cert_to_DER_cert((tmp_path / "good.pem").read_text())
        heard = b""
        with pytest.raises(ssl.SSLError, match="(?i)certificate.required"):
            while piece := conn.recv(65536):
                heard += piece
        assert heard == b""
    assert b"secret1" not in shown and b"rabbit" not in shown
    wait_for(lambda: handshakes(one) == {"accepted": 1, "refused": 1, "limited": 0}, 5)
    assert one.running() == [one.name]


# --- hostile first bytes ---


def tls_record(content, length=None, kind=HANDSHAKE, version=0x0301):
    return struct.pack(">BHH", kind, version, len(content) if length is None else length) + content


def hello_of_length(length):
    """A ClientHello whose own length is a lie, in a record that tells the truth."""
    content = client_hello()[5:]
    return tls_record(content[:1] + length.to_bytes(3, "big") + content[4:])


# what is said -> which counter of which command tells of it
AT_ONCE = {
    "hello without a key": (client_hello(), "handshakes refused"),
    "hello behind a hello": (client_hello() * 2, "handshakes refused"),
    "hello and garbage": (client_hello() + b"\xff" * 500, "handshakes refused"),
    "record longer than TLS has": (tls_record(b"\x01" * 100, 0xFFFF), "counters refused"),
    "hello longer than TLS has": (hello_of_length(0xFFFFFF), "handshakes refused"),
    "hello shorter than it is": (hello_of_length(10), "counters refused"),
    "another message than hello": (tls_record(b"\x14\0\0\0"), "counters refused"),
    "TLS version 3.255": (b"\x16\x03\xff\0\4\1\0\0\0", "counters refused"),
    "empty record": (tls_record(b""), "counters refused"),
    "alert": (tls_record(b"\2\x28", kind=ALERT), "counters refused"),
    "SSL 2": (b"\x80\x2e\1\0\2" + b"\0" * 41, "counters refused"),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "counters refused"),
    "length 0": (b"\0\0", "counters refused"),
    "longest length": (b"\xff\xff" + b"x" * 100, "counters refused"),
    "one more than a length": (wire.port_please("a") + b"a", "counters refused"),
    "unknown request": (wire.frame(b"?what"), "counters refused"),
    "name longer than the request": (wire.alive("a", name_length=0xFFFF), "counters refused"),
}
HELD = {
    "half a hello": (client_hello()[:100], "front timed_out"),
    "head of a record": (client_hello()[:5], "front timed_out"),
    "two bytes of TLS": (b"\x16\3", "front timed_out"),
    "hello longer than it is": (hello_of_length(5000), "handshakes refused"),
    "record longer than it is": (tls_record(client_hello()[5:], 0x4000), "front timed_out"),
    "one byte of TLS": (b"\x16", "counters timed_out"),
    "one byte": (b"\0", "counters timed_out"),
    "length longer than the request": (wire.frame(wire.PORT_PLEASE2 + b"a", announced=99), "counters timed_out"),
}


@pytest.fixture
def front(members):
    """A daemon with a node, and how many connections it counted otherwise than as good ones."""
    (one,) = members.on_loopback(1, epmd__packet_timeout="2s")
    with one.register("rabbit", 6369):
        yield one
        assert one.running() == [one.name]
        assert one.directory_of_cluster() == [("rabbit@127.0.0.1", 6369)]
        assert wire.look_up(one.port, "rabbit").port == 6369


def bad_ones(member):
    status, shaken = member.ask("status"), handshakes(member)
    counters, front_counters = status["counters"], status["front"]["counters"]
    return {
        **{f"counters {name}": counters[name] for name in ("refused", "timed_out", "shed", "limited")},
        **{f"handshakes {name}": shaken[name] for name in ("refused", "limited")},
        **{f"front {name}": front_counters[name] for name in ("refused", "timed_out")},
    }


def only(*counters):
    names = ("refused", "timed_out", "shed", "limited")
    nothing = {f"counters {name}": 0 for name in names}
    nothing |= dict.fromkeys(("handshakes refused", "handshakes limited", "front refused", "front timed_out"), 0)
    return {name: count + counters.count(name) for name, count in nothing.items()}


@pytest.mark.parametrize("case", AT_ONCE)
def test_hostile_first_bytes_are_refused_at_once(front, case):
    said, counter = AT_ONCE[case]
    began = time.monotonic()
    reply = call_from("127.0.0.1", front, said)
    assert time.monotonic() - began < scaled(3)
    assert len(reply) <= HANDSHAKE_MAX and b"rabbit" not in reply and front.name.encode() not in reply
    wait_for(lambda: bad_ones(front) == only(counter), 5, lambda: bad_ones(front))


def test_a_hello_in_single_bytes_is_answered_as_a_whole_one(front):
    with wire.connect(front.port) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in client_hello():
            conn.sendall(bytes([byte]))
        assert [kind for kind, _ in records(read_to_end(conn))] == [ALERT]
    wait_for(lambda: bad_ones(front) == only("handshakes refused"), 5, lambda: bad_ones(front))


def test_first_bytes_that_stay_unfinished_are_timed_out(front):
    with contextlib.ExitStack() as held:
        began, conns = time.monotonic(), {}
        for case, (said, _) in HELD.items():
            conns[case] = held.enter_context(wire.connect(front.port))
            conns[case].sendall(said)
        assert bad_ones(front) == only()  # they wait, and cost nobody else anything
        for case, conn in conns.items():
            reply = read_to_end(conn, 2 * CONNECT_SECONDS)
            assert reply == b"", case
        assert time.monotonic() - began < scaled(CONNECT_SECONDS + 2)
    counters = [counter for _, counter in HELD.values()]
    wait_for(lambda: bad_ones(front) == only(*counters), 5, lambda: bad_ones(front))


def test_a_hello_that_trickles_in_has_no_more_time(front):
    with wire.connect(front.port) as conn:
        began = time.monotonic()
        conn.sendall(tls_record(client_hello()[5:], 0x4000))
        conn.setblocking(False)

        def is_closed():
            try:
                conn.sendall(b"\0")
                return conn.recv(1) == b""
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        wait_for(is_closed, CONNECT_SECONDS + 2)
        assert time.monotonic() - began > CONNECT_SECONDS - 1
    wait_for(lambda: bad_ones(front) == only("front timed_out"), 5, lambda: bad_ones(front))
