#!/usr/bin/python3
"""The bench: our epmd beside OTP's own and beside a bare accept-read-write-close loop.

All servers run side by side and are loaded one after the other in short rounds, so that whatever
else the machine does in the meantime meets all of them alike; a ratio is taken within each round,
and the median of the rounds is what counts.

What is compared is the server's CPU time per request. Requests per second are printed too, but
over loopback the kernel does most of the work of a connection on the caller's side: one core of
load cannot keep a good server busy (the column "busy" shows it), and then its rate is the load
generator's.

The exit status tells whether everything worked, never whether a figure was good enough.
"""

import argparse
import contextlib
import ctypes
import glob
import json
import os
import random
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PORTOLAN_BUILD", REPOSITORY / "build"))

# Below the range that the kernel takes its ephemeral ports from.
PORTS = range(10000, 32000)
STARTED_WITHIN_S = 10
STOPPED_WITHIN_S = 5
HELD_WITHIN_S = 60
WARM_UP_S = 0.2

STOCK_NAMES_MAX = 900  # with 64 look-ups in flight close to the 1,000 connections it can hold
MANY_NAMES = 15000

# The rounds of the ratios that matter most are this many times shorter, and as many times more.
CLOSE_SPLIT = 4

# Load generators side by side where the rate is what counts: one cannot keep a good server busy.
RATE_LOADS = 2

libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """Something did not work; the text is for the person who ran the bench."""


# ------------------------------------------------------------------------------- the servers


@dataclass
class Machine:
    """Who may run where. With one CPU nothing is pinned."""

    server_cpu: int | None
    load_cpu: int | None

    @classmethod
    def look(cls):
        cpus = sorted(os.sched_getaffinity(0))
        return cls(cpus[-1], cpus[0]) if len(cpus) > 1 else cls(None, None)

    def spawn(self, cpu, command, **options):
        """A child on its own CPU that cannot outlive us, not even if we are killed with -9."""

        def in_child():
            pr_set_pdeathsig = 1
            libc.prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})

        # Apart from our process group: Ctrl-C reaches only us, and we stop them in order.
        return subprocess.Popen(command, preexec_fn=in_child, start_new_session=True, **options)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    for port in random.sample(PORTS, 200):
        if is_free(port):
            return port
    raise Failure("no free port found on 127.0.0.1")


def answers_as_epmd(port):
    """It answers NAMES_REQ with its own port: it is up, and it is the one that we started."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"\x00\x01n")
            return connection.recv(4) == struct.pack(">I", port)
    except OSError:
        return False


def read_line(process, what, seconds):
    """The first line that a child prints."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    line = process.stdout.readline().decode().strip() if ready else ""
    if not line:
        raise Failure(f"{what} said nothing in {seconds} s (exit status {process.poll()})")
    return line


