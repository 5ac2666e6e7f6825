"""What an attack is led against: a portoland on a host of its own, seen from beside it and from
within.

    here    the host of the daemon, of its nodes, and of local users without rights ("nobody")
    there   another host, on the same wire ("stranger"), with more than one address
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "system"))

import hosts  # noqa: E402
import wire  # noqa: E402

BUILD = Path(os.environ.get("PORTOLAN_BUILD", REPOSITORY / "build"))
NOBODY = 65534
STRANGERS = [f"10.77.0.{last}" for last in range(2, 32)]
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """Something did not work; the text is for the person who ran the attack."""


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.01)
    return result


class Lab:
    """Both hosts, and a daemon with these settings. One node, `rabbit` of root, is registered."""

    def __init__(self, settings=(), before=(), environment=None):
        self.directory = Path(tempfile.mkdtemp(prefix="portolan-attack-"))
        self.directory.chmod(0o755)
        self.pair = hosts.Pair()
        for address in STRANGERS[1:]:
            self.pair.there.ip("addr", "add", f"{address}/24", "dev", "wire")
        self.here, self.there = self.pair.here, self.pair.there
        self.address, self.port = self.here.address, 4370
        self.socket = str(self.directory / "control")
        self.log = self.directory / "log"
        self.settings, self.before, self.environment = list(settings), list(before), environment or {}
        self.process = None

    def __enter__(self):
        words = [*self.before, str(BUILD / "bin" / "portoland")]
        for setting in [f"control.socket={self.socket}", f"node.data_dir={self.directory}/state", *self.settings]:
            words += ["--set", setting]
        with self.here.entered(), open(self.log, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={"PATH": os.environ["PATH"], "HOME": str(self.directory), **self.environment})
        wait_for(lambda: self.process.poll() is not None or self.answers(), 10, "the daemon to answer")
        if self.process.poll() is not None:
            raise Failure(f"the daemon ended with {self.process.returncode}:\n{self.log.read_text(errors='replace')[-2000:]}")
        self.listener = self.listen()
        self.rabbit, answer = self.register("rabbit", port=self.listener.getsockname()[1])
        if answer.result != 0:
            raise Failure("the node rabbit is refused")
        return self

    def __exit__(self, *_):
        self.rabbit.close()
        self.listener.close()
        self.process.terminate()
        try:
            code = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "nothing within 20 s of SIGTERM"
        self.pair.close()
        subprocess.run(["rm", "-rf", str(self.directory)], check=False)
        if code != 0:
            raise Failure(f"the daemon ended with {code}")

    def answers(self):
        with contextlib.suppress(OSError), self.here.connect(self.port, "127.0.0.1") as conn:
            conn.sendall(wire.port_please("?"))
            return wire.read_to_end(conn) == b"w\1"

    # --- who lives there ---

    def listen(self, backlog=128):
        with self.here.entered():
            listener = socket.socket()
        listener.bind(("0.0.0.0", 0))
        listener.listen(backlog)
        return listener

    def register(self, name, **fields):
        """The connection that holds the name, and the answer."""
        conn = self.here.connect(self.port, "127.0.0.1", seconds=10)
        conn.sendall(wire.alive(name, **fields))
        first = wire.read_exactly(conn, 1)
        if not first:
            conn.close()
            raise ConnectionError(f"the registration of {name} was closed")
        return conn, wire.Registered(first + wire.read_exactly(conn, wire.Registered.size(first[0]) - 1))

    def portolan(self, *words):
        """A call of root's command line: (exit code, output, seconds)."""
        begun = time.monotonic()
        with self.here.entered():
            done = subprocess.run([str(BUILD / "bin" / "portolan"), "--socket", self.socket, *words], text=True,
                                  capture_output=True, timeout=30, stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stdout + done.stderr, time.monotonic() - begun

    def status(self):
        code, output, _ = self.portolan("status", "--json")
        return json.loads(output) if code == 0 else {}

    # --- what the daemon costs ---

    def memory_kib(self):
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def end_quietly(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit()


def dies_with_parent():
    """For preexec_fn: no process outlives the attack that started it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def in_child(work, host, user=0):
    """Runs `work` in a process of its own, on that host and as that user, until the block is
    left."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            signal.signal(signal.SIGTERM, end_quietly)
            descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
            host.stay()
            if user != 0:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            work(lambda: os.write(writing, b"!"))
            code = 0
        except SystemExit:
            code = 0
        except BaseException as problem:  # noqa: BLE001 - all that the child can do is to say so
            print(f"attack: {type(problem).__name__}: {problem}", file=sys.stderr)
        finally:
            os._exit(code)
    os.close(writing)
    try:
        yield reading
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
        os.close(reading)
        if os.waitstatus_to_exitcode(status) != 0:
            raise Failure("the attack itself failed, see above")
