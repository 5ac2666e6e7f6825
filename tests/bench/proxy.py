#!/usr/bin/python3
"""The proxy bench: Erlang distribution through the daemon's front port, beside the same through
HAProxy and nginx, and without any proxy.

One unmodified node is called by others: one is told the node's own port, one the front port of a
daemon that the node is registered at, and one each the port of HAProxy (mode tcp, splicing) and of
nginx (stream), where they are installed. They take turns in short rounds, so that whatever else the
machine does meets all alike; a ratio is taken within each round, and the median of the rounds is
what counts. All is on this machine, over loopback.

CPU time is what the scheduler counts for whole processes. A node's includes what its schedulers
spend in looking for work before they sleep.

The exit status tells whether everything worked, never whether a figure was good enough.
"""

import argparse
import contextlib
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from run import BUILD, REPOSITORY, Bar, Failure, Machine, answers_as_epmd, free_port, libc, read_line, say, stop

MIB = 1 << 20
STARTED_WITHIN_S = 30
ROUND_WITHIN_S = 300
CALLEE = "callee@127.0.0.1"


def start(machine, command, home, log, **more):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ERL_CRASH_DUMP": "/dev/null",
    }
    with open(log, "ab") as out:
        return machine.spawn(
            None, command, stderr=out, cwd=home, env=environment | more.pop("env", {}), **more
        )


class Cpu:
    """The CPU time of a process and all its threads, user and system."""

    def __init__(self, process):
        self.clock = ctypes.c_int()
        if libc.clock_getcpuclockid(process.pid, ctypes.byref(self.clock)) != 0:
            raise Failure(f"the CPU time of process {process.pid} cannot be read")

    def ns(self):
        return time.clock_gettime_ns(self.clock.value)


class Daemon:
    def __init__(self, program, flags, machine, home):
        self.port = free_port()
        self.socket = home / "control"
        self.log = home / "portoland.log"
        settings = {
            "node.dist_base_port": self.port,
            "front.address": "127.0.0.1",
            "control.socket": self.socket,
            "node.data_dir": home,
            "log.level": "warn",
        }
        command = [program, *flags]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        null = subprocess.DEVNULL
        self.process = start(machine, command, home, self.log, stdin=null, stdout=null)
        self.cpu = Cpu(self.process)

    def wait_until_up(self):
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not answers_as_epmd(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"{self.process.args[0]} does not answer: {self.log.read_text()}")
            time.sleep(0.01)

    def own_port_of_callee(self):
        command = [BUILD / "bin" / "portolan", "--socket", self.socket, "names", "--json"]
        listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        alive = CALLEE.partition("@")[0]
        return next(entry["port"] for entry in listed["names"] if entry["name"] == alive)


class Relay:
    """A proxy of somebody else's, which leads to one port."""

    def __init__(self, command, machine, home, port):
        self.port, self.log = port, home / f"{Path(command[0]).name}.log"
        null = subprocess.DEVNULL
        program = shutil.which(command[0], path=RELAY_PATH)
        env = {"LD_LIBRARY_PATH": RELAY_LIBRARIES}
        self.process = start(
            machine, [program, *command[1:]], home, self.log, stdin=null, stdout=null, env=env
        )
        self.cpu = Cpu(self.process)

    @classmethod
    def haproxy(cls, machine, home, target):
        port, config = free_port(), home / "haproxy.cfg"
        config.write_text(
            "defaults\n mode tcp\n option splice-auto\n timeout connect 5s\n timeout client 1h\n"
            f" timeout server 1h\nfrontend in\n bind 127.0.0.1:{port}\n default_backend out\n"
            f"backend out\n server node 127.0.0.1:{target}\n"
        )
        return cls(["haproxy", "-db", "-q", "-f", str(config)], machine, home, port)

    @classmethod
    def nginx(cls, machine, home, target):
        port, config = free_port(), home / "nginx.conf"
        where = "usr/lib/nginx/modules/ngx_stream_module.so"
        module = next((path for path in (f"/{where}", UNPACKED / where) if os.path.exists(path)), None)
        config.write_text(
            (f"load_module {module};\n" if module else "")
            + f"daemon off; master_process off; pid {home}/nginx.pid; error_log {home}/nginx.err;\n"
            "events { worker_connections 512; }\nstream {\n tcp_nodelay on; proxy_timeout 1h;\n"
            f" server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{target}; }}\n}}\n"
        )
        return cls(["nginx", "-p", str(home), "-c", str(config)], machine, home, port)