def stop(process):
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Server:
    """A server under load, with the bench names that are held at it."""

    def __init__(self, kind, command, machine, directory):
        self.kind = kind
        self.names = 0
        self.rss_per_name = None
        self.machine = machine
        # A data directory each: two daemons on one would disturb each other.
        self.directory = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=directory))
        self.log = self.directory / "log"
        self.process = None
        self.holder = None
        self.port = 0
        self.clock = ctypes.c_int()
        self.command = command
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            "PORTOLAN_NODE__DATA_DIR": str(self.directory),
        }

    def start(self):
        log = self.log.open("wb")
        if self.kind == "bare":
            self.process = self.spawn([self.command, "0"], stdout=subprocess.PIPE, stderr=log)
            self.port = int(read_line(self.process, self.command, STARTED_WITHIN_S))
        else:
            self.port = free_port()
            # Loopback only: a bench has no business on the machine's other addresses.
            arguments = [self.command, "-address", "127.0.0.1", "-port", str(self.port)]
            self.process = self.spawn(arguments, stdout=log, stderr=log)
            self.wait_until_up()
        log.close()
        if libc.clock_getcpuclockid(self.process.pid, ctypes.byref(self.clock)) != 0:
            raise Failure(f"the CPU time of {self.command} cannot be read")

    def spawn(self, command, **options):
        options |= {"stdin": subprocess.DEVNULL, "env": self.environment}
        return self.machine.spawn(self.machine.server_cpu, command, **options)

    def wait_until_up(self):
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not answers_as_epmd(self.port):
            if self.process.poll() is not None:
                raise Failure(f"{self.command} ended with {self.process.returncode}; {self.tail()}")
            if time.monotonic() > deadline:
                raise Failure(
                    f"{self.command} does not answer on port {self.port} after "
                    f"{STARTED_WITHIN_S} s; {self.tail()}"
                )
            time.sleep(0.01)

    def hold(self, load, names):
        """Registers bench0, bench1, ... and measures what that adds to the server's memory."""
        before = self.rss_bytes()
        command = [load, "--port", str(self.port), "hold", str(names)]
        pipe = subprocess.PIPE
        self.holder = self.machine.spawn(self.machine.load_cpu, command, stdin=pipe, stdout=pipe)
        if read_line(self.holder, " ".join(command), HELD_WITHIN_S) != "ready":
            raise Failure(f"{' '.join(command)} failed; {self.tail()}")
        self.names = names
        self.rss_per_name = (self.rss_bytes() - before) / names

    def cpu_ns(self):
        """CPU time, user and system, of all threads of the server so far.

        utime and stime in /proc/PID/stat count in ticks of 10 ms, and /proc/PID/schedstat is the
        main thread's alone and stands still between two ticks. The clock of the process has
        neither fault: what it counts is the scheduler's own nanoseconds, up to now. It includes the
        kernel's work on the server's own packets, which over loopback is done in the sender's
        time: in write(), accept() and close().
        """
        return time.clock_gettime_ns(self.clock.value)

    def rss_bytes(self):
        """From smaps_rollup, which walks the pages; VmRSS in status may lag by some hundred KiB."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise Failure(f"the resident memory of {self.command} cannot be read")

    def tail(self):
        lines = self.log.read_text(errors="replace").splitlines()[-3:]
        return "its last words: " + " / ".join(lines) if lines else "it wrote nothing"

    def stop(self):
        for process in (self.holder, self.process):
            if process:
                stop(process)


# ----------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Case:
    mode: str  # of the load generator
    kind: str  # of server
    names: int


@dataclass
class Sample:
    per_second: float
    cpu_us: float
    busy: float
    p50_us: float
    p99_us: float


def start_load(load, server, mode, seconds, cpu):
    command = [load, "--port", str(server.port), "--seconds", str(seconds)]
    command += ["--names", str(server.names if mode == "names" else max(server.names, 1)), mode]
    pipe = subprocess.PIPE
    return server.machine.spawn(cpu, command, stdout=pipe, stderr=pipe)


def finish_load(child, server, seconds):
    """What the load generator counted."""
    try:
        output, errors = child.communicate(timeout=seconds + 60)
    finally:
        stop(child)
    command = " ".join(child.args)
    if child.returncode != 0:
        said = errors.decode(errors="replace").strip()
        raise Failure(f"{command} at {server.kind} failed: {said}; {server.tail()}")
    result = json.loads(output)
    if result["requests"] == 0:
        raise Failure(f"{server.kind} answered not one request of {command}")
    return result


def load_once(load, server, mode, seconds):
    """One measurement. In mode "rate" as many look-ups as all CPUs together can ask for."""
    before_ns = server.cpu_ns()
    if mode == "rate":
        children = [start_load(load, server, "lookup", seconds, None) for _ in range(RATE_LOADS)]
    else:
        mode = "lookup" if mode == "close" else mode
        children = [start_load(load, server, mode, seconds, server.machine.load_cpu)]
    results = [finish_load(child, server, seconds) for child in children]
    # Every connection has seen its end by now, so nothing of the server's work is left out.
    cpu_ns = server.cpu_ns() - before_ns
    requests = sum(result["requests"] for result in results)
    return Sample(
        per_second=sum(result["requests"] / result["seconds"] for result in results),
        cpu_us=cpu_ns / 1000 / requests,
        busy=cpu_ns / 1e9 / max(result["seconds"] for result in results),
        p50_us=max(result["p50_us"] for result in results),
        p99_us=max(result["p99_us"] for result in results),
    )


class Bench:
    def __init__(self, options, machine, programs):
        self.options = options
        self.machine = machine
        self.programs = programs  # kind of server: path
        self.load = options.load
        self.servers = {}  # (kind, names): Server
        self.samples = {}  # Case: [Sample of each round]

    def plan(self):
        """The cases, in groups; each group is interleaved in itself."""
        counts = [1, STOCK_NAMES_MAX] if self.options.smoke else [1, 100, STOCK_NAMES_MAX]
        listed = [STOCK_NAMES_MAX]
        if self.options.many:
            counts.append(MANY_NAMES)
            listed.append(MANY_NAMES)
        lookups = [Case("lookup", "bare", 0)]
        for names in counts:
            lookups += [Case("lookup", kind, names) for kind in ("stock", "ours")]
        rates = [Case("rate", kind, STOCK_NAMES_MAX) for kind in ("stock", "ours")]
        listings = [Case("names", kind, names) for names in listed for kind in ("stock", "ours")]
        # Last, for these leave sockets in TIME_WAIT behind, up to the kernel's bound.
        passing = [Case("register", kind, 0) for kind in ("stock", "ours")]
        # Few cases and many short rounds, so that what is compared lies close together in time.
        close = [Case("close", "bare", 0), Case("close", "ours", 1)]
        if self.options.many:
            close.append(Case("close", "ours", MANY_NAMES))
        groups = (close, lookups, rates, listings, passing)
        return [[case for case in group if self.can_run(case)] for group in groups]

    def can_run(self, case):
        if case.kind == "stock" and case.names > STOCK_NAMES_MAX:
            return False
        return case.kind in self.programs

    def start_servers(self, stack, directory, cases):
        for kind, names in dict.fromkeys((case.kind, case.names) for case in cases):
            server = Server(kind, self.programs[kind], self.machine, directory)
            stack.callback(server.stop)
            server.start()
            if names:
                server.hold(self.load, names)
            self.servers[kind, names] = server

    def sample(self, case, seconds):
        return load_once(self.load, self.servers[case.kind, case.names], case.mode, seconds)

    def run(self):
        groups = self.plan()
        cases = [case for group in groups for case in group]
        with contextlib.ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            try:
                self.start_servers(stack, directory, cases)
                for group in groups:
                    self.run_group(group)
            finally:
                # A second Ctrl-C must not interrupt the stopping of the servers, which comes next.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def run_group(self, group):
        for case in group:
            self.sample(case, WARM_UP_S)
            self.samples[case] = []
        close = group[0].mode == "close"
        rounds = self.options.rounds * (CLOSE_SPLIT if close else 1)
        seconds = self.options.seconds / (CLOSE_SPLIT if close else 1)
        for number in range(rounds):
            say(f"{group[0].mode}: round {number + 1} of {rounds}")
            # Forth and back: a drift over the round then cancels out over two of them.
            for case in group if number % 2 == 0 else reversed(group):
                self.samples[case].append(self.sample(case, seconds))

    # What follows reads the samples.

    def median(self, case, field):
        return statistics.median(getattr(sample, field) for sample in self.samples[case])

    def ratio(self, case, base, field="cpu_us"):
        """The median of the ratios of each round; None when one of the two was not measured."""
        if not self.samples.get(case) or not self.samples.get(base):
            return None
        pairs = zip(self.samples[case], self.samples[base], strict=True)
        return statistics.median(getattr(one, field) / getattr(two, field) for one, two in pairs)

    def rss_per_name(self, kind, names):
        server = self.servers.get((kind, names))
        return server.rss_per_name if server else None


# ----------------------------------------------------------------------------------- reporting


def say(text):
    print(text, file=sys.stderr, flush=True)


def times(value):
    return "-" if value is None else f"{value:.2f} x"


SERVER_TITLES = {"bare": "bare loop", "stock": "stock epmd", "ours": "ours"}
MODE_TITLES = {
    "close": "Look-ups, measured in quick turns for the ratios",
    "lookup": "Look-ups (PORT_PLEASE2)",
    "rate": f"Look-ups from {RATE_LOADS} load generators, wherever the kernel runs them",
    "names": "Lists of all names (NAMES)",
    "register": "Registered and unregistered (ALIVE2, close)",
}


def print_table(bench, mode):
    print(f"\n{MODE_TITLES[mode]}")
    print(
        f"{'server':<11}{'names':>7}{'per second':>12}{'CPU us each':>13}{'vs bare':>10}"
        f"{'vs stock':>10}{'busy':>7}{'p50 us':>9}{'p99 us':>9}"
    )
    for case in bench.samples:
        if case.mode != mode:
            continue
        bare = bench.ratio(case, Case(mode, "bare", 0))
        stock = bench.ratio(case, Case(mode, "stock", case.names))
        print(
            f"{SERVER_TITLES[case.kind]:<11}{case.names or '-':>7}"
            f"{bench.median(case, 'per_second'):>12,.0f}{bench.median(case, 'cpu_us'):>13.1f}"
            f"{times(bare):>10}{times(stock):>10}{bench.median(case, 'busy'):>7.0%}"
            f"{bench.median(case, 'p50_us'):>9,.0f}{bench.median(case, 'p99_us'):>9,.0f}"
        )


def print_memory(bench):
    print("\nMemory (growth of the resident set a name, kernel sockets aside)")
    for (kind, names), server in bench.servers.items():
        # Below some hundred names the pages that any first request touches outweigh them.
        if names >= STOCK_NAMES_MAX:
            print(f"{SERVER_TITLES[kind]:<11}{names:>7}{server.rss_per_name / 1024:>12.2f} KiB")


@dataclass
class Bar:
    what: str
    value: float | None
    unit: str
    bound: float
    at_most: bool
    remark: str = ""

    def verdict(self):
        if self.value is None:
            return "not measured"
        met = self.value <= self.bound if self.at_most else self.value >= self.bound
        return "met" if met else "NOT MET"

    def line(self):
        value = "-" if self.value is None else f"{self.value:.2f} {self.unit}"
        bound = f"{'at most' if self.at_most else 'at least'} {self.bound:g} {self.unit}"
        return f"{self.what:<48}{value:>10}   {bound:<16}  {self.verdict()}{self.remark}"


def against_stock(bench, mode, what, bound):
    """How many times stock's requests per second."""
    stock, ours = (Case(mode, kind, STOCK_NAMES_MAX) for kind in ("stock", "ours"))
    cpu = bench.ratio(stock, ours)
    remark = f" (stock's CPU over ours: {times(cpu)})" if cpu else ""
    return Bar(what, bench.ratio(ours, stock, "per_second"), "x", bound, False, remark)


