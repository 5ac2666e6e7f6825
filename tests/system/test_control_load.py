"""What callers of the control socket can do to others: nothing that those would notice.

Look-ups are timed from outside while each kind of load goes on. The daemon's own figure is what
must hold, on a busy machine too: no turn of its loop takes more than 10 ms.
"""

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import wire
from daemon import SANITIZED, environment
from deadlines import scaled
from portoland import Control, Portoland
from test_control import rss_kib

NAMES = 14000
SECONDS = 3
LOOK_UPS = Path(__file__).with_name("look_ups.py")


def allow_descriptors(count):
    """How many names this process may hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count + 1000 if hard == resource.RLIM_INFINITY else min(count + 1000, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    return most - 1000


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A daemon with thousands of names, all behind its own front port."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = allow_descriptors(NAMES)
    if count < 1000:
        pytest.skip("this process may not have the descriptors")
    with Portoland(tmp_path_factory.mktemp("crowded"), "--set", "log.level=warn") as server:
        nodes = [wire.register(server.port, f"node_{number}x", port=20000 + number % 10000)[0] for number in range(count)]
        yield server
        for node in nodes:
            node.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def looking_up(server, title):
    """Times look-ups meanwhile, and says how long they took and what the loop took."""
    before = server.says("status")["loop"]
    with subprocess.Popen([sys.executable, str(LOOK_UPS), str(server.port), "node_0x"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env=environment(server.directory)) as process:
        yield
        out, _ = process.communicate(timeout=scaled(90))
    figures, after = json.loads(out), server.says("status")["loop"]
    print(f"{title}: {figures['count']} look-ups, p50 {figures['p50']:.1f} ms, p99 {figures['p99']:.1f} ms, "
          f"longest {figures['longest']:.1f} ms; longest turn of the loop {after['longest_turn_ms']} ms")
    assert figures["p99"] < scaled(200) and figures["longest"] < scaled(1000)
    if not SANITIZED:
        assert after["long_turns"] == before["long_turns"]


class Callers:
    """Connections that ask the same again and again, each with a thread of its own that reads."""

    def __init__(self, server, count, line, pipelined):
        self.controls = [Control(server.socket) for _ in range(count)]
        self.threads = [threading.Thread(target=self.ask, args=(control, line, pipelined)) for control in self.controls]
        self.replies, self.ended = 0, False
        for thread in self.threads:
            thread.start()

    def ask(self, control, line, pipelined):
        control.conn.sendall(line * pipelined)
        while not self.ended:
            data = control.conn.recv(1 << 20)
            ends = data.count(b"\n")
            self.replies += ends
            control.conn.sendall(line * ends)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        for thread in self.threads:
            thread.join()
        for control in self.controls:
            control.close()


def request(command, **members):
    return json.dumps({"v": 1, "command": command, **members}).encode() + b"\n"


@pytest.mark.parametrize("count, line, pipelined", [
    (8, request("status"), 20), (8, request("names"), 20), (8, request("leases"), 20),
    (60, request("port", nodes=["a1"] * 10000), 2)], ids=["status", "names", "leases", "port"])
def test_who_asks_for_much_keeps_nobody_waiting(crowded, count, line, pipelined):
    with Callers(crowded, count, line, pipelined) as callers:
        with looking_up(crowded, f"{count} callers, {line[:30]}"):
            began = time.monotonic()
            while time.monotonic() - began < SECONDS:
                started = time.monotonic()
                assert crowded.call("status").returncode == 0
                took = time.monotonic() - started
            print(f"  portolan status took {took:.2f} s")
    assert callers.replies > 0


def test_one_who_watches_keeps_nobody_waiting(crowded):
    """Each registration is an event, on a port that thousands share."""
    with crowded.dial() as watch, looking_up(crowded, "a watch and registrations"):
        watch.conn.settimeout(0.5)
        assert watch.ask("watch")["ok"]
        longest, began, count = 0, time.monotonic(), 0
        while time.monotonic() - began < SECONDS:
            wire.register(crowded.port, f"guest_{count}x", port=25672)[0].close()
            count += 1
            for _ in range(3):  # registered, port_shared, unregistered
                longest = max(longest, len(watch.lines.readline()))
        print(f"  {count} registrations, the longest event has {longest} bytes")
    assert longest < 1000


@pytest.mark.skipif(SANITIZED, reason="a sanitizer takes memory of its own")
def test_those_who_read_nothing_cost_little_memory(crowded):
    clients = [Control(crowded.socket) for _ in range(64)]
    before = rss_kib(crowded.pid)
    with looking_up(crowded, "64 callers that read nothing"):
        for client in clients:
            client.conn.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for line in (request("names"), request("status"), request("port", nodes=["a1"] * 10000)) * 20:
                    client.conn.sendall(line)
        time.sleep(SECONDS)
        grown = rss_kib(crowded.pid) - before
    for client in clients:
        client.close()
    print(f"  they cost {grown} KiB")
    assert grown < 64 * 256  # docs/control.md


@pytest.mark.skipif(SANITIZED, reason="a sanitizer takes memory of its own")
def test_all_who_watch_and_read_nothing_share_what_they_cost(crowded):
    watchers = [Control(crowded.socket) for _ in range(60)]
    for watcher in watchers:
        assert watcher.ask("watch")["ok"]
        watcher.conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before = rss_kib(crowded.pid)
    with looking_up(crowded, "60 watches that read nothing"):
        for number in range(2000):
            wire.register(crowded.port, f"guest_{number}x", port=25672)[0].close()
    grown = rss_kib(crowded.pid) - before
    print(f"  they cost {grown} KiB")
    assert grown < 1024 + 60 * 64 + 2048
    for watcher in watchers:
        watcher.close()


def test_a_list_that_changes_while_it_is_read_is_whole(crowded):
    """What stays is in it once, however slowly it is read and whatever comes and goes."""
    with crowded.dial() as control:
        control.request("names")
        data = b""
        number = 0
        while not data.endswith(b"\n"):
            wire.register(crowded.port, f"guest_{number}x", port=25672)[0].close()
            number += 1
            data += control.conn.recv(65536)
        names = [entry["name"] for entry in json.loads(data)["names"]]
    held = [name for name in names if name.startswith("node_")]
    assert len(held) == len(set(held)) == crowded.says("status")["names"]
