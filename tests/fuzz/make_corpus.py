#!/usr/bin/env python3
"""Writes the seed corpus: corpus/<target>/<name>, small inputs from which the fuzzers start.

The files are kept in the repository beside this script; run it again after changing it.
"""

import json
import shutil
import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"


def frame(payload):
    return struct.pack(">H", len(payload)) + payload


def alive2(name, port=25672, kind=77, highest=6, lowest=5, extra=b""):
    return (
        b"x"
        + struct.pack(">HBBHHH", port, kind, 0, highest, lowest, len(name))
        + name
        + struct.pack(">H", len(extra))
        + extra
    )


LONGEST_NAME = "𝄞".encode() * 255

REQUESTS = {
    "alive2": alive2(b"rabbit"),
    "alive2_hidden": alive2(b"emqx", kind=72, extra=b"\x00\x01xyz"),
    "alive2_old": alive2(b"old", highest=5),
    "alive2_utf8": alive2("søster€𝄞".encode()),
    "alive2_not_utf8": alive2(b"rab\xff\xc3"),
    "alive2_nul": alive2(b"rab\x00bit"),
    "alive2_empty": alive2(b""),
    "alive2_longest": alive2(LONGEST_NAME, extra=b"e" * 1020),
    "alive2_too_long": alive2(b"n" * 256),
    "alive2_extra_too_long": alive2(b"n", extra=b"e" * 1021),
    "alive2_cut_name": alive2(b"rabbit")[:15],
    "alive2_cut_extra": alive2(b"rabbit", extra=b"xyz")[:-1],
    "alive2_more": alive2(b"rabbit") + b"more",
    "look_up": b"zrabbit",
    "look_up_nul": b"zrabbit\x00",
    "look_up_empty": b"z",
    "names": b"n",
    "dump": b"d",
    "kill": b"k",
    "stop": b"srabbit",
    "stop_nul": b"srab\x00bit",
    "unknown": b"?",
}


def wire_seeds():
    for name, payload in REQUESTS.items():
        yield name, frame(payload)
        yield name + "_payload", payload
    yield "empty_frame", frame(b"")
    yield "overrun", frame(b"n") + b"n"
    yield "incomplete", frame(b"zrabbit")[:5]
    yield "longest", frame(b"s" + b"n" * 3056)
    yield "too_long", frame(b"s" + b"n" * 3057)


# The steps of fuzz_epmd_service; the numbers are explained there.


def send(conn, data):
    return struct.pack(">BBH", conn, 0, len(data)) + data


def request(conn, payload):
    if len(payload) > 255:
        return send(conn, frame(payload))
    return bytes([conn, 1, len(payload)]) + payload


def close(conn):
    return bytes([conn, 2])


def read(conn, more=0):
    return bytes([conn, 3, more])


def come_from(conn, remote):
    return bytes([conn, 4, int(remote)])


def rules(relaxed=False, remote_names=False):
    return bytes([0, 5, relaxed | remote_names << 1])


def long_name(which):
    return b"%03d" % which + LONGEST_NAME[: 4 * 252]


def service_seeds():
    rabbit = request(0, alive2(b"rabbit"))
    yield "register_and_look_up", rabbit + request(1, b"zrabbit") + request(2, b"zhare")
    yield "name_taken", rabbit + request(1, alive2(b"rabbit", port=1)) + close(0) + rabbit
    yield "old_node_comes_back", 4 * (request(0, alive2(b"old", highest=5)) + close(0))
    yield "byte_ends_registration", rabbit + send(0, b"x") + request(1, b"zrabbit")
    yield "byte_by_byte", b"".join(
        send(0, bytes([byte])) for byte in frame(alive2(b"rabbit"))
    ) + request(1, b"zrabbit")
    yield "list", rabbit + request(1, alive2(b"emqx")) + request(2, b"n") + read(2) + read(2)
    yield "dump", rabbit + close(0) + request(1, alive2(b"emqx")) + request(2, b"d") + 2 * read(2)
    yield "list_in_pieces", (
        b"".join(request(i, alive2(long_name(i))) for i in range(8))
        + request(9, b"n")
        + read(9)
        + close(7)
        + close(2)
        + request(7, alive2(b"newcomer"))
        + 9 * read(9, 200)
    )
    yield "dump_while_all_leave", (
        b"".join(request(i, alive2(long_name(i))) for i in range(8))
        + request(9, b"d")
        + read(9)
        + b"".join(close(i) for i in range(8))
        + 12 * read(9)
    )
    yield "two_listings", (
        b"".join(request(i, alive2(long_name(i))) for i in range(4))
        + request(8, b"d")
        + request(9, b"n")
        + read(8)
        + read(9)
        + close(8)
        + close(1)
        + 5 * read(9)
    )
    yield "kill", request(1, b"k") + rabbit + request(1, b"k") + rules(relaxed=True)
    yield "kill_relaxed", rabbit + rules(relaxed=True) + request(1, b"k") + request(1, b"n")
    yield "stop", rabbit + request(1, b"srabbit") + rules(relaxed=True) + 2 * request(1, b"srabbit")
    yield "remote", come_from(0, True) + rabbit + b"".join(
        request(0, payload) for payload in (b"n", b"d", b"k", b"srabbit", b"zrabbit")
    )
    yield "remote_names", come_from(0, True) + rules(remote_names=True) + request(0, b"n") + read(0)
    yield "bad_requests", b"".join(
        request(i % 8, payload) + close(i % 8) for i, payload in enumerate(REQUESTS.values())
    )


HEADER = b"portolan creations 1\n"


def creations_seeds():
    # with the checksum put behind, and a clock of about 1.8e9
    names = b"".join(b"last %d n%d\n" % (i % 3 + 1, i) for i in range(3))
    old_names = b"".join(b"last %d 6e3%d\n" % (i % 3 + 1, i) for i in range(3))
    bodies = {
        "empty": b"",
        "header": HEADER,
        "fresh": HEADER + b"next 1772364526\n",
        "lowest": HEADER + b"next 4\n",
        "round": HEADER + b"next 4294967296\n",
        "highest": HEADER + b"next 9223372036854775807\n",
        "beyond": HEADER + b"next 9223372036854775808\n",
        "old_names": HEADER + b"next 1772364526\n" + old_names,
        "names_not_hex": HEADER + b"next 1772364526\n" + names,
        "name_twice": HEADER + b"next 1772364526\nlast 1 61\nlast 2 61\n",
        "longest_name": HEADER + b"next 9\nlast 3 " + b"f0" * 1020 + b"\n",
        "name_too_long": HEADER + b"next 9\nlast 3 " + b"f0" * 1021 + b"\n",
        "nul_in_line": HEADER + b"next 9\nlast 3 61\x00\n",
        "no_end": HEADER + b"next 9",
        "other_version": b"portolan creations 2\nnext 9\n",
    }
    for name, body in bodies.items():
        yield name, b"\x01\x6a" + body
    yield "no_sum", b"\x00\x6a" + HEADER + b"next 9\n"
    yield "wrong_sum", b"\x00\x6a" + HEADER + b"next 9\nsum 0000000000000000\n"


