"""Daemons that are to be one cluster: on this host, each with a port of its own, or on hosts of a
network that tests can cut.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import hosts
import wire
from daemon import BUILD, WRAPPER, free_port
from deadlines import scaled, wait_for
from portolan_cli import PORTOLAN, clean_environment

COOKIE = "PORTOLANTESTCOOKIE"
PORTOLAND = str(BUILD / "bin" / "portoland")


class Member:
    """One portoland. A host's /etc/hosts is `names`, where that is given; `program`: another
    build."""

    def __init__(
        self, name, directory, base=4370, host=None, names=None, program=PORTOLAND, environment=None, **keys
    ):
        self.name, self.host, self.names, self.base = name, host, names, base
        self.program, self.environment = program, environment or {}
        self.directory = Path(directory) / name
        self.directory.mkdir(exist_ok=True)
        self.socket = self.directory / "socket"
        self.log_path = self.directory / "log"
        self.keys = {"node.cookie": COOKIE, **{key.replace("__", "."): value for key, value in keys.items()}}
        self.process = None

    @property
    def port(self):
        digits = self.name.split("@")[0]
        return self.base + int("0" + digits[len(digits.rstrip("0123456789")) :])

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def configuration(self):
        keys = {
            "node.name": self.name,
            "node.dist_base_port": self.base,
            "node.data_dir": self.directory / "data",
            "control.socket": self.socket,
            "log.level": "debug",
            **self.keys,
        }
        return "".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None)

    def entered(self):
        return self.host.entered() if self.host else contextlib.nullcontext()

    def launch(self):
        conf = self.directory / "conf"
        conf.write_text(self.configuration())
        words = self.with_names([*WRAPPER, self.program, "-c", str(conf)])
        with open(self.log_path, "ab") as log, self.entered():
            self.process = subprocess.Popen(
                words,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.directory),
                    "LC_ALL": "C.UTF-8",
                    **self.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def start(self):
        self.launch()
        wait_for(lambda: self.exited or self.answers(), 10, f"start of {self.name}\n{self.log}")
        assert not self.exited, self.log
        return self

    @property
    def exited(self):
        return self.process.poll() is not None

    def answers(self):
        try:
            return self.ask("status")["ok"]
        except (OSError, ValueError):
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def crash(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is None or self.exited:
            return 0
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        return self.process.wait(timeout=scaled(10))

    # --- asking ---

    def ask(self, command, **members):
        """One reply of the control socket; progress is passed over."""
        with socket.socket(socket.AF_UNIX) as conn:
            conn.settimeout(scaled(45))
            conn.connect(str(self.socket))
            conn.sendall(json.dumps({"v": 1, "command": command, **members}).encode() + b"\n")
            for line in conn.makefile():
                reply = json.loads(line)
                if "progress" not in reply:
                    return reply
        raise ValueError("closed without a reply")

    def command(self, *words):
        """The words of a call of `portolan` that asks this member."""
        return [*WRAPPER, PORTOLAN, "--socket", str(self.socket), *map(str, words)]

    def with_names(self, words):
        """The command with this host's /etc/hosts: in a mount namespace of its own, if it has
        one."""
        if not self.names:
            return words
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "-m", "sh", "-c", script, str(self.names), *words]

    def portolan(self, *words, seconds=60):
        """A finished call; resolving happens on the member's host too."""
        with self.entered():
            return subprocess.run(
                self.with_names(self.command(*words)),
                env=clean_environment(ERL_EPMD_PORT=str(self.port)),
                text=True,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=scaled(seconds),
            )

    def join(self, other):
        reply = self.ask("cluster_join", node=getattr(other, "name", other))
        assert reply["ok"], reply
        return reply

    def members(self):
        """Name -> state."""
        return {member["name"]: member["state"] for member in self.ask("cluster_status")["members"]}

    def is_out(self):
        """Alone, and resting until it is told to join: it left, or was forced out."""
        status = self.ask("cluster_status")
        return status["resting"] and status["state"] == "alone"

    def running(self):
        return sorted(name for name, state in self.members().items() if state in ("alive", "suspect"))

    def directory_of_cluster(self):
        return sorted(
            (f"{name['name']}@{name['host']}", name["port"]) for name in self.ask("names", cluster=True)["names"]
        )

    def register(self, alive_name, port):
        """A node that stays registered until its connection is closed."""
        with self.entered():
            conn = socket.create_connection(("127.0.0.1", self.port), timeout=scaled(5))
        conn.sendall(wire.alive(alive_name, port=port))
        assert conn.recv(6)[1] == 0
        return conn