RELAYS = {"haproxy": Relay.haproxy, "nginx": Relay.nginx}


# Where scripts/deps unpacks them to, when they are not installed.
UNPACKED = REPOSITORY / "build" / "debian"
RELAY_PATH = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin:{UNPACKED}/usr/sbin"
RELAY_LIBRARIES = next(iter(glob.glob(f"{UNPACKED}/usr/lib/*-linux-gnu")), "")


def relays_here():
    """Those that can be run; of others it is said that they are left out."""
    found = [name for name in RELAYS if shutil.which(name, path=RELAY_PATH)]
    for name in RELAYS.keys() - set(found):
        print(f"{name} is not there, and left out; scripts/deps bench fetches it")
    return found


class Node:
    """An Erlang node that runs a function of traffic.erl."""

    def __init__(self, name, function, machine, home, code, flags, env=None):
        self.name = name
        self.log = home / f"{name}.log"
        command = ["erl", "-noshell", "-name", name, "-setcookie", "bench", "-start_epmd", "false"]
        command += [*flags, "-pa", code, "-s", "traffic", function]
        pipe = subprocess.PIPE
        self.process = start(
            machine, command, home, self.log, env=env or {}, stdin=pipe, stdout=pipe
        )
        # what `erl` starts is the emulator itself, by exec
        self.cpu = Cpu(self.process)

    def answer(self, seconds):
        line = read_line(self.process, f"{self.name} ({self.log})", seconds)
        if not line.startswith("=> "):
            raise Failure(f"{self.name} says {line!r}")
        return line.removeprefix("=> ")

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        return self.answer(ROUND_WITHIN_S)


def wait_until_listening(port):
    deadline = time.monotonic() + STARTED_WITHIN_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > deadline:
            raise Failure(f"nobody listens on {port}")
        time.sleep(0.01)


# ----------------------------------------------------------------------------------- measuring


@dataclass
class Sample:
    value: float  # GiB/s, or microseconds a round trip
    caller: float  # CPU seconds a GiB, or milliseconds in 1,000 round trips
    proxy: float
    callee: float


class Bench:
    def __init__(self, options):
        self.options = options
        self.machine = Machine.look()
        self.relays = relays_here()
        self.ways = ("direct", "proxied", *self.relays)
        self.samples = {(load, way): [] for load in ("bulk", "trips") for way in self.ways}

    def set_up(self, stack):
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-proxy-")))
        source = Path(__file__).with_name("traffic.erl")
        subprocess.run(["erlc", "-Werror", "-o", home, source], check=True)

        def started(thing):
            stack.callback(stop, thing.process)
            return thing

        def node(name, function, *flags, **more):
            return started(Node(name, function, self.machine, home, home, flags, **more))

        options = self.options
        self.daemon = started(Daemon(options.ours, options.set, self.machine, home))
        self.daemon.wait_until_up()
        env = {"ERL_EPMD_PORT": str(self.daemon.port)}
        self.callee = node(CALLEE, "callee", env=env)
        self.callee.answer(STARTED_WITHIN_S)
        own = self.daemon.own_port_of_callee()
        ports = {"direct": own, "proxied": self.daemon.port}
        self.proxies = {"proxied": self.daemon}
        for name in self.relays:
            self.proxies[name] = relay = started(RELAYS[name](self.machine, home, own))
            ports[name] = relay.port
        self.callers = {}
        for way, port in ports.items():
            # a caller listens to nobody, and knows one port, whatever node it looks for
            flags = ["-dist_listen", "false", "-erl_epmd_port", str(port)]
            self.callers[way] = caller = node(f"{way}@127.0.0.1", "caller", *flags)
            caller.answer(STARTED_WITHIN_S)
            wait_until_listening(port)
            if caller.ask("connect", CALLEE) != "true":
                raise Failure(f"no connection to {CALLEE} on port {port}")

    def sample(self, load, way):
        caller = self.callers[way]
        proxy = self.proxies.get(way, self.daemon)  # idle, where there is none in the way
        clocks = [caller.cpu, proxy.cpu, self.callee.cpu]
        before = [clock.ns() for clock in clocks]
        if load == "bulk":
            ns = int(caller.ask("bulk", self.options.binaries, MIB))
        else:
            ns = int(caller.ask("trips", self.options.trips))
        spent = [clock.ns() - ns_before for clock, ns_before in zip(clocks, before, strict=True)]
        if load == "bulk":
            gib = self.options.binaries / 1024
            return Sample(gib * 1e9 / ns, *(one / 1e9 / gib for one in spent))
        return Sample(ns / 1e3, *(one / 1e3 / self.options.trips for one in spent))

    def run(self):
        with contextlib.ExitStack() as stack:
            self.set_up(stack)
            for load, way in self.samples:
                self.sample(load, way)  # to warm up
            for number in range(self.options.rounds):
                say(f"proxy: round {number + 1} of {self.options.rounds}")
                # Forth and back: a drift over the round then cancels out over two of them.
                cases = list(self.samples)
                for case in cases if number % 2 == 0 else reversed(cases):
                    self.samples[case].append(self.sample(*case))

    # What follows reads the samples.

    def values(self, load, way, field="value"):
        return [getattr(sample, field) for sample in self.samples[load, way]]

    def median(self, load, way, field="value"):
        return statistics.median(self.values(load, way, field))

    def ratios(self, load, other, field="value"):
        """Proxied over another way, of each round."""
        pairs = zip(self.values(load, "proxied", field), self.values(load, other, field), strict=True)
        return sorted(proxied / beside for proxied, beside in pairs)