def text_seeds():
    texts = [
        "0",
        "4369",
        "18446744073709551615",
        "18446744073709551616",
        "60s",
        "500ms",
        "5m",
        "2h",
        "365d",
        "366d",
        "on",
        "FALSE",
        "quote\" back\\slash",
        "line\r\nbreak\x1b[31m\x7f",
        "søk € 𝄞 \u0085\u009b",
        "\ud7ff\ue000\uffff\U0010ffff",
    ]
    for number, text in enumerate(texts):
        yield f"text{number:02}", text.encode()
    yield "overlong", b"\xc0\x80\xe0\x80\x80\xf0\x80\x80\x80"
    yield "surrogate", b"\xed\xa0\x80"
    yield "beyond", b"\xf4\x90\x80\x80\xf5\x80\x80\x80"
    yield "cut", b"\xf0\x9d\x84"


PORTS_HEADER_1 = b"portolan ports 1\n"
PORTS_HEADER = b"portolan ports 2\n"


def ports_seeds():
    # with the checksum put behind, and the policy "any"
    many = b"".join(b"lease %d %d 6e%02x %d\n" % (6369 + i, 6000 * i, 0x61 + i, 1000 * i) for i in range(10))
    memories = b"".join(b"last %d 0 6e%02x\n" % (6369 + i, 0x61 + i) for i in range(10))
    bodies = {
        "empty": b"",
        "header": PORTS_HEADER,
        "lease": PORTS_HEADER + b"lease 6369 60000 61 1000\nlast 6369 0 61\n",
        "all": PORTS_HEADER + many + memories,
        "elsewhere": PORTS_HEADER + b"lease 65535 1 61 0\nlease 1 0 62 4294967295\n",
        "port_twice": PORTS_HEADER + b"lease 6369 0 61 0\nlease 6369 0 62 0\n",
        "name_twice": PORTS_HEADER + b"lease 6369 0 61 0\nlease 6370 0 61 0\n",
        "last_twice": PORTS_HEADER + b"last 6369 0 61\nlast 6370 0 62\nlast 6371 0 61\n",
        "too_long_left": PORTS_HEADER + b"lease 6369 60001 61 0\n",
        "not_hex": PORTS_HEADER + b"lease 6369 0 rabbit 0\n",
        "longest_name": PORTS_HEADER + b"lease 6369 0 " + "𝄞".encode().hex().encode() * 255 + b" 0\n",
        "name_too_long": PORTS_HEADER + b"lease 6369 0 " + b"61" * 1021 + b" 0\n",
        "nul_in_line": PORTS_HEADER + b"lease 6369 0 61 0\x00\n",
        "word_missing": PORTS_HEADER + b"lease  0 61 0\n",
        "no_end": PORTS_HEADER + b"lease 6369 0 61 0",
        "user_missing": PORTS_HEADER + b"lease 6369 0 61\n",
        "user_too_large": PORTS_HEADER + b"lease 6369 0 61 4294967296\n",
        "old": PORTS_HEADER_1 + b"lease 6369 60000 61\nlast 6369 0 61\n",
        "old_with_user": PORTS_HEADER_1 + b"lease 6369 60000 61 0\n",
        "other_kind": b"portolan creations 1\nnext 9\n",
    }
    for name, body in bodies.items():
        yield name, b"\x01\x02" + body
    for policy in range(3):
        yield f"policy{policy}", bytes([1, 0x80 | policy]) + bodies["all"]
    yield "no_sum", b"\x00\x02" + bodies["lease"]


def control_line(command, **members):
    return json.dumps({"v": 1, "command": command, **members}, ensure_ascii=False).encode() + b"\n"


def control_seeds():
    lines = {
        **{command: control_line(command) for command in ("status", "names", "leases", "reload", "stop", "watch")},
        "resolve": control_line("resolve", node="rabbit@localhost") + control_line("resolve", node="søster")
        + control_line("resolve", node="hare@192.0.2.1"),
        "port": control_line("port", nodes=["emqx-1@192.168.0.12", "remsh", "n59999", 7], base=10000),
        "port_wrong": control_line("port", nodes="a") + control_line("port", nodes=[], base=70000)
        + control_line("port", nodes=["a"], base="4370"),
        "lease": control_line("lease", node="emqx@h") + control_line("leases") + control_line("release", node="emqx@h"),
        "lease_for": control_line("lease", node="emqx@h", user=1000) + control_line("lease", node="a", user=-1)
        + control_line("lease", node="a", user=2**32 - 1) + control_line("leases"),
        "lease_held": control_line("lease", node="rabbit@h") + control_line("release", node="rabbit@h"),
        "full": b"".join(control_line("lease", node=f"n{i}") for i in range(3)),
        "watched": control_line("watch") + control_line("lease", node="a") + control_line("release", node="a"),
        "unknown": control_line("cluster"),
        "no_node": control_line("lease") + control_line("lease", node="@h") + control_line("lease", node=5),
        "other_version": b'{"v":2,"command":"status"}\n{"v":"1"}\n{}\n',
        "nul": b'{"v":1,"command":"resolve","node":"a\\u0000b"}\n',
        "duplicate": b'{"v":1,"v":1,"command":"status"}\n' + control_line("status"),
        "no_json": b"GET / HTTP/1.1\r\n\r\n",
        "no_object": b"[]\n",
        "empty_lines": b"\n\n",
        "deep": b"[" * 3000 + b"\n",
        "no_end": b'{"v":1,"command":"status"}',
        "not_utf8": b'{"v":1,"command":"resolve","node":"\xff"}\n',
        "escaped": b'{"v":1,"command":"resolve","node":"\\ud834\\udd1e@h"}\n',
    }
    for name, content in lines.items():
        yield name, b"\x00\x02" + content
    yield "byte_by_byte", b"\x01\x80" + lines["lease"]
    yield "derived", b"\x07\x81" + lines["lease"] + lines["reload"] + lines["full"]


# --- the cluster protocol: frames as src/cluster/wire.h draws them ---

HELLO, JOIN_ACCEPT, REJECT, PING, RECORDS, SUMMARY, SAME, BUCKETS = range(1, 9)
RANGE, PULL, NAMES, CHANGE, PROBE_REQ, PROBE_ACK, IDENTITY = range(9, 16)
ALIVE, SUSPECT, DOWN, CLEANED, LEFT, FORCED_OUT = range(6)
NUMBER_MAX = 1 << 53
NOW = 1760000000000 * 1000 + 557  # the incarnation of fuzz_cluster_member at its start
SELF = b"self@h.example.org"
PEERS = [b"peer%d@x.org" % i for i in range(4)]  # who greets on link i
EVERYTHING = (0, 2**64 - 1)
OLDER, NEWER = (1, 1), (2**64 - 1, 0)  # identities; the older one wins


def ring_hash(name):
    value = 0xCBF29CE484222325
    for byte in name:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


def text8(text):
    return bytes([len(text)]) + text


def peer_frame(kind, payload=b"", length=None):
    return struct.pack(">IB", 1 + len(payload) if length is None else length, kind) + payload


def hello(name=PEERS[0], version=1, flags=1, intent=0, identity=NEWER, joined=0, life=1000, incarnation=1000,
          names=0, known=(0, 0, 255), port=4370, cluster=b"emqxcl"):
    return struct.pack(">BBB8QBH", version, flags, intent, *identity, joined, life, incarnation, names, *known, port
                       ) + text8(name) + text8(cluster)


def record(name, state=ALIVE, joined=0, life=1000, incarnation=None, names=0, detail=0, port=4370, age=0):
    return bytes([state]) + text8(name) + struct.pack(
        ">5QHI", joined, life, life if incarnation is None else incarnation, names, detail, port, age)