class Members(contextlib.ExitStack):
    """Those of one test: all are ended with it."""

    def __init__(self, directory):
        super().__init__()
        self.directory = directory
        self.all = []

    def add(self, name, **options):
        member = Member(name, self.directory, **options)
        self.all.append(member)
        self.callback(member.stop)
        return member

    def on_loopback(self, count, **keys):
        """`count` daemons of this host, started: p1 … pN on ports next to each other."""
        base = free_base(count)
        made = [self.add(f"p{i}@127.0.0.1", base=base, **keys) for i in range(1, count + 1)]
        for member in made:
            member.launch()
        wait_for(
            lambda: all(member.exited or member.answers() for member in made),
            20,
            lambda: f"start of {[member.name for member in made if not member.answers()]}",
        )
        for member in made:
            assert not member.exited, member.log
        return made


def free_base(count):
    """A base port behind which `count` ports are free."""
    while True:
        base = free_port()
        if base + count < 32000 and all(is_quiet(base + i) for i in range(1, count + 1)):
            return base


def is_quiet(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def agree(members, names=None, seconds=20):
    """Waits until all list just these as running; how long that took."""
    wanted = sorted(names or [member.name for member in members])
    began = time.monotonic()
    wait_for(
        lambda: all(member.running() == wanted for member in members),
        seconds,
        lambda: f"{wanted}: {[member.members() for member in members]}",
    )
    return time.monotonic() - began


class Network:
    """Hosts on one switch: 10.78.0.1 … 10.78.0.N. `nft` cuts what a host is to lose."""

    def __init__(self, count):
        self.switch = hosts.Host()
        self.switch.ip("link", "add", "switch", "type", "bridge")
        self.switch.ip("link", "set", "switch", "up")
        self.hosts = [self.attach(i) for i in range(1, count + 1)]

    def attach(self, number):
        host = hosts.Host(f"10.78.0.{number}", f"fd78::{number}")
        name = f"port{number}"
        self.switch.ip(
            "link", "add", name, "type", "veth", "peer", "name", "wire", "netns",
            f"/proc/{os.getpid()}/fd/{host.namespace}",
        )
        self.switch.ip("link", "set", name, "master", "switch")
        self.switch.ip("link", "set", name, "up")
        host.ip("addr", "add", f"{host.address}/24", "dev", "wire")
        host.ip("addr", "add", f"{host.address6}/64", "dev", "wire", "nodad")
        host.ip("link", "set", "wire", "up")
        return host

    def close(self):
        for host in [*self.hosts, self.switch]:
            host.close()


def nft(host, *lines):
    with host.entered():
        subprocess.run(["nft", "-f", "-"], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True)


def open_only(host, port):
    """A firewall that lets this TCP port in, and answers to calls of it."""
    nft(
        host,
        "table inet wall {",
        "chain input { type filter hook input priority 0; policy drop;",
        "iif lo accept; meta l4proto { icmp, ipv6-icmp } accept",
        f"tcp dport {port} accept; tcp sport {port} accept;",
        "}",
        "}",
    )


def lose(host, *others, more=()):
    """What the other hosts send to this one is lost; nobody is told, as it is with a fault on the
    way."""
    addresses = ", ".join(other.address for other in others)
    nft(
        host,
        "table ip cut {",
        f"chain input {{ type filter hook input priority 1; ip saddr {{ {addresses} }} drop;",
        "}",
        *more,
        "}",
    )


def cut(host, *others):
    """Nothing comes from, or goes to, the other hosts any more."""
    addresses = ", ".join(other.address for other in others)
    output = f"chain output {{ type filter hook output priority 1; ip daddr {{ {addresses} }} drop;"
    lose(host, *others, more=(output, "}"))


def heal(host):
    nft(host, "delete table ip cut")


def why_no_network():
    """Why this machine cannot make such networks, or None when it can."""
    if reason := hosts.why_impossible():
        return reason
    host = hosts.Host()
    try:
        open_only(host, 4370)
    except FileNotFoundError:
        return "no `nft` command"
    except subprocess.CalledProcessError as error:
        return f"nft: {error.stderr.strip()}"
    finally:
        host.close()
    return None
