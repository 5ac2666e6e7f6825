"""A scenario: a list of steps over one or several connections, and the transcript of what the
server did.

Two servers behave alike when the same steps leave the same transcript. What must differ between any
two runs (the server's own port, descriptors in a dump, creations) is masked, but a creation only
after it was checked: its width, its range, and that a name that came back has got another one than
before.
"""

import re
import socket
import struct
import subprocess
import time
from dataclasses import dataclass

import wire
from deadlines import scaled, wait_for

QUIET_SECONDS = 0.2
REPLY_SECONDS = 5
BETWEEN_PIECES_SECONDS = 0.004


@dataclass
class Case:
    """One scenario. `own` cases see the whole registry or end the daemon, so each gets a daemon of
    its own.

    With `differs` the daemons are meant to differ, and `ours` is the transcript that ours must
    leave.
    """

    name: str
    steps: list
    flags: tuple = ()
    own: bool = False
    peer: str = "127.0.0.1"
    descriptors: int = None
    differs: object = None
    ours: list = None

    def __str__(self):
        return self.name


class Refused(socket.socket):
    """Stands for a connection that the server, or what is left of it, did not take."""

    def sendall(self, data):
        raise ConnectionRefusedError

    def recv(self, size):
        raise ConnectionRefusedError


class Play:
    """One case being played against one server."""

    def __init__(self, server, dial, quiet_seconds=QUIET_SECONDS):
        self.server, self.dial, self.quiet_seconds = server, dial, quiet_seconds
        self.conns, self.said, self.transcript, self.creations = {}, {}, [], {}

    def run(self, case):
        try:
            for step in case.steps:
                step(self)
        finally:
            for conn in self.conns.values():
                conn.close()
        return self.transcript

    def note(self, on, text):
        self.transcript.append(f"{on}: {text}")

    def conn(self, on):
        if on not in self.conns:
            self.conns[on], self.said[on] = self.dialled(), b""
        return self.conns[on]

    def dialled(self):
        try:
            conn = self.dial()
        except ConnectionError:
            return Refused()
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return conn

    def leave(self, on):
        self.conn(on).close()
        del self.conns[on]  # a later step of this name opens another one

    def send(self, on, data):
        conn = self.conn(on)
        self.said[on] += data
        try:
            conn.sendall(data)
        except ConnectionError:
            pass  # the server is done with us; how it ended is seen when we listen

    def receive(self, on, size, seconds):
        """Up to `size` bytes, and how it ended: None when they are there, else EOF, RST or open."""
        conn, data, end = self.conn(on), b"", time.monotonic() + seconds
        while len(data) < size:
            conn.settimeout(max(0.001, end - time.monotonic()))
            try:
                piece = conn.recv(min(65536, size - len(data)))
            except TimeoutError:
                return data, "open"
            except ConnectionRefusedError:
                return data, "refused"
            except ConnectionError:
                return data, "RST"
            if not piece:
                return data, "EOF"
            data += piece
            end = max(end, time.monotonic() + self.quiet_seconds)
        return data, None

    # What a reply says once everything that must differ between two runs is masked.

    def masked(self, on, reply):
        asked = self.said[on][2:3]
        if asked == wire.ALIVE2 and reply[:1] in (b"v", b"y"):
            return self.masked_registration(on, reply)
        if asked in (wire.NAMES, wire.DUMP) and len(reply) >= 4:
            (port,) = struct.unpack(">I", reply[:4])
            text = repr(re.sub(rb"fd = \d+", b"fd = FD", reply[4:]))
            return ("<own port> " if port == self.server.port else f"<port {port}> ") + text
        return repr(reply)

    def masked_registration(self, on, reply):
        size = wire.Registered.size(reply[0])
        if len(reply) < size:
            return repr(reply)
        answer = wire.Registered(reply[:size])
        if answer.result != 0:
            return repr(reply)
        name = name_in(self.said[on])
        width = (size - 2) * 8
        known = self.creations.setdefault((name, width), [])
        lowest, highest = (4, 2**32 - 1) if width == 32 else (1, 3)
        if not lowest <= answer.creation <= highest:
            relation = f"out of range {answer.creation}"
        elif not known:
            relation = "first"
        elif answer.creation == known[-1]:
            relation = "as the last one"
        else:
            relation = (
                "one it had before" if width == 32 and answer.creation in known else "another"
            )
        known.append(answer.creation)
        return f"{reply[:2]!r} <{width}-bit creation, {relation}> {reply[size:]!r}"


def name_in(request):
    """The name in an ALIVE2 request, for which its creations are compared."""
    (length,) = struct.unpack(">H", request[11:13])
    return request[13 : 13 + length]


# The steps. Each returns a function of the play; `on` names the connection, opened when first used.


def dial(on="a"):
    return lambda play: play.conn(on)


def say(data, on="a"):
    """Sends the bytes in one segment."""
    return lambda play: play.send(on, data)


def say_in_pieces(pieces, on="a", pause=BETWEEN_PIECES_SECONDS):
    def step(play):
        for piece in pieces:
            play.send(on, piece)
            time.sleep(pause)  # the pause is what is being tried: each piece must arrive by itself

    return step


def finish(on="a"):
    """Says that no more will come (half-close)."""

    def step(play):
        try:
            play.conn(on).shutdown(socket.SHUT_WR)
        except OSError:
            pass

    return step


def hang_up(on="a"):
    return lambda play: play.leave(on)


def reset(on="a"):
    """Breaks the connection with a RST."""

    def step(play):
        play.conn(on).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        play.leave(on)

    return step


def hear(on="a", seconds=None):
    """Notes all that comes until the end, or that it is still open after a quiet moment."""

    def step(play):
        data, end = play.receive(on, 1 << 30, scaled(seconds) if seconds else play.quiet_seconds)
        play.note(on, f"{play.masked(on, data)} then {end}")

    return step


def hear_reply(size, on="a"):
    """Notes `size` bytes; whether the connection stays open is left to a later step."""

    def step(play):
        data, end = play.receive(on, size, scaled(REPLY_SECONDS))
        play.note(on, play.masked(on, data) + (f" then {end}" if end else ""))

    return step


def hear_end(on="a"):
    """Notes all that comes until the connection ends, and waits for that end."""
    return hear(on, REPLY_SECONDS)


def until_gone(name):
    """Waits until the name is no more registered: the server saw that its connection ended."""

    def step(play):
        def is_gone():
            with play.dial() as conn:
                conn.sendall(wire.port_please(name))
                return wire.read_exactly(conn, 2)[1:] == b"\1"

        try:
            wait_for(is_gone, 5)
            play.note("-", "gone")
        except AssertionError:
            play.note("-", "still registered")

    return step


def exit_of_daemon():
    return daemon_within(REPLY_SECONDS)


def survival_of_daemon():
    return daemon_within(QUIET_SECONDS)


def daemon_within(seconds):
    def step(play):
        try:
            play.note("-", f"the daemon exits {play.server.exit_code(seconds)}")
        except subprocess.TimeoutExpired:
            play.note("-", "the daemon lives")

    return step


def restart():
    """The daemon dies and is started again on the same port."""

    def step(play):
        play.server.crash()
        play.server.start()

    return step