def bars(bench):
    one, many = Case("close", "ours", 1), Case("close", "ours", MANY_NAMES)
    memory = bench.rss_per_name("ours", MANY_NAMES)
    bare = Case("close", "bare", 0)
    return [
        Bar("look-up, 1 name: CPU over the bare loop's", bench.ratio(one, bare), "x", 0.85, True),
        Bar("look-up: CPU at 15,000 names over 1 name", bench.ratio(many, one), "x", 1.05, True),
        against_stock(bench, "rate", "look-ups a second at 900 names, over stock", 3),
        against_stock(bench, "names", "NAMES a second at 900 names, over stock", 10),
        Bar("memory a name, 15,000 names", memory and memory / 1024, "KiB", 1.5, True),
    ]


def print_heading(options, machine, programs):
    print(
        f"{options.rounds} x {options.seconds:g} s each, medians; 64 connections in flight; "
        f"Linux {os.uname().release}, {os.cpu_count()} CPUs, "
        f"load average {os.getloadavg()[0]:.1f} at the start"
    )
    if machine.server_cpu is None:
        print("one CPU only: server and load share it, latencies and rates say little")
    else:
        print(f"server pinned to CPU {machine.server_cpu}, load to CPU {machine.load_cpu}")
    for kind, path in programs.items():
        print(f"{SERVER_TITLES[kind]:<11}{path}")


