"""Handshakes of strangers: what they cost, and that they keep no member out."""

import contextlib
import itertools
import os
import select
import socket
import struct
import threading
import time

import pytest

from certificates import certificate
from daemon import WRAPPER
from deadlines import scaled, wait_for
from members import Members, agree, free_base
from test_cluster_security import HANDSHAKE, client_hello, handshakes, records, tls_record

REAL_HELLO_MAX = 400  # a hello of a portoland has 308 bytes


@pytest.fixture
def members(tmp_path):
    with Members(tmp_path) as all_of_them:
        yield all_of_them


def call(address, member):
    conn = socket.create_connection(("127.0.0.1", member.port), scaled(10), (address, 0))
    conn.settimeout(scaled(10))
    return conn


def message():
    """A ClientHello without its record, and where its list of protocols ends."""
    content = client_hello()[5:]
    return content, content.index(b"portolan/1") + len(b"portolan/1")


def half_handshake():
    """A first record from which a caller is known as a daemon, and of which the rest never
    comes."""
    content, end = message()
    return tls_record(content[:end])


def in_single_bytes(padding):
    """A hello as long as `padding` makes it, all behind its list of protocols in records of one
    byte."""
    content, end = message()
    content += struct.pack(">HH", 21, padding) + bytes(padding)
    body = bytearray(content)
    body[1:4] = (len(body) - 4).to_bytes(3, "big")
    at = 4 + 2 + 32
    at += 1 + body[at]  # session
    at += 2 + int.from_bytes(body[at : at + 2], "big")  # cipher suites
    at += 1 + body[at]  # compression
    body[at : at + 2] = (len(body) - at - 2).to_bytes(2, "big")
    rest = b"".join(tls_record(body[i : i + 1]) for i in range(end, len(body)))
    return tls_record(bytes(body[:end])) + rest


