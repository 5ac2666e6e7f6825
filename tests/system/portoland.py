"""A running portoland: its front port is free, its control socket and its state are the test's
own."""

import json
import os
import socket
import subprocess
import threading

import pytest

import portolan_cli
from daemon import BUILD, PORTS, WRAPPER, Daemon, environment, is_free
from deadlines import scaled, wait_for

PROGRAM = str(BUILD / "bin" / "portoland")


class Portoland(Daemon):
    """`port` is the front port. `before` are words before the command, as `unshare`."""

    def __init__(self, directory, *flags, before=(), user=None, sock=None, **options):
        super().__init__(PROGRAM, directory, *flags, **options)
        self.before, self.user = list(before), user
        self.socket = str(sock or self.directory / f"control.{os.urandom(3).hex()}")
        self.env = {"PORTOLAN_CONTROL__SOCKET": self.socket, **self.env}

    @property
    def is_ours(self):
        return True

    def launch(self):
        wrapper = [] if self.descriptors else WRAPPER
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.before, *wrapper, PROGRAM, "--set", f"node.dist_base_port={self.port}", *self.flags],
                env=environment(self.directory, **self.env), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                user=self.user, preexec_fn=self.limit_descriptors if self.descriptors else None)

    def call(self, *arguments, **options):
        """A finished call of `portolan` that asks this daemon."""
        return portolan_cli.portolan("--socket", self.socket, *arguments, **options)

    def says(self, *arguments, **options):
        """What a call that must go well says, as JSON."""
        call = self.call(*arguments, "--json", **options)
        assert call.returncode == 0, (call.stdout, call.stderr)
        return json.loads(call.stdout)

    def dial(self):
        return Control(self.socket)

    def lease(self, node):
        return self.says("lease", node)["port"]

    def names(self):
        """The names that are registered."""
        return {entry["name"] for entry in self.says("names")["names"]}

    def leases(self):
        """name -> (port, whether its node is registered)"""
        return {entry["name"]: (entry["port"], entry["held"]) for entry in self.says("leases")["leases"]}

    def logged(self, *parts):
        """Waits for a line of the log that has all of these in it."""
        def find():
            return [line for line in self.log.splitlines() if all(part in line for part in parts)]
        return wait_for(find, 5, f"a line with {parts} in\n{self.log}")[0]


class Control:
    """A connection to a control socket."""

    def __init__(self, path):
        self.conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.conn.settimeout(scaled(10))
        self.conn.connect(path)
        self.lines = self.conn.makefile("rb")

    def say(self, data):
        self.conn.sendall(data)

    def request(self, command, **members):
        self.say(json.dumps({"v": 1, "command": command, **members}).encode() + b"\n")

    def reply(self):
        """The next line as an object; None at the end."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def ask(self, command, **members):
        self.request(command, **members)
        return self.reply()

    def ended(self):
        try:
            return self.lines.readline() == b""
        except ConnectionError:
            return True

    def close(self):
        self.lines.close()
        self.conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Watch:
    """A running `portolan watch`."""

    def __init__(self, daemon, *arguments):
        self.process = subprocess.Popen(portolan_cli.words("--socket", daemon.socket, "watch", *arguments),
                                        env=portolan_cli.clean_environment(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        wait_for(lambda: self.is_on(daemon), 5, "the watch to be on")

    def is_on(self, daemon):
        """Until it watches, it has no events: a lease that comes and goes is one."""
        daemon.lease("probe@h")
        daemon.says("lease", "probe@h", "--release")
        os.set_blocking(self.process.stdout.fileno(), False)
        try:
            return bool(self.process.stdout.readline())
        except TypeError:  # nothing to read yet
            return False
        finally:
            os.set_blocking(self.process.stdout.fileno(), True)

    def line_with(self, *parts):
        deadline = threading.Timer(scaled(20), self.process.kill)
        deadline.start()
        try:
            for line in self.process.stdout:
                if all(part in line for part in parts):
                    return line.rstrip("\n")
        finally:
            deadline.cancel()
        raise AssertionError(f"the watch ended, or was ended, before a line with {parts}")

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=scaled(10))
        self.process.stdout.close()


@pytest.fixture
def portoland(tmp_path):
    """Starts daemons; what a test started is ended after it."""
    started = []

    def start(*flags, **options):
        server = Portoland(options.pop("directory", tmp_path), *flags, **options)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


def free_range(count, wished=()):
    """The first of so many ports in a row that are free."""
    for first in [*wished, *PORTS[::977]]:
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise RuntimeError(f"no {count} free ports in a row")


def a_range(count, first):
    """The flags for a range of ports."""
    return ["--set", f"node.dist_listen_min={first}", "--set", f"node.dist_listen_max={first + count - 1}"]