def write_json(path, bench, judged):
    cases = [
        {
            "mode": case.mode,
            "server": case.kind,
            "names": case.names,
            "rounds": [vars(sample) for sample in samples],
        }
        for case, samples in bench.samples.items()
    ]
    memory = [
        {"server": kind, "names": names, "bytes_per_name": server.rss_per_name}
        for (kind, names), server in bench.servers.items()
        if names >= STOCK_NAMES_MAX
    ]
    judged = [
        {"what": bar.what, "value": bar.value, "bound": bar.bound, "verdict": bar.verdict()}
        for bar in judged
    ]
    settings = {"seconds": bench.options.seconds, "rounds": bench.options.rounds}
    report = {"settings": settings, "cases": cases, "memory": memory, "bars": judged}
    Path(path).write_text(json.dumps(report, indent=1) + "\n")


# ---------------------------------------------------------------------------------- the program


def find_stock():
    """OTP's epmd, also where a package has put ours in its place and its own beside it."""
    for name in ("epmd.stock", "epmd"):
        if found := sorted(glob.glob(f"/usr/lib/erlang/erts-*/bin/{name}")):
            return found[-1]
    return None


def find_programs(options):
    programs = {"bare": options.bare, "stock": options.stock, "ours": options.ours}
    if not options.stock:
        print("stock epmd is left out: there is none under /usr/lib/erlang (Debian: erlang-base)")
        del programs["stock"]
    for path in (*programs.values(), options.load):
        if not os.access(path, os.X_OK):
            raise Failure(f"{path} is missing; `make bench` builds all that is needed")
    return programs


