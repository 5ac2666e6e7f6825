"""Attacks by a stranger on another host, who knows no cookie."""

import collections
import contextlib
import itertools
import socket
import ssl
import struct
import time

import wire
from attack import Attack, root_is_served
from lab import STRANGERS

# The start of a TLS 1.3 client hello that names portolan/1: enough to be taken for another
# daemon's.
COOKIE = ("node.cookie=a-secret-for-the-attack", "node.name=portolan@10.77.0.1")


def client_hello():
    """A whole one, as OpenSSL makes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["portolan/1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def record(content):
    return b"\x16\x03\x01" + struct.pack(">H", len(content)) + content


def long_hello(padding=60000):
    """A handshake message whose ALPN stands before this much padding, and where the ALPN ends."""
    alpn = struct.pack(">HHHB", 16, 13, 11, 10) + b"portolan/1"
    extensions = alpn + struct.pack(">HH", 21, padding) + bytes(padding)
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return message, message.index(alpn) + len(alpn)


def one_byte_records(lab, ready):
    """The first record tells that another daemon calls; behind it each byte has a record of its
    own."""
    message, end = long_hello()
    said = record(message[:end]) + b"".join(record(message[i : i + 1]) for i in range(end, len(message)))
    held = collections.deque()
    ready()
    while True:
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            conn = socket.socket()
            held.append(conn)
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(said))
            conn.settimeout(2)
            conn.connect((lab.address, lab.port))
            conn.setblocking(False)
            conn.send(said)
        if len(held) > 62:
            held.popleft().close()
        time.sleep(max(0, 1 / 62 - (time.monotonic() - begun)))


def half_hellos(lab, ready):
    """30 addresses, each with as many unfinished hellos as it may have."""
    half = client_hello()[:-20]
    held = []
    ready()
    for number in itertools.count():
        source = STRANGERS[number % len(STRANGERS)]
        try:
            conn = socket.create_connection((lab.address, lab.port), timeout=2, source_address=(source, 0))
            conn.sendall(half)
            held.append(conn)
        except OSError:
            time.sleep(0.01)
        if len(held) > 4000:
            for conn in held:
                conn.close()
            held.clear()


def finished_hellos(lab, ready):
    """Whole hellos with a wrong key: each costs a handshake."""
    hello = client_hello()
    ready()
    while True:
        with contextlib.suppress(OSError), socket.create_connection((lab.address, lab.port), timeout=2) as conn:
            conn.sendall(hello)
            conn.settimeout(2)
            conn.recv(4096)


def idle_connections(lab, ready):
    held = []
    ready()
    while True:
        try:
            held.append(socket.create_connection((lab.address, lab.port), timeout=2))
        except OSError:
            time.sleep(0.01)
        if len(held) > 8000:
            for conn in held:
                conn.close()
            held.clear()


def garbage(lab, ready):
    """First bytes of no protocol, and requests that stop half-way."""
    said = [b"GET / HTTP/1.1\r\n\r\n", b"\x00\xff" + bytes(300), b"\x00\x10z", b"\xff\xff\xff\xff", wire.kill(), wire.dump()]
    ready()
    for number in itertools.count():
        with contextlib.suppress(OSError), socket.create_connection((lab.address, lab.port), timeout=2) as conn:
            conn.sendall(said[number % len(said)])


def look_ups(lab, ready):
    """A host that asks for a node without end, and never connects to it."""
    ready()
    while True:
        with contextlib.suppress(OSError), socket.create_connection((lab.address, lab.port), timeout=2) as conn:
            conn.sendall(wire.port_please("rabbit"))
            conn.recv(512)


ATTACKS = [
    Attack("one-byte-records", "a hello in TLS records of one byte, 62 a second", one_byte_records, stranger=True, settings=COOKIE,
           cpu_bar=0.2, check=root_is_served),
    Attack("half-hellos", "30 addresses with hellos that never end", half_hellos, stranger=True, settings=COOKIE, check=root_is_served),
    Attack("wrong-keys", "handshakes with a wrong key, one after the other", finished_hellos, stranger=True, settings=COOKIE,
           check=root_is_served),
    Attack("idle-connections", "connections that say nothing, as many as there can be", idle_connections, stranger=True,
           check=root_is_served),
    Attack("garbage", "bytes of no protocol, and requests that stop half-way", garbage, stranger=True, check=root_is_served),
    Attack("look-ups", "look-ups without end", look_ups, stranger=True, check=root_is_served),
]
