"""The daemon is stopped in every state that it can be in: it ends in order, with exit code 0, and
where it was built with sanitizers, without a report of theirs.

    PORTOLAN_SANITIZED  a build with SANITIZE=address,undefined to stop instead of PORTOLAN_BUILD's
    PORTOLAN_SEED       the one seed to run

Each action brings a daemon into a state, or several. Each is tried alone; then seeds choose a
sequence of them, and the moment of the SIGTERM.
"""

import contextlib
import json
import os
import random
import signal
import socket
import ssl
import struct
import time
from pathlib import Path

import pytest

import wire
from daemon import BUILD, free_port
from deadlines import scaled
from members import Member, free_base
from proxied import send_name

LONG = "PORTOLAN_LONG" in os.environ
SANITIZED = Path(os.environ.get("PORTOLAN_SANITIZED", BUILD))
SEEDS = [int(os.environ["PORTOLAN_SEED"])] if "PORTOLAN_SEED" in os.environ else range(1, 501 if LONG else 26)
REPORTS = ("Sanitizer", "runtime error:", "free():", "corrupted")


def client_hello():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["portolan/1"])
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


HELLO = client_hello()


class Scene(contextlib.ExitStack):
    """One life of a daemon, and those around it."""

    def __init__(self, directory, other, seed):
        super().__init__()
        self.chance, self.other = random.Random(seed), other
        base = free_base(3)
        self.seed_port = base + 3  # of `dumb3`, which is nobody's until a listener is there
        self.epmd_port = free_port()
        self.daemon = Member(
            "p1@127.0.0.1",
            directory,
            base=base,
            epmd__enable="on",
            epmd__port=self.epmd_port,
            program=str(SANITIZED / "bin" / "portoland"),
            environment={"MALLOC_PERTURB_": "165"},  # what was freed is not what it was
        )
        self.conns, self.count = [], 0

    def begin(self):
        self.callback(self.daemon.stop)
        self.daemon.start()

    def pause(self, most=0.02):
        time.sleep(self.chance.uniform(0, most))

    def connect(self, port=None, address="127.0.0.1"):
        """To one of its ports, from one of many addresses."""
        port = port or self.chance.choice([self.daemon.port, self.epmd_port])
        conn = socket.socket()
        self.callback(conn.close)
        conn.settimeout(scaled(5))
        conn.bind((self.chance.choice(["127.0.0.1", "127.0.0.2", "127.0.0.3"]), 0))
        conn.connect((address, port))
        self.conns.append(conn)
        return conn

    def listen(self, port=0, address="127.0.0.1", backlog=64):
        listener = socket.socket()
        self.callback(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(backlog)
        return listener

    def ask(self, line, wait=False):
        conn = socket.socket(socket.AF_UNIX)
        self.callback(conn.close)
        conn.settimeout(scaled(5))
        conn.connect(str(self.daemon.socket))
        conn.sendall(line)
        if wait:
            conn.recv(65536)
        self.conns.append(conn)

    def command(self, name, wait=False, **members):
        self.ask(json.dumps({"v": 1, "command": name, **members}).encode() + b"\n", wait)

    def new_name(self):
        self.count += 1
        return self.chance.choice(["node", "tool-", "x"]) + str(self.count % 3)

    def register(self, port=6400):
        conn = self.connect()
        conn.sendall(wire.alive(self.new_name(), port=port))
        return conn

    def end(self):
        """SIGTERM, and what came of it."""
        self.daemon.signal(signal.SIGTERM)
        code = self.daemon.process.wait(timeout=scaled(20))
        log = self.daemon.log
        assert not any(report in log for report in REPORTS), log
        assert code == 0, log


# --- actions ---


def a_connection_that_says_nothing(scene):
    scene.connect()


def a_piece_of_a_request(scene):
    scene.connect().sendall(wire.port_please("rabbit")[: scene.chance.randint(1, 8)])


def a_request(scene):
    scene.connect().sendall(scene.chance.choice([wire.names(), wire.dump(), wire.port_please("node1")]))


def a_node(scene):
    scene.register()


def a_node_that_is_answered(scene):
    scene.register().recv(6)


def a_node_that_goes(scene):
    conn = scene.register()
    conn.recv(6)
    conn.close()


def a_proxied_node(scene):
    """It may accept what comes to it, or leave it in its backlog."""
    listener = scene.listen()
    scene.register(listener.getsockname()[1]).recv(6)
    called = scene.connect(scene.daemon.port)
    called.sendall(send_name())
    if scene.chance.random() < 0.7:
        listener.settimeout(scaled(1))
        with contextlib.suppress(OSError):
            conn = listener.accept()[0]
            scene.callback(conn.close)
            scene.conns.append(conn)
            conn.sendall(b"x" * scene.chance.choice([1, 1000, 1_000_000]))


def a_node_with_a_closed_port(scene):
    scene.register(free_port()).recv(6)
    scene.connect(scene.daemon.port).sendall(send_name())


def a_half_close(scene):
    if scene.conns:
        with contextlib.suppress(OSError):
            scene.chance.choice(scene.conns).shutdown(scene.chance.choice([socket.SHUT_WR, socket.SHUT_RDWR]))


def a_reset(scene):
    if scene.conns:
        conn = scene.conns.pop(scene.chance.randrange(len(scene.conns)))
        if conn.fileno() >= 0 and conn.family == socket.AF_INET:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()


def a_piece_of_a_hello(scene):
    scene.connect(scene.daemon.port).sendall(HELLO[: scene.chance.randint(1, len(HELLO) - 1)])


def a_hello_and_nothing_more(scene):
    scene.connect(scene.daemon.port).sendall(HELLO)


def a_hello_in_two_records(scene):
    cut = len(HELLO) - scene.chance.randint(1, 20)
    scene.connect(scene.daemon.port).sendall(HELLO[:3] + struct.pack(">H", cut - 5) + HELLO[5:cut])


def a_command(scene):
    name = scene.chance.choice(["status", "names", "cluster_status", "streams", "leases", "reload", "nonsense"])
    scene.command(name, wait=scene.chance.random() < 0.5)


def a_watch(scene):
    scene.command("watch")


def a_lease(scene):
    scene.command("lease", node=f"leased{scene.chance.randint(1, 3)}")


def a_piece_of_a_command(scene):
    scene.ask(b'{"v": 1, "comm')


def a_reload(scene):
    scene.daemon.signal(signal.SIGHUP)


def a_join(scene):
    scene.command("cluster_join", wait=scene.chance.random() < 0.7, node=scene.other.name)


def a_leave(scene):
    scene.command("cluster_leave")


def a_force_leave(scene):
    scene.command("cluster_force_leave", node=scene.other.name)


def a_join_to_a_silent_seed(scene):
    """It accepts, reads the hello perhaps, and says nothing."""
    with contextlib.suppress(OSError):
        listener = scene.listen(scene.seed_port)
        listener.settimeout(scaled(2))
        scene.command("cluster_join", node="dumb3@127.0.0.1")
        conn = listener.accept()[0]
        scene.callback(conn.close)
        if scene.chance.random() < 0.5:
            conn.settimeout(scaled(2))
            conn.recv(1000)


def a_join_to_a_full_backlog(scene):
    with contextlib.suppress(OSError):
        scene.listen(scene.seed_port, "127.0.0.9", backlog=0)
        for _ in range(2):
            conn = socket.socket()
            scene.callback(conn.close)
            conn.setblocking(False)
            conn.connect_ex(("127.0.0.9", scene.seed_port))
        scene.command("cluster_join", node="dumb3@127.0.0.9")


def a_join_past_a_silent_epmd(scene):
    """The epmd of that host takes the question and does not answer."""
    with contextlib.suppress(OSError):
        scene.listen(scene.epmd_port, "127.0.0.9")
    scene.command("cluster_join", node="dumb2@127.0.0.9")


def a_join_to_a_host_without_an_address(scene):
    scene.command("cluster_join", node="p1@no-such-host.invalid")


def a_join_to_a_name_without_a_port(scene):
    scene.command("cluster_join", node="remsh1@127.0.0.1")


def a_join_to_a_closed_port(scene):
    scene.command("cluster_join", node="dumb2@127.0.0.1")


def a_pause(scene):
    scene.pause(0.2)


ACTIONS = [
    value for name, value in sorted(globals().items()) if name.startswith("a_") and callable(value)
]


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A member that runs all the time."""
    member = Member("p2@127.0.0.1", tmp_path_factory.mktemp("other"), base=free_base(2))
    yield member.start()
    member.stop()


def act(scene, action):
    with contextlib.suppress(ConnectionError, TimeoutError):
        action(scene)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
def test_the_daemon_stops_in_the_midst_of(action, other, tmp_path):
    with Scene(tmp_path, other, seed=1) as scene:
        scene.begin()
        act(scene, action)
        scene.end()


def test_the_daemon_stops_in_the_handshake_of_its_own_call(other, tmp_path):
    """The call stands, the other side has its hello and is silent."""
    with Scene(tmp_path, other, seed=1) as scene:
        scene.begin()
        with scene.listen(scene.seed_port) as listener:
            scene.command("cluster_join", node="dumb3@127.0.0.1")
            listener.settimeout(scaled(5))
            with listener.accept()[0] as conn:
                conn.settimeout(scaled(5))
                assert conn.recv(1)
                scene.end()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_daemon_stops_at_a_random_moment(seed, other, tmp_path):
    with Scene(tmp_path, other, seed) as scene:
        scene.begin()
        for _ in range(scene.chance.randint(1, 14)):
            act(scene, scene.chance.choice(ACTIONS))
            if scene.chance.random() < 0.5:
                scene.pause()
        scene.end()
