#!/usr/bin/python3
"""The price of leaving: what an unregistration costs with 15,000 names registered, over that with
1.

Two daemons with front ports and a port pool run side by side, one with many names registered and
one with one. In each round, a batch of nodes registers at each and closes its connections all at
once; the daemon's CPU time from the first close until it has nothing to do any more is what is
compared. The median of the ratios of the rounds counts.

The exit status tells whether everything worked, never whether the figure was good enough.
"""

import argparse
import contextlib
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import run
from run import BUILD, MANY_NAMES, Bar, Failure, Machine

BATCH = 250
BOUND = 1.05
IDLE_FOR_S = 0.02
IDLE_WITHIN_S = 60

ALIVE2, PORT_PLEASE2, FOUND = 120, 122, b"w\0"


def letters(number):
    """A name without digits, so that its front port is the daemon's own."""
    text = ""
    while number >= 0:
        text += chr(ord("a") + number % 26)
        number = number // 26 - 1
    return text


def frame(opcode, payload):
    return struct.pack(">HB", 1 + len(payload), opcode) + payload


def alive(name):
    encoded = name.encode()
    head = struct.pack(">HBBHHH", 5, 77, 0, 6, 5, len(encoded))
    return frame(ALIVE2, head + encoded + b"\0\0")


class Portoland(run.Server):
    """A daemon with front ports; epmd's own port is the one that is asked."""

    def __init__(self, program, machine, directory):
        super().__init__("ours", program, machine, directory)
        self.held = []
        self.sources = 0

    def start(self):
        self.port = run.free_port()
        self.environment |= {
            "PORTOLAN_EPMD__ENABLE": "on",
            "PORTOLAN_EPMD__PORT": str(self.port),
            "PORTOLAN_EPMD__ADDRESS": "127.0.0.1",
            "PORTOLAN_FRONT__ADDRESS": "127.0.0.1",
            "PORTOLAN_NODE__DIST_BASE_PORT": str(run.free_port()),
            "PORTOLAN_CONTROL__SOCKET": str(self.directory / "control"),
        }
        with self.log.open("wb") as log:
            self.process = self.spawn([self.command], stdout=log, stderr=subprocess.STDOUT)
        self.wait_until_up()
        if run.libc.clock_getcpuclockid(self.process.pid, run.ctypes.byref(self.clock)) != 0:
            raise Failure(f"the CPU time of {self.command} cannot be read")

    def register(self, names):
        """The connections that hold the names."""
        self.sources += 1
        source = f"127.7.{self.sources // 250}.{self.sources % 250 + 1}"
        connections = []
        for name in names:
            connection = socket.create_connection(("127.0.0.1", self.port), 10, (source, 0))
            connection.sendall(alive(name))
            if connection.recv(16)[:2] != b"v\0":
                raise Failure(f"the registration of {name} was refused; {self.tail()}")
            connections.append(connection)
        return connections

    def hold_names(self, count):
        for first in range(0, count, 5000):
            names = (f"held_{letters(n)}" for n in range(first, min(first + 5000, count)))
            self.held += self.register(names)

    def knows(self, name):
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(frame(PORT_PLEASE2, name.encode()))
            return connection.recv(16)[:2] == FOUND

    def wait_until_idle(self):
        """Its CPU time once it has stood still."""
        deadline = time.monotonic() + IDLE_WITHIN_S
        before_ns, now_ns = -1, self.cpu_ns()
        while now_ns != before_ns:
            if time.monotonic() > deadline:
                raise Failure(f"{self.command} is still busy after {IDLE_WITHIN_S} s")
            time.sleep(IDLE_FOR_S)
            before_ns, now_ns = now_ns, self.cpu_ns()
        return now_ns

    def leaving_us(self, round_number):
        """The CPU time of one unregistration, of a batch at once."""
        names = [f"leaver_{letters(round_number)}_{letters(n)}" for n in range(BATCH)]
        connections = self.register(names)
        before_ns = self.wait_until_idle()
        for connection in connections:
            connection.close()
        spent_ns = self.wait_until_idle() - before_ns
        if any(self.knows(name) for name in names):
            raise Failure(f"a name is still there; {self.tail()}")
        return spent_ns / 1000 / BATCH


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--names", type=int, default=MANY_NAMES)
    parser.add_argument("--ours", metavar="PATH", default=str(BUILD / "bin/portoland"))
    return parser.parse_args()


def measure(options):
    """The microseconds of each round, with one name and with many."""
    machine = Machine.look()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        daemons = []
        for names in (1, options.names):
            daemon = Portoland(options.ours, machine, directory)
            stack.callback(daemon.stop)
            daemon.start()
            daemon.hold_names(names)
            daemons.append(daemon)
        for daemon in daemons:
            daemon.leaving_us(0)
        return [
            [daemon.leaving_us(number + 1) for daemon in daemons]
            for number in range(options.rounds)
        ]


def main():
    options = parse_options()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < options.names + 2 * BATCH + 200:
        print(f"leaving: {options.names:,} names need more than the {hard:,} descriptors allowed")
        return
    rounds = measure(options)
    print(f"\nThe price of leaving ({options.rounds} rounds of {BATCH} unregistrations, medians)")
    for title, column in ((1, 0), (options.names, 1)):
        print(f"{title:>7,} names{statistics.median(each[column] for each in rounds):>10.1f} us")
    ratio = statistics.median(many / one for one, many in rounds)
    print(Bar(f"unregistration: CPU at {options.names:,} names over 1", ratio, "x", BOUND, True).line())


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
