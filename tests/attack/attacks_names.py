"""Attacks with names: too many of them, too fast, all at once."""

import contextlib
import itertools
import socket
import subprocess
import time

import wire
from attack import Attack, root_is_served
from lab import BUILD, Failure

MANY = 14000


@contextlib.contextmanager
def names_of_root(lab, count=MANY):
    """Names bench0 ... that root holds."""
    with lab.here.entered():
        holder = subprocess.Popen([str(BUILD / "bench" / "load"), "--port", str(lab.port), "hold", str(count)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if "ready" not in holder.stdout.readline():
            raise Failure(f"cannot hold {count} names")
        yield
    finally:
        holder.stdin.close()
        holder.wait(timeout=60)


def register(lab, name, **fields):
    """As a process of the daemon's host does; the answer may be a refusal or a close."""
    conn = socket.create_connection(("127.0.0.1", lab.port), timeout=10)
    conn.sendall(wire.alive(name, **fields))
    return conn


def churn(lab, ready):
    """Registers and closes, as fast as one process can."""
    ready()
    for number in itertools.count():
        with contextlib.suppress(OSError), register(lab, f"churn{number % 50}x") as conn:
            conn.recv(8)


def churn_old(lab, ready):
    """The same with the protocol of old releases, whose creations are saved with each
    registration."""
    ready()
    for number in itertools.count():
        with contextlib.suppress(OSError), register(lab, f"old{number}x", highest=5) as conn:
            conn.recv(8)


def hoard(lab, ready):
    """Takes names until it is refused, and keeps them."""
    held = []
    refused = 0
    while refused < 50:
        try:
            conn = register(lab, f"hoard{len(held)}x")
            answer = conn.recv(8)
            if len(answer) > 1 and answer[1] == 0:
                held.append(conn)
                continue
            conn.close()
        except OSError:
            pass
        refused += 1
    ready()
    while True:
        time.sleep(1)


def newcomer_is_registered(lab):
    """Another user's node, and root's command."""
    try:
        conn, answer = lab.register("newcomer")
    except OSError as problem:
        return f"another user's node cannot register: {problem}"
    conn.close()
    return "another user's node is refused" if answer.result != 0 else root_is_served(lab)


def mass_leave(lab, ready):
    """Many names that leave at once, again and again."""
    ready()
    while True:
        held = []
        with contextlib.suppress(OSError):
            for number in range(3000):
                held.append(register(lab, f"leaver{number}x"))
                held[-1].recv(8)
        for conn in held:
            conn.close()


def known_hash(name):
    """uthash's own (Bob Jenkins' of 1996), of a name of less than 12 bytes."""
    words = name.ljust(12, b"\0")
    a, b, c = 0x9E3779B9, 0x9E3779B9, 0xFEEDBEEF + len(name)
    a += int.from_bytes(words[0:4], "little")
    b += int.from_bytes(words[4:8], "little")
    c += int.from_bytes(words[8:11], "little") << 8
    mask = 0xFFFFFFFF
    for right, left, last in ((13, 8, 13), (12, 16, 5), (3, 10, 15)):
        a = (a - b - c & mask) ^ (c & mask) >> right
        b = (b - c - a & mask) ^ (a << left & mask)
        c = (c - a - b & mask) ^ b >> last
    return c & mask


def same_bucket(lab, ready):
    """Names that share rabbit's bucket of 256, by the hash that uthash has when it is given none,
    which then makes no more."""
    wanted = known_hash(b"rabbit") % 256
    names = (name for name in (f"s{number:x}x" for number in itertools.count()) if known_hash(name.encode()) % 256 == wanted)
    held = []
    with contextlib.suppress(OSError):
        while len(held) < 4000:
            conn = register(lab, next(names))
            if conn.recv(8)[1] != 0:
                break
            held.append(conn)
    ready()
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", lab.port), timeout=2) as conn:
            conn.sendall(wire.port_please("rabbit"))
            conn.recv(512)


ATTACKS = [
    Attack("same-bucket", "4,000 names that a known hash puts into one bucket", same_bucket, check=root_is_served),
    Attack("churn", "nobody registers and closes in a loop", churn, check=root_is_served),
    Attack("churn-old", "the same with registrations that wait until they are saved", churn_old, check=root_is_served),
    Attack("hoard", "nobody takes names until there are none", hoard, check=newcomer_is_registered),
    Attack("mass-leave", "3,000 names leave at once, beside 14,000", mass_leave, prepare=names_of_root, root=True),
]