def cpu_seconds(member):
    with open(f"/proc/{member.process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pour(conn, said):
    """As much as the other side takes until it has had enough."""
    with contextlib.suppress(OSError):
        conn.sendall(said)
        conn.recv(100)


def test_a_hello_in_single_bytes_is_cheap(members):
    """62 calls a second, as many as the limit of an address lets through."""
    (one,) = members.on_loopback(1)
    said, seconds, threads = in_single_bytes(60000), 2, []
    began, before = time.monotonic(), cpu_seconds(one)
    for i in range(62 * seconds):
        conn = call("127.0.0.2", one)
        threads.append(threading.Thread(target=pour, args=(conn, said)))
        threads[-1].start()
        time.sleep(max(0.0, began + i / 62 - time.monotonic()))
    share = (cpu_seconds(one) - before) / (time.monotonic() - began)
    print(f"CPU share {share:.1%}")
    for thread in threads:
        thread.join()
    assert handshakes(one)["refused"] > 0
    assert share < 0.2 or WRAPPER
    assert "its handshake is too long for a portoland" in one.log


@pytest.mark.parametrize("pieces, is_heard", [(2, True), (3, True), (20, False)])
def test_a_hello_comes_in_a_few_records(members, pieces, is_heard):
    (one,) = members.on_loopback(1)
    content, end = message()
    size = -(-(len(content) - end) // pieces)
    cuts = [0, end, *range(end + size, len(content), size), len(content)]
    with call("127.0.0.2", one) as conn:
        conn.sendall(b"".join(tls_record(content[a:b]) for a, b in itertools.pairwise(cuts)))
        reply = conn.recv(1000)
    assert bool(reply) == is_heard  # an alert, as it has no key
    wait_for(lambda: handshakes(one)["refused"] == 1, 5)


def test_half_handshakes_of_many_hosts_keep_no_member_out(members):
    one, two, three = members.on_loopback(3)
    two.join(one)
    agree([one, two])
    said = half_handshake()
    with contextlib.ExitStack() as held:
        for host, _ in itertools.product(range(10, 40), range(10)):
            held.enter_context(call(f"127.0.1.{host}", one)).sendall(said)
        wait_for(lambda: handshakes(one)["accepted"] >= 300, 10)
        began = time.monotonic()
        three.join(one)
        assert time.monotonic() - began < scaled(4)
        agree([one, two, three])


def test_half_hellos_of_many_hosts_keep_no_member_out(members):
    """The record itself is not whole: the front port waits for it."""
    one, two = members.on_loopback(2)
    said = client_hello()[:-1]
    with contextlib.ExitStack() as held:
        for host, _ in itertools.product(range(10, 40), range(10)):
            held.enter_context(call(f"127.0.1.{host}", one)).sendall(said)
        two.join(one)
        with call("127.0.0.2", one) as conn:  # a hello in two segments too
            conn.sendall(said)
            time.sleep(0.1)
            conn.sendall(client_hello()[-1:])
            assert records(conn.recv(100))
        agree([one, two])


def test_a_busy_daemon_is_told_from_another_program(members):
    """The joiner's host has all its handshakes taken: it is asked again, and gets in when they are
    over."""
    one, two = members.on_loopback(2)
    said = half_handshake()
    with contextlib.ExitStack() as held:
        for _ in range(32):
            held.enter_context(call("127.0.0.1", one)).sendall(said)
        wait_for(lambda: handshakes(one)["accepted"] == 32, 5)
        two.join(one)
    assert "cause=busy" in two.log and "not-portolan" not in two.log
    assert "too many handshakes at once" in one.log
    agree([one, two])


def test_one_that_gives_way_is_told_so(members):
    (one,) = members.on_loopback(1)
    said = half_handshake()
    with contextlib.ExitStack() as held:
        conns = []
        for host, _ in itertools.product(range(10, 17), range(32)):
            conns.append(held.enter_context(call(f"127.0.1.{host}", one)))
            conns[-1].sendall(said)
        first = conns[0].recv(100)
        assert first == tls_record(b"\2\x50", kind=21, version=0x0303)
        assert not select.select([conns[-1]], [], [], 0)[0]  # the newest waits


# --- what is told ---


def join_error(caller, name):
    reply = caller.ask("cluster_join", node=name)
    assert not reply["ok"], reply
    return reply["error"]


@pytest.mark.parametrize("name", ["remsh1@127.0.0.1", "p59999@127.0.0.1"])
def test_a_name_without_a_port_is_told(members, name):
    one = members.add("p1@127.0.0.1", base=free_base(1)).start()
    error = join_error(one, name)
    assert error["cause"] == "no-port"
    assert name in error["message"] and "portolan port" in error["message"]
    called = one.portolan("cluster", "join", name)
    assert called.returncode == 1 and "no port can be derived from the name" in called.stderr
    assert one.answers()


# what is wrong with the caller's certificate -> what the two are told; "it" is the other one
CERTIFICATES = {
    "expired": (dict(since="20200101000000Z", until="20200201000000Z"), "certificate has expired", "has expired"),
    "not yet valid": (dict(since="20990101000000Z", until="20990201000000Z"), "not valid yet", "not valid yet"),
    "another authority": (dict(authority="foreign"), "the authority of this daemon's certificate is not in", "the authority of its certificate is not in"),
    "another host": (dict(host="192.0.2.1"), "this daemon's certificate does not contain", "is not for the host that was"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_a_bad_certificate_is_told_as_what_it_is(members, tmp_path, case):
    wrong, told_to_caller, seen = CERTIFICATES[case]
    certificate(tmp_path, "authority", "authority.invalid")
    certificate(tmp_path, "foreign", "foreign.invalid")
    good = certificate(tmp_path, "good", "127.0.0.1", "authority")
    bad = certificate(tmp_path, "bad", **{"host": "127.0.0.1", "authority": "authority", **wrong})
    bad["cluster__tls__cacertfile"] = good["cluster__tls__cacertfile"]
    base = free_base(2)
    one = members.add("c1@127.0.0.1", base=base, **good).start()
    two = members.add("c2@127.0.0.1", base=base, **bad).start()

    outward, inward = join_error(two, one.name), join_error(one, two.name)
    print(outward["message"], inward["message"], sep="\n")
    assert outward["cause"] == inward["cause"] == "certificate"
    assert told_to_caller in outward["message"]
    assert seen in inward["message"]
    if case != "another host":
        assert "name" not in inward["message"].replace(two.name, "")
        wait_for(lambda: seen in one.log, 5, one.log)
