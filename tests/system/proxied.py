"""Fake Erlang nodes, and callers that open distribution to them through a front port: plain
sockets, which say the first packet of the handshake and then whatever a test wants.
"""

import contextlib
import ctypes
import hashlib
import os
import random
import resource
import socket
import struct
import sys
import threading
from pathlib import Path

import pytest

import wire
from daemon import WRAPPER
from deadlines import scaled, wait_for

FLAGS = 0xD07DF7FBD
CHALLENGE = wire.frame(b"N" + struct.pack(">QIIH", FLAGS, 1, 7, 10) + b"rabbit@h.x")
ALIVE_STATUS, ALIVE_ANSWER = wire.frame(b"salive"), wire.frame(b"strue")
CHALLENGE_REPLY = wire.frame(b"r" + bytes(4 + 16))


def send_name(caller="caller@h.example.com", name_length=None):
    """The first packet of OTP 23 and later."""
    name = caller.encode() if isinstance(caller, str) else caller
    length = len(name) if name_length is None else name_length
    return wire.frame(b"N" + struct.pack(">QIH", FLAGS, 7, length) + name)


def send_name_old(caller="caller@h.example.com", version=5):
    return wire.frame(b"n" + struct.pack(">HI", version, FLAGS & 0xFFFFFFFF) + caller.encode())


class Node:
    """Registered at the daemon, and listening. `port`: what it says, where that is not where it
    listens."""

    def __init__(self, daemon_port, name="rabbit", port=None, address="0.0.0.0", at=0, backlog=4096, **fields):
        self.name = name
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, at))
        self.listener.listen(backlog)
        self.listener.settimeout(scaled(5))
        self.port = self.listener.getsockname()[1] if port is None else port
        self.registration, answer = wire.register(daemon_port, name, port=self.port, **fields)
        assert answer.result == 0, f"{name} at {self.port} is refused"

    def accept(self):
        conn, _ = self.listener.accept()
        conn.settimeout(scaled(10))
        return conn

    def met_nobody(self):
        """Whether no connection has come to it that was not accepted."""
        self.listener.settimeout(0)
        try:
            self.listener.accept()[0].close()
            return False
        except BlockingIOError:
            return True
        finally:
            self.listener.settimeout(scaled(5))

    def deafen(self):
        """Listens no longer."""
        self.listener.close()

    def close(self):
        self.registration.close()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def call(port, said=None, host="127.0.0.1", **options):
    """A caller that has said its first bytes."""
    conn = wire.connect(port, host, seconds=10, **options)
    with contextlib.suppress(ConnectionError):
        conn.sendall(send_name() if said is None else said)
    return conn


def stream(node, port, said=None, **options):
    """Both ends of a stream: the caller's and the node's, which has got what was said."""
    said = send_name() if said is None else said
    caller = call(port, said, **options)
    end = node.accept()
    assert wire.read_exactly(end, len(said)) == said
    return caller, end


def ended(conn):
    """All that comes until the end; a reset is an end too."""
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := conn.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def echo(one, other, data=b"ping"):
    """The bytes go from one end to the other and back."""
    for sender, receiver in ((one, other), (other, one)):
        sender.sendall(data)
        assert wire.read_exactly(receiver, len(data)) == data


class Transfer:
    """Random bytes one way in random pieces, and then the end of that direction."""

    def __init__(self, sender, receiver, size, seed):
        self.sender, self.receiver, self.seed = sender, receiver, seed
        self.data = random.Random(seed).randbytes(size)
        self.heard, self.got = hashlib.sha1(), 0
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]
        for thread in self.threads:
            thread.start()

    def send(self):
        sizes, sent, data = random.Random(self.seed), 0, memoryview(self.data)
        while sent < len(data):
            piece = data[sent : sent + sizes.choice((1, 1000, 65536, 1 << 20))]
            self.sender.sendall(piece)
            sent += len(piece)
        self.sender.shutdown(socket.SHUT_WR)

    def receive(self):
        while piece := self.receiver.recv(1 << 20):
            self.heard.update(piece)
            self.got += len(piece)

    def arrived(self):
        for thread in self.threads:
            thread.join()
        assert self.got == len(self.data)
        return self.heard.digest() == hashlib.sha1(self.data).digest()


# --- what the daemon says, and what can be seen of it ---


def front_of(daemon):
    return daemon.says("status")["front"]


def counted(daemon, *names):
    """Those of the front's counters, or all that are not 0."""
    counters = front_of(daemon)["counters"]
    return tuple(counters[name] for name in names) if names else {k: v for k, v in counters.items() if v}


def refused(daemon):
    return daemon.says("status")["counters"]["refused"]


def streams(daemon):
    return daemon.says("streams")["streams"]


def all_ended(daemon):
    wait_for(lambda: streams(daemon) == [], 5, lambda: f"the end of {streams(daemon)}")


def front_ports(daemon):
    """name -> front port, of all registered names"""
    return {entry["name"]: entry["front_port"] for entry in daemon.says("names")["names"]}


def descriptors(daemon):
    """What its descriptors are: number -> "socket:[…]", "pipe:[…]" …"""
    found = {}
    for entry in Path(f"/proc/{daemon.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(entry.name)] = os.readlink(entry)
    return found


def field(daemon, file, name):
    """A number of a file of /proc."""
    for line in Path(f"/proc/{daemon.pid}/{file}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)


def resident(daemon):
    """Bytes, exactly: VmRSS of /proc/PID/status is behind by a batch."""
    return field(daemon, "smaps_rollup", "Rss") * 1024


def no_memory_bounds(daemon):
    """Why its memory says nothing of the program; None when it does."""
    if WRAPPER:
        return "it runs under a wrapper"
    if field(daemon, "status", "VmSize") > 1 << 30:  # in KiB
        return "a sanitizer keeps shadows of its memory"
    return None


def assert_grew_by_at_most(daemon, before, limit, what):
    grown = resident(daemon) - before
    print(f"{what}: {grown} bytes more are resident")
    if reason := no_memory_bounds(daemon):
        print(f"not judged: {reason}")
    else:
        assert grown <= limit, (what, grown, limit)


def sockets_of(daemon, numbers):
    """Copies of the daemon's own sockets, to ask for their options."""
    pidfd_getfd = 438  # the number of the system call, everywhere
    libc, pidfd = ctypes.CDLL(None, use_errno=True), os.pidfd_open(daemon.pid)
    try:
        for number in numbers:
            copy = libc.syscall(pidfd_getfd, pidfd, number, 0)
            if copy < 0:
                pytest.skip(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
            yield socket.socket(fileno=copy)
    finally:
        os.close(pidfd)


@pytest.fixture
def many_descriptors():
    """For the test's own ends of thousands of connections, and for the daemon that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.skip(f"this test needs 5000 descriptors, and may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def main(daemon_port, name):
    """A node that is a process of its own: it takes connections, and keeps them until it is
    killed."""
    node, kept = Node(daemon_port, name), []
    print(node.port, flush=True)
    while True:
        kept.append(node.listener.accept()[0])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
