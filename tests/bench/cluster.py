#!/usr/bin/python3
"""The cluster bench: how fast a cluster of our daemons forms and sees a member die, beside Debian's
serf doing the same in the same run.

All members run on this machine. Formed: from the first join command until every member lists all as
running. Known: from the SIGKILL of one until every other lists it no longer as running. Ours are
asked over their control sockets, each on a connection that stands; of serf's agents the log is
read, for a call of its command line would cost more than what is measured.

The exit status tells whether everything worked, never whether a figure was good enough.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PORTOLAN_BUILD", REPOSITORY / "build"))
DEADLINE_S = 60
POLL_S = 0.002


class Failure(Exception):
    """Something did not work; the text is for the person who ran the bench."""


def wait_until(condition, what):
    """The seconds until it holds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > DEADLINE_S:
            raise Failure(f"{what} did not happen in {DEADLINE_S} s")
        time.sleep(POLL_S)
    return time.monotonic() - began


def free_block(size):
    """The first of `size` ports that are free, one behind the other."""
    for _ in range(200):
        base = random.randrange(10000, 30000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + size):
                probe = stack.enter_context(socket.socket())
                probe.bind(("0.0.0.0", port))
            return base
    raise Failure("no free ports found")


class Process:
    def __init__(self, command, log):
        self.log = Path(log)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()


class Daemon(Process):
    """One of ours, with a connection to its control socket."""

    def __init__(self, number, base, directory):
        self.name = f"m{number}@127.0.0.1"
        home = Path(directory) / f"m{number}"
        home.mkdir()
        self.socket_path = home / "control"
        config = home / "portolan.conf"
        config.write_text(
            f"node.name = {self.name}\nnode.cookie = bench\nnode.data_dir = {home}\n"
            f"node.dist_base_port = {base}\nfront.address = 127.0.0.1\n"
            f"control.socket = {self.socket_path}\nlog.level = warn\n"
        )
        super().__init__([BUILD / "bin" / "portoland", "-c", config], home / "log")
        wait_until(self.connect, f"{self.name} listening ({self.log})")

    def connect(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended: {self.log.read_text()}")
        self.control = socket.socket(socket.AF_UNIX)
        try:
            self.control.connect(str(self.socket_path))
        except OSError:
            self.control.close()
            return False
        self.lines = self.control.makefile("rb")
        return True

    def ask(self, command, **members):
        request = {"v": 1, "command": command, **members}
        self.control.sendall(json.dumps(request).encode() + b"\n")
        while True:
            reply = json.loads(self.lines.readline())
            if "ok" in reply:
                return reply

    def join(self, other):
        reply = self.ask("cluster_join", node=other.name)
        if not reply["ok"]:
            raise Failure(f"{self.name} cannot join {other.name}: {reply['error']['message']}")

    def running(self):
        members = self.ask("cluster_status")["members"]
        return {member["name"] for member in members if member["state"] == "alive"}


class SerfAgent(Process):
    def __init__(self, number, base, directory):
        self.name = f"m{number}"
        self.rpc = f"127.0.0.1:{base + 2 * number + 1}"
        self.bind = f"127.0.0.1:{base + 2 * number}"
        command = ["serf", "agent", f"-node={self.name}", f"-bind={self.bind}"]
        command += [f"-rpc-addr={self.rpc}", "-profile=lan"]
        super().__init__(command, Path(directory) / f"{self.name}.log")
        wait_until(lambda: "agent running" in self.text(), f"{self.name} running")

    def text(self):
        return self.log.read_text(errors="replace")

    def join(self, other):
        command = ["serf", "join", f"-rpc-addr={self.rpc}", other.bind]
        subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S)

    def running(self):
        members = set()
        for line in self.text().splitlines():
            if "EventMemberJoin: " in line:
                members.add(line.split("EventMemberJoin: ")[1].split()[0])
            elif "EventMemberFailed: " in line:
                members.discard(line.split("EventMemberFailed: ")[1].split()[0])
        return members


def measure(kind, size):
    """Seconds to form, and to know of a death."""
    base = free_block(2 * size)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-cluster-"))
        members = []
        for number in range(size):
            members.append(kind(number, base, directory))
            stack.callback(members[-1].stop)
        names = {member.name for member in members}
        began = time.monotonic()
        for member in members[1:]:
            member.join(members[0])
        joined = time.monotonic()
        wait_until(lambda: all(member.running() == names for member in members), "agreement")
        formed = time.monotonic()
        victim = members.pop(size // 2)
        names.discard(victim.name)
        began_dying = time.monotonic()
        victim.kill()
        wait_until(lambda: all(member.running() == names for member in members), "a death is known")
        return {
            "formed_s": formed - began,
            "after_last_join_s": formed - joined,
            "death_known_s": time.monotonic() - began_dying,
        }


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kinds = {"ours": Daemon}
    if shutil.which("serf"):
        kinds["serf"] = SerfAgent
    else:
        print("serf is not installed: ours is measured alone")
    results = {kind: [] for kind in kinds}
    for number in range(options.rounds):
        for kind, make in kinds.items():
            print(f"{kind}: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            results[kind].append(measure(make, options.members))
    print(f"\n{options.members} members on this machine, medians of {options.rounds} rounds")
    print(f"{'':<6}{'first join to agreement':>26}{'last join to agreement':>26}{'death known':>14}")
    for kind, rounds in results.items():
        columns = [statistics.median(one[key] for one in rounds) for key in rounds[0]]
        print(f"{kind:<6}{columns[0]:>24.3f} s{columns[1]:>24.3f} s{columns[2]:>12.3f} s")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"cluster bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