def tombstone(name, state, incarnation):
    return record(name, state, 0, 0, incarnation, detail=1760000000000, port=0)


def peer_node(name, port=6369, creation=7):
    return struct.pack(">H", len(name)) + name + struct.pack(">HBBHHI", port, 77, 0, 6, 5, creation)


def names_of(owner, life, sequence, flags, *nodes):
    return struct.pack(">QQB", life, sequence, flags) + text8(owner) + b"".join(
        struct.pack(">Q", number) + peer_node(name) for number, name in nodes)


def change(owner, life, sequence, operation, name):
    return struct.pack(">QQB", life, sequence, operation) + text8(owner) + peer_node(name)


def pull(owner, life=0, sequence=0):
    return struct.pack(">QQ", life, sequence) + text8(owner)


def ask(to, subject, origin, ttl=40, number=1):
    return struct.pack(">BQQQI", ttl, ring_hash(to), ring_hash(origin), ring_hash(subject), number)


def answer(to, subject, heard, ttl=40, number=1):
    return struct.pack(">BQQIB", ttl, ring_hash(to), ring_hash(subject), number, heard)


def records_between(between, flags, *records):
    return struct.pack(">QQB", *between, flags) + b"".join(records)


MANY = [record(b"m%d@many.org" % i, names=i % 3) for i in range(80)]
ALL_STATES = (record(b"a@h"), record(b"s@h", SUSPECT, detail=9), record(b"d@h", DOWN, detail=1, age=5000),
              tombstone(b"l@h", LEFT, 5000), tombstone(b"f@h", FORCED_OUT, 5000))

# one of each, and some that are not as they should be
PAYLOADS = {
    "hello": (HELLO, hello()),
    "hello_member": (HELLO, hello(flags=6, joined=900, names=2, known=(0, NOW, ALIVE))),
    "hello_joins": (HELLO, hello(intent=1)),
    "hello_found": (HELLO, hello(flags=4, intent=2)),
    "hello_later_version": (HELLO, hello(version=2) + b"more"),
    "hello_other_cluster": (HELLO, hello(cluster=b"other")),
    "hello_longest": (HELLO, hello(name=b"n" * 127 + b"@" + b"h" * 127, cluster=b"c" * 255)),
    "hello_no_cluster": (HELLO, hello(cluster=b"")),
    "hello_cut": (HELLO, hello()[:-1]),
    "hello_blank": (HELLO, hello(name=b"a b@h")),
    "hello_no_host": (HELLO, hello(name=b"ab@")),
    "hello_not_utf8": (HELLO, hello(name=b"\xff@h")),
    "hello_highest": (HELLO, hello(joined=NUMBER_MAX, life=NUMBER_MAX, incarnation=NUMBER_MAX)),
    "hello_too_high": (HELLO, hello(incarnation=NUMBER_MAX + 1)),
    "hello_out_of_order": (HELLO, hello(joined=2000)),
    "join_accept": (JOIN_ACCEPT, struct.pack(">QQ", 5000, 0)),
    "join_accept_claims": (JOIN_ACCEPT, struct.pack(">QQ", 5000, 4000)),
    "join_accept_too_high": (JOIN_ACCEPT, struct.pack(">QQ", NUMBER_MAX, NUMBER_MAX)),
    "refuse": (REJECT, b"\x0b"),
    "refuse_unknown": (REJECT, b"\xff"),
    "ping": (PING, b""),
    "records": (RECORDS, b"".join(ALL_STATES)),
    "records_empty": (RECORDS, b""),
    "records_cleaned": (RECORDS, record(b"c@h", CLEANED)),
    "records_cut": (RECORDS, record(b"a@h") + record(b"b@h")[:-1]),
    "records_out_of_order": (RECORDS, record(b"a@h", joined=9, life=8, incarnation=7)),
    "records_highest": (RECORDS, record(b"a@h", DOWN, NUMBER_MAX, NUMBER_MAX, names=NUMBER_MAX, age=2**32 - 1)),
    "summary": (SUMMARY, struct.pack(">QQQ", *NEWER, 1)),
    "same": (SAME, b""),
    "buckets": (BUCKETS, bytes(2048)),
    "buckets_cut": (BUCKETS, bytes(2047)),
    "range": (RANGE, records_between(EVERYTHING, 0, *ALL_STATES)),
    "range_answer": (RANGE, records_between(EVERYTHING, 3, record(b"a@h"))),
    "range_backwards": (RANGE, records_between((1, 0), 0)),
    "pull": (PULL, pull(SELF)),
    "names": (NAMES, names_of(PEERS[0], 1000, 2, 3, (1, b"a"), (2, b"b"))),
    "names_nothing": (NAMES, names_of(PEERS[0], 0, 0, 3)),
    "names_cut": (NAMES, names_of(PEERS[0], 1000, 2, 3, (1, b"a"))[:-1]),
    "names_longest": (NAMES, names_of(PEERS[0], 1000, 1, 3, (1, LONGEST_NAME))),
    "names_too_long": (NAMES, names_of(PEERS[0], 1000, 1, 3, (1, b"n" * 256))),
    "change": (CHANGE, change(PEERS[0], 1000, 1, 1, b"rabbit")),
    "change_gone": (CHANGE, change(PEERS[0], 1000, 2, 2, b"rabbit")),
    "change_neither": (CHANGE, change(PEERS[0], 1000, 2, 3, b"rabbit")),
    "probe_req": (PROBE_REQ, ask(SELF, PEERS[1], PEERS[0])),
    "probe_req_cut": (PROBE_REQ, ask(SELF, PEERS[1], PEERS[0])[:-1]),
    "probe_ack": (PROBE_ACK, answer(SELF, PEERS[1], 1)),
    "identity": (IDENTITY, struct.pack(">QQ", *OLDER)),
    "later_type": (77, b"later"),
}

STORE = b"portolan cluster 1\nself self@h.example.org 5 9\nid 1760000000000 77\n"


def cluster_wire_seeds():
    for name, (kind, payload) in PAYLOADS.items():
        yield name, peer_frame(kind, payload)
        yield name + "_payload", payload
    yield "length_0", peer_frame(PING, length=0)
    yield "length_longest", peer_frame(PING, length=65532)
    yield "length_too_long", peer_frame(PING, length=65533)
    yield "length_highest", peer_frame(PING, length=2**32 - 1)
    yield "length_alone", struct.pack(">I", 1)
    yield "two_frames", peer_frame(PING) + peer_frame(SAME)
    # with the checksum put behind
    words = (b"alive", b"down", b"cleaned", b"left", b"forced-out")
    lines = b"".join(b"%s m%d@h 5 6 7 4370 1760000000000\n" % (word, i) for i, word in enumerate(words))
    yield "store", STORE + lines
    yield "store_alone", STORE
    yield "store_unknown_state", STORE + b"asleep m@h 5 6 7 4370 8\n"
    yield "store_too_high", STORE + b"alive m@h 9007199254740993 6 7 4370 8\n"
    yield "store_port_too_high", STORE + b"alive m@h 5 6 7 65536 8\n"
    yield "store_no_end", STORE + b"alive m@h 5 6 7"
    yield "store_other_version", STORE.replace(b"cluster 1", b"cluster 2")


