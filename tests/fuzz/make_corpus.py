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


PORTS_HEADER = b"portolan ports 1\n"


def ports_seeds():
    # with the checksum put behind, and the policy "any"
    many = b"".join(b"lease %d %d 6e%02x\n" % (6369 + i, 6000 * i, 0x61 + i) for i in range(10))
    memories = b"".join(b"last %d 0 6e%02x\n" % (6369 + i, 0x61 + i) for i in range(10))
    bodies = {
        "empty": b"",
        "header": PORTS_HEADER,
        "lease": PORTS_HEADER + b"lease 6369 60000 61\nlast 6369 0 61\n",
        "all": PORTS_HEADER + many + memories,
        "elsewhere": PORTS_HEADER + b"lease 65535 1 61\nlease 1 0 62\n",
        "port_twice": PORTS_HEADER + b"lease 6369 0 61\nlease 6369 0 62\n",
        "name_twice": PORTS_HEADER + b"lease 6369 0 61\nlease 6370 0 61\n",
        "last_twice": PORTS_HEADER + b"last 6369 0 61\nlast 6370 0 62\nlast 6371 0 61\n",
        "too_long_left": PORTS_HEADER + b"lease 6369 60001 61\n",
        "not_hex": PORTS_HEADER + b"lease 6369 0 rabbit\n",
        "longest_name": PORTS_HEADER + b"lease 6369 0 " + "𝄞".encode().hex().encode() * 255 + b"\n",
        "name_too_long": PORTS_HEADER + b"lease 6369 0 " + b"61" * 1021 + b"\n",
        "nul_in_line": PORTS_HEADER + b"lease 6369 0 61\x00\n",
        "word_missing": PORTS_HEADER + b"lease  0 61\n",
        "no_end": PORTS_HEADER + b"lease 6369 0 61",
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


TARGETS = {
    "fuzz_epmd_wire": wire_seeds,
    "fuzz_epmd_service": service_seeds,
    "fuzz_creations": creations_seeds,
    "fuzz_text": text_seeds,
    "fuzz_port_pool": ports_seeds,
    "fuzz_control": control_seeds,
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
