"""The two daemons under test: ours and OTP's own, each started on a free port and ended by its
process id.
"""

import glob
import os
import random
import resource
import shlex
import signal
import socket
import struct
import subprocess
from pathlib import Path

import deadlines
import wire
from deadlines import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PORTOLAN_BUILD", REPOSITORY / "build"))
WRAPPER = shlex.split(os.environ.get("PORTOLAN_WRAPPER", ""))

# A build with the address sanitizer: it takes more memory and time, and nothing may be loaded
# before its runtime.
SANITIZED = (BUILD / "bin" / "portoland").exists() and b"__asan_init" in (BUILD / "bin" / "portoland").read_bytes()

# Below the range of the kernel's ephemeral ports, so that no client's own port is in the way.
PORTS = range(10000, 32000)


def our_epmd():
    return str(BUILD / "bin" / "epmd")


def stock_epmd():
    """OTP's epmd, also where a package has put ours in its place."""
    for pattern in ("/usr/lib/erlang/erts-*/bin/epmd.stock", "/usr/lib/erlang/erts-*/bin/epmd"):
        if found := sorted(glob.glob(pattern)):
            return found[-1]
    return None


def is_free(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET or error.errno not in (
                97,
                99,
            ):  # a machine without IPv6 is fine
                return False
    return True


def free_port():
    for _ in range(200):
        port = random.choice(PORTS)
        if is_free(port):
            return port
    raise RuntimeError("no free port found")


def environment(directory, **extra):
    """The environment of a daemon or a call: nothing leaks in from the tester's shell."""
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "PORTOLAN_NODE__DATA_DIR": str(directory),
    }
    clean.update({key: str(value) for key, value in extra.items()})
    return clean


def command(program):
    """The words that start `program`; ours runs under PORTOLAN_WRAPPER."""
    return (WRAPPER if program == our_epmd() else []) + [program]


def run(program, *arguments, directory, seconds=10, **env):
    """One call of an epmd's command line, finished.

    A wrapper is left out of `-daemon`: it would keep our pipes, and be the process that we look at.
    """
    started = [program] if "-daemon" in arguments else command(program)
    return subprocess.run(
        [*started, *map(str, arguments)],
        env=environment(directory, **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=deadlines.scaled(seconds),
    )


class Daemon:
    """One running epmd. A context manager: leaving it ends the process and checks how it ended.

    With few `descriptors` a wrapper is left out: valgrind takes some for itself, and closes the
    connections that get one of those.
    """

    def __init__(self, program, directory, *flags, port=None, env=None, descriptors=None):
        self.program, self.directory = program, Path(directory)
        self.flags = [str(flag) for flag in flags]
        self.port, self.env, self.descriptors = port, env or {}, descriptors
        self.log_path = self.directory / f"log.{os.urandom(4).hex()}"
        self.process = None

    @property
    def is_ours(self):
        return self.program == our_epmd()

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def start(self):
        """Returns when it answers. Where another process took the port, it tries another."""
        wanted = self.port
        for _ in range(5):
            self.port = wanted or free_port()
            self.launch()
            wait_for(
                lambda: self.exited or self.answers(),
                10,
                f"{self.program} on port {self.port}\n{self.log}",
            )
            if not self.exited:
                return self
            if wanted:
                break
        raise AssertionError(
            f"{self.program} exited {self.process.returncode} at once:\n{self.log}"
        )

    def launch(self):
        words = [self.program] if self.descriptors else command(self.program)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*words, "-port", str(self.port), *self.flags],
                env=environment(self.directory, **self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self.limit_descriptors if self.descriptors else None,
            )

    def limit_descriptors(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    @property
    def exited(self):
        return self.process.poll() is not None

    def answers(self):
        try:
            return wire.ask(self.port, wire.port_please("?")) == b"w\1"
        except OSError:
            return False

    def exit_code(self, seconds=10):
        """Waits for it to end by itself."""
        return self.process.wait(timeout=deadlines.scaled(seconds))

    def crash(self):
        """Ends it as a power cut would: no chance to say goodbye."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; ours must end with 0. One that does not go is killed, and that is an error."""
        if self.process is None or self.exited:
            return
        self.process.terminate()
        try:
            code = self.exit_code()
        except subprocess.TimeoutExpired:
            self.crash()
            raise AssertionError(f"{self.program} did not end on SIGTERM:\n{self.log}") from None
        if self.is_ours and code != 0:
            raise AssertionError(f"{self.program} exited {code} on SIGTERM:\n{self.log}")

    def __enter__(self):
        return self.start()

    def __exit__(self, failure, *_):
        try:
            self.stop()
        except AssertionError:
            if failure is None:
                raise


def listeners(port):
    """What listens on `port` in this thread's network namespace: socket inode -> address."""
    found = {}
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        try:
            lines = Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            address, hex_port = fields[1].split(":")
            if fields[3] == "0A" and int(hex_port, 16) == port:
                words = struct.unpack(f">{len(address) // 8}I", bytes.fromhex(address))
                found[fields[9]] = socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
    return found


def listening_addresses(port):
    return sorted(listeners(port).values())


def holder_of(port):
    """The process that listens on `port`, or None: so a daemon that forked is found again."""
    wanted = {f"socket:[{inode}]" for inode in listeners(port)}
    if not wanted:
        return None
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) in wanted:
                return int(link.split("/")[2])
        except OSError:
            continue
    return None


def end_holder(port):
    """Ends the daemon that a test made fork on its own port, also one that is not there yet."""
    try:
        pid = wait_for(lambda: holder_of(port), 1)
    except AssertionError:
        return
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: holder_of(port) is None, 5, f"end of process {pid}")