# The steps of fuzz_cluster_member; the numbers are explained there.


def wait(ms):
    steps = -(-ms // 64)
    return b"".join(bytes([0, min(255, steps - done)]) for done in range(0, steps, 255))


def wait_minutes(minutes):
    return b"".join(bytes([8, min(255, minutes - done)]) for done in range(0, minutes, 255))


def greet(link, intent=0, lists_us=False, elsewhere=False, silent=False, flags=1):
    return bytes([1 | intent << 3 | lists_us << 5 | elsewhere << 6 | silent << 7, link | flags << 2])


def lose(link):
    return bytes([2, link])


def call_succeeds(link):
    return bytes([3 | 8, link])


def call_fails(refused=True):
    return bytes([3 | refused << 4, 0])


def join(peer):
    return bytes([4, 0 | peer << 2])


def leave():
    return bytes([4, 1])


def force_leave(peer):
    return bytes([4, 2 | peer << 2])


def discover():
    return bytes([4, 3])


def says(link, kind, payload=b""):
    if kind > 15:
        return raw(link, peer_frame(kind, payload))
    return struct.pack(">BBH", 5 | kind << 3, link, len(payload)) + payload


def raw(link, data):
    return struct.pack(">BBH", 7, link, len(data)) + data


def own_name(registered):
    return bytes([4, 8 | registered])


def is_joined(link=0):
    """The member joins the peer of this link, as far as its JOIN_ACCEPT."""
    return (join(link) + call_succeeds(link) + greet(link, elsewhere=True)
            + says(link, JOIN_ACCEPT, struct.pack(">QQ", 0, 0)) + greet(link, lists_us=True, elsewhere=True))


def beats(links, seconds):
    """Time in which the peers of these links are heard."""
    return (wait(960) + b"".join(says(link, PING) for link in links)) * seconds


def member_seeds():
    three = greet(0) + greet(1) + greet(2)
    summary = struct.pack(">QQQ", *NEWER, 1)
    about_self = {
        "suspect": record(SELF, SUSPECT, 0, NOW, detail=9),
        "down": record(SELF, DOWN, 0, NOW),
        "later_life": record(SELF, ALIVE, 0, NOW + 5),
        "later_names": record(SELF, ALIVE, 0, NOW, names=9),
        "later_join": record(SELF, ALIVE, NOW, NOW, NOW + 5),
        "highest": record(SELF, ALIVE, NUMBER_MAX, NUMBER_MAX),
        "older": record(SELF, ALIVE, 0, 5),
        "left": tombstone(SELF, LEFT, NOW),
        "forced_out": tombstone(SELF, FORCED_OUT, NUMBER_MAX),
    }
    for name, payload in about_self.items():
        yield "self_" + name, greet(0) + greet(1) + says(0, RECORDS, payload) + wait(1000) + says(1, SUMMARY, summary)

    for name, (kind, payload) in PAYLOADS.items():
        yield "first_" + name, greet(0, silent=True) + says(0, kind, payload) + wait(1000)
        yield "then_" + name, greet(0) + greet(1) + says(0, kind, payload) + wait(1000)
    yield "cut_off", greet(0) + b"".join(
        greet(0) + says(0, kind, payload[: len(payload) // 2]) for kind, payload in PAYLOADS.values())

    yield "length_0", greet(0) + raw(0, peer_frame(PING, length=0))
    yield "length_too_long", greet(0) + raw(0, peer_frame(PING, length=65533))
    yield "length_highest", greet(0, silent=True) + raw(0, b"\xff" * 8)
    yield "length_longest", greet(0) + raw(0, peer_frame(RECORDS, length=65532)) + says(0, PING) + lose(0)
    yield "byte_by_byte", greet(0) + b"".join(
        raw(0, bytes([byte])) for byte in peer_frame(RECORDS, record(b"a@h")) + peer_frame(PING))
    yield "frames_in_one", greet(0) + raw(0, b"".join(peer_frame(*frame) for frame in PAYLOADS.values()))

    for flags in range(8):
        for intent in range(3):
            yield f"handshake_{flags}{intent}", (
                greet(0, intent, flags=flags) + greet(1, intent, elsewhere=True, flags=flags)
                + greet(2, intent, lists_us=True, elsewhere=True, flags=flags)
                + says(1, JOIN_ACCEPT, struct.pack(">QQ", 5000, 0)) + says(1, PING))
    yield "own_name", greet(0, silent=True) + says(0, HELLO, hello(SELF)) + greet(1, silent=True) + says(
        1, HELLO, hello(SELF, life=NOW, incarnation=NOW))
    yield "name_taken", greet(0) + greet(1, silent=True) + says(1, HELLO, hello(PEERS[0], life=2000, incarnation=2000))
    yield "second_link", greet(0) + greet(1, silent=True) + says(1, HELLO, hello(
        PEERS[0], known=(0, 0, ALIVE))) + says(1, PING) + says(0, PING)
    yield "new_generation", greet(0) + wait(3000) + greet(1, silent=True) + says(1, HELLO, hello(
        PEERS[0], life=2000, incarnation=2000, known=(0, 0, ALIVE)))
    yield "forgot_its_join", greet(0) + greet(1) + says(0, RECORDS, record(PEERS[2], joined=900)) + greet(
        2, elsewhere=True) + says(2, HELLO, hello(PEERS[2], joined=900, life=2000, incarnation=2000))
    yield "we_forgot_our_join", greet(0, elsewhere=True, intent=2) + says(
        0, JOIN_ACCEPT, struct.pack(">QQ", NOW + 5, NOW + 4)) + says(0, RECORDS, record(b"a@h"))
    listed_by_an_earlier_join = says(0, HELLO, hello(identity=OLDER, known=(5, 5, ALIVE)))
    yield "follows_claims", b"".join(
        greet(0, silent=True) + listed_by_an_earlier_join + says(0, JOIN_ACCEPT, struct.pack(">QQ", claim, claim))
        + lose(0) for claim in range(NOW + 1000, NOW + 5000, 1000))
    yield "was_ended_and_joins_anew", greet(0, silent=True) + says(0, HELLO, hello(
        identity=OLDER, intent=2, known=(0, 5000, LEFT))) + says(0, JOIN_ACCEPT, struct.pack(">QQ", 5000, 0)) + says(0, SAME)
    yield "was_ended_in_this_life", greet(0, silent=True) + says(0, HELLO, hello(
        identity=OLDER, intent=2, known=(0, NOW + 5, FORCED_OUT)))
    yield "was_ended_while_a_member", greet(1) + greet(0, silent=True) + says(0, HELLO, hello(
        identity=OLDER, intent=2, flags=1, known=(0, NOW + 5, LEFT)))
    for name, life in (("restarted", 2000), ("rests", 1400)):
        yield "peer_was_ended_and_" + name, greet(1) + says(1, RECORDS, tombstone(PEERS[0], LEFT, 1500)) + greet(
            0, silent=True) + says(0, HELLO, hello(identity=NEWER, intent=2, life=life, incarnation=life))
    yield "refutes_in_its_hello", b"".join(
        greet(link, silent=True) + says(link, HELLO, hello(PEERS[link], known=(0, number, state)))
        for link, (number, state) in enumerate(((NOW, SUSPECT), (NOW + 1, DOWN), (NOW + 10**6, ALIVE))))
    both = discover() + call_fails() + call_succeeds(1) + greet(1)
    yield "calls_cross", both + greet(0) + call_succeeds(3) + says(3, HELLO, hello(PEERS[0]))
    yield "calls_cross_late", both + call_succeeds(3) + says(3, HELLO, hello(PEERS[0], intent=2)) + greet(
        0) + wait(2000) + says(0, PING)
    yield "left_and_came_back", greet(0) + says(0, RECORDS, tombstone(PEERS[0], LEFT, 1500)) + greet(
        0, intent=1, elsewhere=True) + says(0, HELLO, hello(PEERS[0], joined=1600, life=1600, incarnation=1600))

    yield "joins", (
        is_joined() + says(0, BUCKETS, bytes(2048))
        + says(0, RANGE, records_between(EVERYTHING, 3, record(PEERS[0], names=2), *ALL_STATES))
        + says(0, NAMES, names_of(PEERS[0], 1000, 2, 3, (1, b"a"), (2, b"b"))) + says(0, SAME) + beats([0], 3))
    yield "joins_the_same", is_joined() + says(0, SAME) + says(0, PULL, pull(SELF))
    yield "join_refused", join(0) + call_fails() + wait(1000) + call_fails(refused=False) + wait(30000)
    yield "join_turned_away", join(0) + call_succeeds(0) + says(0, REJECT, b"\x0f") + wait(31000)
    yield "join_lost_midway", is_joined() + says(0, BUCKETS, bytes(2048)) + lose(0) + wait(31000)
    yield "joins_from_a_cluster", greet(1) + greet(2) + says(1, CHANGE, change(PEERS[1], 1000, 1, 1, b"n")) + join(
        0) + join(1) + call_succeeds(0) + greet(0, elsewhere=True) + says(
        0, JOIN_ACCEPT, struct.pack(">QQ", NOW, 0)) + says(0, SAME) + says(1, PING)
    yield "leaves_while_it_joins", greet(1) + is_joined() + says(0, RECORDS, record(b"a@h")) + leave()
    yield "is_forced_out_while_it_joins", is_joined() + says(0, RECORDS, tombstone(SELF, FORCED_OUT, NOW + 10**9))
    yield "target_leaves_while_joined", is_joined() + says(0, RECORDS, tombstone(PEERS[0], LEFT, 1500)) + wait(31000)
    yield "both_join", join(0) + call_succeeds(0) + greet(0, intent=1, elsewhere=True) + says(
        0, JOIN_ACCEPT, struct.pack(">QQ", 0, 0)) + says(0, SAME)
    yield "leaves", three + leave() + greet(0) + discover() + wait(6000)
    yield "forces_out", three + force_leave(0) + greet(0) + says(0, RECORDS, record(PEERS[0])) + greet(
        0, intent=1) + says(0, HELLO, hello(PEERS[0], joined=NOW + 9**9, life=NOW + 9**9, incarnation=NOW + 9**9))
    yield "discovers", discover() + call_fails() + call_succeeds(1) + call_succeeds(0) + greet(0, 2, elsewhere=True, flags=5) + greet(
        1, 2, elsewhere=True, flags=5) + says(0, HELLO, hello(PEERS[1], intent=2, identity=OLDER)) + wait(6000)
    yield "clusters_merge", three + says(0, IDENTITY, struct.pack(">QQ", *OLDER)) + says(
        1, IDENTITY, struct.pack(">QQ", 1, 0)) + says(2, SUMMARY, struct.pack(">QQQ", 0, 0, 0))

    change_of = [change(PEERS[0], 1000, i, 1 + (i > 3), b"n%d" % (i % 3)) for i in range(1, 6)]
    yield "names_change", greet(0) + greet(1) + b"".join(says(0, CHANGE, payload) for payload in change_of)
    yield "names_change_twice", greet(0) + b"".join(says(0, CHANGE, payload) * 2 for payload in change_of) + says(
        0, RECORDS, record(PEERS[0], life=2000)) + says(0, CHANGE, change(PEERS[0], 2000, 1, 1, b"n")) + says(
        0, RECORDS, tombstone(PEERS[0], LEFT, 3000))
    yield "own_names_change", three + own_name(True) + own_name(True) + own_name(False) + leave() + own_name(True)
    yield "names_go_on_meanwhile", greet(0) + greet(1) + says(0, RECORDS, record(PEERS[0], names=9)) + says(
        0, NAMES, names_of(PEERS[0], 1000, 8, 3, (1, b"a"))) + says(0, NAMES, names_of(PEERS[0], 1000, 9, 3)) + says(
        0, CHANGE, change(PEERS[0], 1000, 10, 2, b"nobody")) + says(1, PULL, pull(PEERS[0], 1000, 99))
    yield "names_of_our_host", greet(0) + says(0, RECORDS, record(b"other@h.example.org")) + says(
        0, CHANGE, change(b"other@h.example.org", 1000, 1, 1, b"rabbit"))
    yield "names_of_ours", greet(0) + says(0, CHANGE, change(SELF, NOW, 2, 2, b"rabbit")) + says(
        0, NAMES, names_of(SELF, NOW, 9, 3)) + says(0, PULL, pull(SELF)) + says(0, PULL, pull(SELF, NOW, 1))
    yield "names_with_a_gap", greet(0) + greet(1) + says(0, CHANGE, change_of[3]) + says(
        0, NAMES, names_of(PEERS[0], 1000, 4, 1, (1, b"a"))) + says(
        0, NAMES, names_of(PEERS[0], 1000, 4, 2, (4, b"b"))) + says(1, PULL, pull(PEERS[0]))
    yield "names_mixed_up", greet(0) + greet(1) + says(0, RECORDS, record(PEERS[0], names=9)) + says(
        0, NAMES, names_of(PEERS[0], 1000, 9, 1, (1, b"a"))) + says(
        0, NAMES, names_of(PEERS[1], 1000, 9, 0, (2, b"b"))) + says(0, NAMES, names_of(PEERS[0], 1000, 8, 2))
    yield "names_lost_midway", greet(0) + greet(1) + says(0, CHANGE, change_of[3]) + says(
        0, NAMES, names_of(PEERS[0], 1000, 4, 1, (1, b"a"))) + lose(0) + says(1, RECORDS, record(PEERS[0], names=4))

    yield "many_are_told", greet(0) + greet(1) + says(0, RECORDS, b"".join(MANY)) + says(
        0, SUMMARY, summary) + says(0, RANGE, records_between(EVERYTHING, 0)) + says(
        0, RANGE, records_between(EVERYTHING, 0, *sorted(MANY, key=lambda r: ring_hash(r[2 : 2 + r[1]])))) + says(
        1, PULL, pull(b"m1@many.org"))
    yield "many_are_compared", greet(0) + says(0, RECORDS, b"".join(MANY)) + beats([0], 6) + says(
        0, BUCKETS, bytes(2048)) + says(0, RANGE, records_between((0, 2**56 - 1), 3)) * 9 + says(
        0, NAMES, names_of(b"m1@many.org", 0, 0, 3)) * 9
    yield "few_are_compared", greet(0) + greet(1) + says(0, SUMMARY, summary) + beats([0, 1], 6) + says(
        0, BUCKETS, bytes(2048)) + says(1, BUCKETS, b"\xff" * 2048) + says(
        0, RANGE, records_between(EVERYTHING, 3, *ALL_STATES)) + says(1, SAME)

    yield "prober_is_asked", three + says(0, PROBE_REQ, ask(SELF, PEERS[1], PEERS[0])) + says(
        0, PROBE_REQ, ask(SELF, b"nobody@h", PEERS[0])) + says(0, PROBE_REQ, ask(PEERS[1], SELF, PEERS[0])) + says(
        1, PROBE_ACK, answer(PEERS[2], SELF, 1)) + says(1, PROBE_REQ, ask(PEERS[2], SELF, PEERS[0], ttl=0))
    yield "others_hear_it", three + beats([1, 2], 4) + says(1, PROBE_ACK, answer(SELF, PEERS[0], 1)) + beats(
        [1, 2], 3) + greet(0) + says(0, PING)
    yield "nobody_hears_it", three + beats([1, 2], 4) + says(1, PROBE_ACK, answer(SELF, PEERS[0], 0)) + says(
        2, PROBE_ACK, answer(SELF, PEERS[0], 0)) + beats([1, 2], 2) + says(
        1, RECORDS, record(PEERS[0], SUSPECT, detail=9)) + says(
        2, RECORDS, record(PEERS[0], SUSPECT, detail=10)) + beats([1, 2], 6) + greet(0)
    yield "refuses_and_is_down", three + lose(0) + call_fails() + beats([1, 2], 3) + says(
        1, PROBE_ACK, answer(SELF, PEERS[0], 0)) + says(2, PROBE_ACK, answer(SELF, PEERS[0], 0)) + call_fails() + beats(
        [1, 2], 3) + greet(0)
    yield "refutes_its_suspicion", three + says(1, RECORDS, record(PEERS[0], SUSPECT, detail=9)) + beats(
        [0], 6) + says(0, RECORDS, record(PEERS[0], incarnation=1001)) + says(1, RECORDS, record(PEERS[2], DOWN, age=2**31))
    yield "is_cleaned", greet(0) + says(0, RECORDS, record(b"d@h", DOWN, age=299000) + record(
        b"e@h", DOWN, age=10**6)) + beats([0], 3) + call_fails() + beats([0], 10) + call_fails() + says(
        0, RECORDS, record(b"d@h", incarnation=1001))
    yield "is_cleaned_and_forgotten", greet(0) + says(0, RECORDS, record(b"d@h", DOWN, names=1)) + says(
        0, CHANGE, change(b"d@h", 1000, 1, 1, b"n")) + (wait_minutes(5) + says(0, PING)) * 3 + greet(0) + says(
        0, SUMMARY, summary) + says(0, RANGE, records_between(EVERYTHING, 0, record(b"d@h"))) + wait_minutes(1500)
    yield "stops_in_order", three + says(0, RECORDS, record(PEERS[0], DOWN, detail=23)) + greet(0) + wait(2000)
    yield "all_are_cleaned", three + lose(0) + lose(1) + lose(2) + (call_fails() * 3 + wait(16000)) * 24
    yield "starved", three + wait(20000) + says(0, PING) + wait(60000) + says(1, PING)


# --- TLS 1.3: what a stranger says first, as RFC 8446 draws it ---

SAME_RANDOM = bytes((i * 31 + 7) & 0xFF for i in range(32))  # of fuzz_tls and fuzz_peer_link
X25519_SHARE = b"\x09" + bytes(31)
IDENTITY_OF_OURS = b"portolan/1 e45a85b8781d10be"
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def text16(text):
    return struct.pack(">H", len(text)) + text


def extension(kind, content):
    return struct.pack(">H", kind) + text16(content)


def tls_record(content, kind=22, length=None):
    return struct.pack(">BHH", kind, 0x0303, len(content) if length is None else length) + content


def handshake(kind, content, length=None):
    return bytes([kind]) + (len(content) if length is None else length).to_bytes(3, "big") + content


def tls_hello(alpn=b"portolan/1", identity=None, modes=b"\1", version=0x0304, group=29, share=X25519_SHARE, early=False):
    extensions = [
        extension(10, text16(struct.pack(">H", group))),
        extension(13, text16(b"\4\3\x08\4")),
        extension(43, b"\2" + struct.pack(">H", version)),
        extension(51, text16(struct.pack(">H", group) + text16(share))),
        extension(45, text8(modes)),
    ]
    if alpn is not None:
        extensions.append(extension(16, text16(text8(alpn))))
    if early:
        extensions.append(extension(42, b""))
    if identity is not None:  # the binder is not right: nobody here has the key
        extensions.append(extension(41, text16(text16(identity) + bytes(4)) + text16(text8(bytes(48)))))
    return handshake(1, b"\3\3" + SAME_RANDOM + text8(SAME_RANDOM) + text16(b"\x13\2\x13\1") + b"\1\0" + text16(
        b"".join(extensions)))


def tls_server_hello(random=bytes(32), session=SAME_RANDOM, cipher=b"\x13\2", version=0x0304, share=X25519_SHARE, key=0):
    extensions = [extension(43, struct.pack(">H", version)), extension(51, share)]
    if key is not None:
        extensions.append(extension(41, struct.pack(">H", key)))
    return handshake(2, b"\3\3" + random + text8(session) + cipher + b"\0" + text16(b"".join(extensions)))


SERVER_SHARE = struct.pack(">H", 29) + text16(X25519_SHARE[:1] + b"\1" + bytes(30))
CHANGE_CIPHER = tls_record(b"\1", 20)
SEALED_RECORD = tls_record(bytes(range(64)), 23)
ALERT_RECORD = tls_record(b"\2\x28", 21)

SAID_TO_CALLED = {
    "hello": tls_record(tls_hello()),
    "hello_without_alpn": tls_record(tls_hello(alpn=None)),
    "hello_other_alpn": tls_record(tls_hello(alpn=b"h2")),
    "hello_alpn_empty": tls_record(tls_hello(alpn=b"")),
    "hello_with_identity": tls_record(tls_hello(identity=IDENTITY_OF_OURS)),
    "hello_other_identity": tls_record(tls_hello(identity=b"portolan/1 0000000000000000")),
    "hello_key_without_dhe": tls_record(tls_hello(identity=IDENTITY_OF_OURS, modes=b"\0")),
    "hello_early_data": tls_record(tls_hello(identity=IDENTITY_OF_OURS, early=True)) + SEALED_RECORD * 2,
    "hello_tls_1_2": tls_record(tls_hello(version=0x0303)),
    "hello_other_group": tls_record(tls_hello(group=24, share=b"\4" + bytes(96))),
    "hello_p256_not_on_curve": tls_record(tls_hello(group=23, share=b"\4" + b"\1" * 64)),
    "hello_share_0": tls_record(tls_hello(share=bytes(32))),
    "hello_half": tls_record(tls_hello())[:90],
    "hello_in_records": b"".join(tls_record(bytes([byte])) for byte in tls_hello()),
    "hello_twice": tls_record(tls_hello()) * 2,
    "hello_and_garbage": tls_record(tls_hello()) + b"\xff" * 300,
    "hello_longest": tls_record(handshake(1, tls_hello()[4:], 0xFFFFFF)),
    "hello_too_short": tls_record(handshake(1, tls_hello()[4:], 9)),
    "message_of_many_records": tls_record(handshake(1, bytes(16380), 0x20000)) + tls_record(bytes(16384)) * 2,
}
SAID_TO_CALLER = {
    "answer": tls_record(tls_server_hello(share=SERVER_SHARE)) + CHANGE_CIPHER + SEALED_RECORD,
    "answer_without_key": tls_record(tls_server_hello(share=SERVER_SHARE, key=None)) + SEALED_RECORD,
    "answer_other_key": tls_record(tls_server_hello(share=SERVER_SHARE, key=1)),
    "answer_other_session": tls_record(tls_server_hello(share=SERVER_SHARE, session=bytes(32))),
    "answer_other_cipher": tls_record(tls_server_hello(share=SERVER_SHARE, cipher=b"\x13\1")),
    "answer_other_group": tls_record(tls_server_hello(share=struct.pack(">H", 24) + text16(bytes(97)))),
    "answer_share_0": tls_record(tls_server_hello(share=struct.pack(">H", 29) + text16(bytes(32)))),
    "answer_tls_1_2": tls_record(tls_server_hello(share=SERVER_SHARE, version=0x0303)),
    "answer_half": tls_record(tls_server_hello(share=SERVER_SHARE))[:60],
    "retry": tls_record(tls_server_hello(RETRY, share=struct.pack(">H", 23), key=None)),
    "retry_twice": tls_record(tls_server_hello(RETRY, share=struct.pack(">H", 23), key=None)) * 2,
    "retry_same_group": tls_record(tls_server_hello(RETRY, share=struct.pack(">H", 29), key=None)),
    "hello_of_a_caller": tls_record(tls_hello()),
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}
SAID_TO_BOTH = {
    "nothing": b"",
    "alert": ALERT_RECORD,
    "close": tls_record(b"\1\0", 21),
    "warnings": tls_record(b"\1\x5a", 21) * 20,
    "change_cipher": CHANGE_CIPHER * 40,
    "sealed": SEALED_RECORD,
    "empty_records": tls_record(b"") * 40,
    "record_too_long": tls_record(b"", length=0xFFFF),
    "record_longest": tls_record(bytes(16384), length=16384),
    "unknown_record": tls_record(b"1", 99),
    "garbage": bytes(range(256)),
    "ssl_2": b"\x80\x2e\1\0\2" + bytes(41),
}

# The steps of fuzz_tls; the numbers are explained there.


def wire(data):
    return b"\0" + text16(data)


def carry(length=0xFFFF):
    return struct.pack(">BH", 1, length)


def carry_changed(at, by=1, length=0xFFFF):
    return struct.pack(">BHHB", 2, length, at, by)


def drop(length=0xFFFF):
    return struct.pack(">BH", 3, length)


AGAIN, PARTNER, PARTNER_ENDS, WE_END = b"\4", b"\5", b"\x08", b"\x09"


def partner_writes(length):
    return struct.pack(">BH", 6, length)


def we_write(length):
    return struct.pack(">BH", 7, length)


def tls_seeds():
    for name, data in {**SAID_TO_CALLED, **SAID_TO_BOTH}.items():
        yield "called_" + name, b"\0" + wire(data)
    for name, data in {**SAID_TO_CALLER, **SAID_TO_BOTH}.items():
        yield "calls_" + name, b"\1" + wire(data)
    yield "called_byte_by_byte", b"\0" + b"".join(wire(bytes([b])) for b in tls_record(tls_hello()))
    talk = (partner_writes(20000) + carry() + we_write(300) + PARTNER + partner_writes(1) + carry(10) + carry()
            + we_write(40000) + PARTNER)
    for we_call in (0, 1):
        for kind, word in ((1, "same"), (2, "cookie"), (3, "cluster")):
            setup = bytes([we_call | kind << 1])
            name = f"{word}_{('called', 'calls')[we_call]}"
            meet = (PARTNER + carry()) * 3
            yield name, setup + meet + talk
            if kind != 1:
                continue
            yield name + "_in_pieces", setup + (PARTNER + carry(50) * 12) * 4 + partner_writes(500) + carry(7) * 80
            yield name + "_ends", setup + meet + partner_writes(9) + PARTNER_ENDS + partner_writes(9) + carry() + we_write(9)
            yield name + "_we_end", setup + meet + WE_END + we_write(9) + PARTNER + partner_writes(9) + carry()
            yield name + "_end_cut", setup + meet + partner_writes(9) + drop(5) + carry()
            yield name + "_repeats", setup + meet + partner_writes(9) + carry() + AGAIN + PARTNER
            yield name + "_drops", setup + meet + partner_writes(9) + drop() + partner_writes(9) + carry()
            yield name + "_replays_handshake", setup + (PARTNER + carry() + AGAIN) * 3
            for at in (0, 3, 5, 9, 40, 80, 130, 180, 250, 300):
                yield f"{name}_changed_{at}", setup + PARTNER + carry_changed(at) + meet
                yield f"{name}_changed_later_{at}", setup + PARTNER + carry() + PARTNER + carry_changed(at) + meet
            yield name + "_changed_data", setup + meet + partner_writes(900) + carry_changed(500) + talk
            yield name + "_garbage_between", setup + meet + wire(SEALED_RECORD) + talk


# The steps of fuzz_peer_link; the numbers are explained there.


def link_seeds():
    for name, data in {**SAID_TO_CALLED, **SAID_TO_BOTH}.items():
        yield "first_" + name, b"\0" + text16(data)
        yield "later_" + name, b"\0" + text16(data[:2]) + wire(data[2:]) + b"\6"
    yield "gone", b"\0" + text16(tls_record(tls_hello())[:50]) + b"\7"
    yield "byte_by_byte", b"\0\0\0" + b"".join(wire(bytes([b])) for b in tls_record(tls_hello()))
    go_on, owner_ends, partner_ends, says_no_more, is_gone = b"\1", b"\4", b"\5", b"\6", b"\7"
    meet = go_on * 3

    def writes(length):
        return struct.pack(">BH", 2, length)

    def owner_sends(length):
        return struct.pack(">BH", 3, length)

    for kind, word in ((1, "same"), (2, "cookie"), (3, "cluster")):
        yield word, bytes([kind]) + b"\0\0" + meet + writes(20000) + owner_sends(30000) + go_on * 3 + writes(1) + go_on
    ends = {"owner": owner_ends, "partner": partner_ends, "silence": says_no_more, "gone": is_gone}
    for name, ending in ends.items():
        for when, before in (("handshake", go_on), ("open", meet), ("talking", meet + writes(9) + owner_sends(9))):
            yield f"ends_by_{name}_{when}", b"\1\0\0" + before + ending + writes(9) + go_on + owner_sends(9) + go_on
    for name, ending in (("gone", is_gone), ("silence", says_no_more), ("partner", partner_ends)):
        yield "ended_then_" + name, b"\1\0\0" + meet + owner_sends(9) + owner_ends + writes(9) + go_on + ending + go_on
    for bits, word in ((4, "no"), (8, "ends_at_once"), (16, "eights"), (32, "answers"), (40, "answers_and_ends")):
        yield "owner_" + word, bytes([1 | bits]) + b"\0\0" + meet + writes(13) + go_on + writes(5) + go_on + partner_ends
    yield "garbage_when_open", b"\1\0\0" + meet + writes(9) + wire(SEALED_RECORD) + writes(9) + go_on
    yield "much_unheard", b"\1\0\0" + meet + owner_sends(60000) * 12 + owner_ends + go_on * 12


# What may be said first at a front port.


def send_name(name, more=b"", flags=0xD07DF7FBD, creation=77):
    return frame(b"N" + struct.pack(">QI", flags, creation) + text16(name) + more)


def send_name_old(name, version=5, flags=0x74FFD):
    return frame(b"n" + struct.pack(">HI", version, flags) + name)


SAID_FIRST = {
    "node": send_name(b"a1@127.0.0.1"),
    "node_more": send_name(b"a1@127.0.0.1", more=b"\0more"),
    "node_asks_for_a_name": send_name(b"host.example"),
    "node_nameless": send_name(b""),
    "node_nul": send_name(b"a\0@h"),
    "node_not_utf8": send_name(b"a\xff@h"),
    "node_longest": send_name(LONGEST_NAME),
    "node_too_long": send_name(LONGEST_NAME + b"n"),
    "node_cut": send_name(b"a1@127.0.0.1")[:-1],
    "node_name_runs_past": frame(send_name(b"a1@127.0.0.1")[2:-1]),
    "node_overrun": send_name(b"a1@127.0.0.1") + b"\0",
    "node_old": send_name_old(b"a1@127.0.0.1"),
    "node_old_version_6": send_name_old(b"a1@127.0.0.1", version=6),
    "node_old_nameless": send_name_old(b""),
    "hello_goes_on": tls_record(handshake(1, tls_hello()[4:], length=len(tls_hello()) + 500)),
    "hello_two_alpns": tls_record(tls_hello(alpn=b"h2\x0aportolan/1")),
    "hello_two_messages": tls_record(tls_hello() + tls_hello()),
    "hello_empty_record": tls_record(b""),
    "hello_cut": tls_record(tls_hello())[:60],
    "hello_then_more": tls_record(tls_hello(alpn=None)) + SEALED_RECORD,
}


def first_seeds():
    for name, payload in REQUESTS.items():
        yield "epmd_" + name, frame(payload)
    yield from SAID_FIRST.items()
    for name, data in {**SAID_TO_CALLED, **SAID_TO_BOTH}.items():
        yield "tls_" + name, data


# The steps of fuzz_front; the numbers are explained there.


def caller_says(data):
    return b"\0" + text16(data)


def node_says(length):
    return struct.pack(">BH", 1, length)


def front_seeds():
    caller_ends, node_ends, caller_gone, node_gone, nodes_leave, looks_up = (bytes([n]) for n in range(2, 8))
    for name, data in first_seeds():
        if len(data) < 600:
            yield name, b"\0" + caller_says(data)
    for name in ("node", "hello_then_more"):
        met = b"\1" + caller_says(SAID_FIRST[name])
        yield name + "_talks", met + node_says(300) + caller_says(b"status") + node_says(60000) + caller_says(bytes(900))
        yield name + "_looked_up", b"\1" + looks_up + met[1:] + node_says(9)
        yield name + "_ends", met + caller_ends + node_says(900) + node_ends
        yield name + "_is_ended", met + node_ends + caller_says(b"well") + nodes_leave + caller_says(b"well")
        yield name + "_gone", met + node_says(9) + caller_gone + node_says(9)
        yield name + "_node_gone", met + caller_says(b"well") + node_gone + caller_says(b"well")
        yield name + "_nodes_leave", met + nodes_leave + node_says(9) + caller_says(b"well") + node_ends
        yield name + "_nodes_left", b"\1" + nodes_leave + met[1:]
        yield name + "_byte_by_byte", b"\1" + b"".join(caller_says(bytes([byte])) for byte in SAID_FIRST[name])
    link = tls_record(tls_hello())
    yield "link_in_pieces", b"\0" + caller_says(link[:3]) + caller_says(link[3:70]) + caller_says(link[70:])
    yield "link_cut", b"\0" + caller_says(link[:70]) + caller_ends
    yield "link_gone", b"\0" + caller_says(link[:70]) + caller_gone


def netlink_message(kind, number, payload, length=None):
    length = 16 + len(payload) if length is None else length
    return struct.pack("=IHHII", length, kind, 0, number, 0) + payload


def sock_diag_seeds():
    number, by_family, error, done = 1, 20, 2, 3
    listener = struct.pack("=BBBB", 2, 10, 0, 0) + bytes(48) + struct.pack("=IIIII", 0, 0, 128, 1000, 4711)
    answer = netlink_message(by_family, number, listener)
    yield "listener", answer
    yield "with_attributes", netlink_message(by_family, number, listener + struct.pack("=HHI", 5, 8, 0))
    yield "stale_then_listener", netlink_message(by_family, 0, listener) + answer
    yield "error_not_found", netlink_message(error, number, struct.pack("=i", -2) + answer[:16])
    yield "error_denied", netlink_message(error, number, struct.pack("=i", -13) + answer[:16])
    yield "error_none", netlink_message(error, number, struct.pack("=i", 0))
    yield "error_lowest", netlink_message(error, number, struct.pack("=i", -(2**31)))
    yield "error_cut", netlink_message(error, number, b"\xfe\xff")
    yield "done", netlink_message(done, number, bytes(4))
    yield "cut", answer[:-1]
    yield "header_cut", answer[:15]
    for length in (0, 1, 15, 16, 87, 89, 2**32 - 1):
        yield f"length_{length}", netlink_message(by_family, number, listener, length) + answer


def client_reply_seeds():
    """The first byte says which reply it is: PORT2, ALIVE2, NAMES, and answers of the control
    socket."""
    yield "port2", b"\0w\0\x64\x54\x4d\0\0\6\0\5\0\6rabbit\0\0"
    yield "alive2", b"\1v\0\0\0\0\x09"
    yield "listing", b"\2\0\0\x11\x11name a at port 1\n"
    yield "resolve", b'\3{"v":1,"ok":true,"port":4370,"own_port":6369,"front_port":null,"member":"e@s1"}\n'
    yield "lease", b'\4{"v":1,"ok":true,"port":7,"held":false,"expires_in_ms":60000,"epmd_port":4370}\n'
    yield "refused", (
        b'\4{"v":1,"ok":false,"error":{"code":"pool_full","message":"f\\u00e9\\ud834\\udd1e",'
        b'"holders":[{"name":"a","port":1,"front":true}]}}\n'
    )
    yield "names", (
        b'\6{"v":1,"ok":true,"names":[{"name":"rabbit","host":"s1","port":6369,"front_port":4370,"type":"normal",'
        b'"creation":9,"member":"emqx@s1","member_state":"alive"},{"name":1}]}\n'
    )


TARGETS = {
    "fuzz_client_reply": client_reply_seeds,
    "fuzz_sock_diag": sock_diag_seeds,
    "fuzz_first_bytes": first_seeds,
    "fuzz_front": front_seeds,
    "fuzz_epmd_wire": wire_seeds,
    "fuzz_epmd_service": service_seeds,
    "fuzz_creations": creations_seeds,
    "fuzz_text": text_seeds,
    "fuzz_port_pool": ports_seeds,
    "fuzz_control": control_seeds,
    "fuzz_cluster_wire": cluster_wire_seeds,
    "fuzz_cluster_member": member_seeds,
    "fuzz_tls": tls_seeds,
    "fuzz_peer_link": link_seeds,
}


def main():
    for target, seeds in TARGETS.items():
        directory = CORPUS / target
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for name, content in seeds():
            (directory / name).write_bytes(content)


if __name__ == "__main__":
    main()