# ----------------------------------------------------------------------------------- reporting


def print_table(bench, load, title, unit):
    cpu = "CPU s a GiB" if load == "bulk" else "CPU us a trip"
    print(f"\n{title}")
    print(f"{'':<9}{unit:>9}{'least':>9}{'most':>9}   {cpu}: {'caller':>8}{'proxy':>8}{'callee':>8}")
    for way in bench.ways:
        values = bench.values(load, way)
        parts = [bench.median(load, way, field) for field in ("caller", "proxy", "callee")]
        print(
            f"{way:<9}{statistics.median(values):>9.2f}{min(values):>9.2f}{max(values):>9.2f}"
            f"   {'':<{len(cpu) + 1}} " + "".join(f"{part:>8.2f}" for part in parts)
        )


def bars(bench):
    judged = []
    for relay in bench.relays:
        for load, field, what, bound, at_most in (
            ("bulk", "value", "throughput of a transfer", 2, False),
            ("bulk", "proxy", "CPU of the proxy a GiB", 0.3, True),
            ("trips", "value", "round trip of a small message", 0.6, True),
        ):
            ratios = bench.ratios(load, relay, field)
            remark = f" (rounds: {ratios[0]:.2f} to {ratios[-1]:.2f})"
            what = f"{what}, over {relay}"
            judged.append(Bar(what, statistics.median(ratios), "x", bound, at_most, remark))
    return judged


def print_report(bench):
    options = bench.options
    print_table(bench, "bulk", f"Transfers of {options.binaries} binaries of 1 MiB", "GiB/s")
    print_table(bench, "trips", f"Round trips, medians of {options.trips:,}", "us")
    print(
        f"\nThe daemon's CPU: {bench.median('bulk', 'proxied', 'proxy'):.3f} s for a GiB moved, "
        f"{bench.median('trips', 'proxied', 'proxy'):.1f} ms for 1,000 round trips"
    )
    print(
        f"Over direct: {statistics.median(bench.ratios('bulk', 'direct')):.2f} x the throughput, "
        f"{statistics.median(bench.ratios('trips', 'direct')):.2f} x the round trip; this is not "
        "judged: it depends on how many CPUs there are for three processes"
    )
    print("\nThe bars")
    for bar in bars(bench):
        print(bar.line())


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help="(15)")
    parser.add_argument("--binaries", type=int, help="of 1 MiB, in a transfer (300)")
    parser.add_argument("--trips", type=int, help="in a round (5000)")
    parser.add_argument("--smoke", action="store_true", help="3 short rounds")
    parser.add_argument("--ours", metavar="PATH", default=str(BUILD / "bin/portoland"))
    parser.add_argument("--set", metavar="FLAG", action="append", default=[], help="for the daemon")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.smoke else 15)
    options.binaries = options.binaries or (50 if options.smoke else 300)
    options.trips = options.trips or (1000 if options.smoke else 5000)
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(
        f"\nOne node called directly and through the front port, {options.rounds} rounds; "
        f"Linux {os.uname().release}, {os.cpu_count()} CPUs, "
        f"load average {os.getloadavg()[0]:.1f} at the start"
    )
    bench = Bench(options)
    bench.run()
    print_report(bench)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"proxy bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
