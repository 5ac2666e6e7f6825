"""What a local user without privileges can do to the daemon, as programs that are run as that user.

    local_attacker.py publish PORT NAME WHERE    registers NAME as if it listened on WHERE
    local_attacker.py names PORT COUNT [PREFIX]  registers names until COUNT are, or none more is
    taken local_attacker.py idle PORT COUNT            opens connections that say a part of a
    request local_attacker.py streams PORT COUNT         two nodes that never accept; COUNT callers
    that say a first
                                                 packet and go
    local_attacker.py node PORT NAME             an honest node: registered, listening, says what it
    hears

Each prints one line when it has done it, holds what it has, and ends when its standard input does.
"""

import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path

import wire
from proxied import send_name

USER, OTHER_USER = 61234, 61235


class Attacker:
    """A running attack, as a context manager; `said` is the line it printed."""

    def __init__(self, *arguments, user=USER):
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(Path(__file__).resolve()), *map(str, arguments)], user=user, group=user,
            extra_groups=[], env={"PATH": os.environ["PATH"]}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def said(self):
        if not hasattr(self, "line"):
            self.line = self.process.stdout.readline().strip()
        return self.line

    def __enter__(self):
        assert self.said, f"the attack failed: {self.process.args}"
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def why_impossible():
    return None if os.geteuid() == 0 else "it takes root to become another user"


# --- the attacks: each a generator that yields what to print, once ---


def publish(port, name, where):
    conn, answer = wire.register(int(port), name, port=int(where))
    yield "registered" if answer.result == 0 else "refused"
    conn.close()


def names(port, count, prefix="n"):
    held = []
    with contextlib.suppress(OSError):
        for i in range(int(count)):
            conn, answer = wire.register(int(port), f"{prefix}n{i}x", port=30000 + i % 30000)
            held.append(conn)
            if answer.result != 0:
                held.pop()
                break
    yield len(held)


def idle(port, count):
    held = []
    with contextlib.suppress(OSError):
        for _ in range(int(count)):
            held.append(wire.connect(int(port)))
            held[-1].sendall(b"\0\5z")
    yield len(held)


def streams(port, count):
    held = []
    for name in ("fake1x", "fake2x"):
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        held += [listener, wire.register(int(port), name, port=listener.getsockname()[1])[0]]
    for _ in range(int(count)):
        with contextlib.suppress(OSError), wire.connect(int(port)) as conn:
            conn.sendall(send_name())
    yield "done"


def node(port, name):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    conn, answer = wire.register(int(port), name, port=listener.getsockname()[1])
    threading.Thread(target=echo_all, args=(listener,), daemon=True).start()
    yield "registered" if answer.result == 0 else "refused"
    conn.close()


def echo_all(listener):
    while True:
        conn, _ = listener.accept()
        while piece := conn.recv(65536):
            conn.sendall(piece)
        conn.close()


def main(attack, *arguments):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for said in globals()[attack](*arguments):
        print(said, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