def enough_descriptors():
    """The server and the holder of the names each need one a name."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= MANY_NAMES + 500:
        return True
    print(f"{MANY_NAMES:,} names are left out: only {hard:,} descriptors are allowed (ulimit -Hn)")
    return False


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help="of each measurement (2)")
    parser.add_argument("--rounds", type=int, help="measurements of each case (5)")
    parser.add_argument("--smoke", action="store_true", help="1 round of 1 s, few cases")
    parser.add_argument("--json", metavar="FILE", help="write every sample there")
    for name, default, what in (
        ("ours", BUILD / "bin/epmd", "our epmd"),
        ("stock", find_stock(), "OTP's epmd"),
        ("bare", BUILD / "bench/bare_loop", "the bare loop"),
        ("load", BUILD / "bench/load", "the load generator"),
    ):
        default = os.environ.get(f"BENCH_{name.upper()}", default and str(default))
        what = f"{what} ({default})"
        parser.add_argument(f"--{name}", metavar="PATH", default=default, help=what)
    options = parser.parse_args()
    options.seconds = options.seconds or (1 if options.smoke else 2)
    options.rounds = options.rounds or (1 if options.smoke else 5)
    if options.seconds < 0.05 or options.rounds < 1:
        parser.error("a measurement takes 0.05 s at least, and there is one round at least")
    return options


def main():
    options = parse_options()
    # SIGTERM unwinds like Ctrl-C, so that the servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    machine = Machine.look()
    programs = find_programs(options)
    options.many = not options.smoke and enough_descriptors()
    print_heading(options, machine, programs)
    bench = Bench(options, machine, programs)
    bench.run()
    for mode in MODE_TITLES:
        print_table(bench, mode)
    print_memory(bench)
    judged = bars(bench)
    print("\nThe bars")
    for bar in judged:
        print(bar.line())
    if options.json:
        write_json(options.json, bench, judged)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
