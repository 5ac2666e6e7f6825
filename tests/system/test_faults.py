"""One call of the daemon fails, once: at each call in turn, of each kind.

What was asked for is done, or refused with a reason, or the connection is closed; nobody waits for
ever, no descriptor is lost, and the same thing asked again works.

    PORTOLAN_LONG       every call of every kind, instead of some
    PORTOLAN_SANITIZED  a build with SANITIZE=address,undefined to try instead of PORTOLAN_BUILD's
    PORTOLAN_SEED       which calls are tried
"""

import contextlib
import json
import os
import random
import select
import signal
import socket
import time
from pathlib import Path

import pytest

import faults
import wire
from daemon import BUILD, free_port
from deadlines import scaled, wait_for
from members import Members, free_base
from proxied import send_name
from test_random_stop import HELLO, REPORTS

LONG = "PORTOLAN_LONG" in os.environ
SANITIZED = Path(os.environ.get("PORTOLAN_SANITIZED", BUILD))
IS_SANITIZED = b"__asan_init" in (SANITIZED / "bin" / "portoland").read_bytes()
MEMORY = ("malloc", "calloc", "realloc")
SECONDS = 4  # nobody waits longer for an answer, or for being closed


class Refused(Exception):
    """The daemon did not do it, and said so or closed the connection."""


@contextlib.contextmanager
def closing_is_a_refusal():
    try:
        yield
    except ConnectionError as error:
        raise Refused(str(error)) from error


def read(conn, size):
    with closing_is_a_refusal():
        data = wire.read_exactly(conn, size)
    if len(data) < size:
        raise Refused(f"closed after {data}")
    return data


def found(conn):
    with closing_is_a_refusal():
        reply = wire.read_to_end(conn)
    if not reply:
        raise Refused("closed without an answer")
    return wire.Found(reply)


class Scene(contextlib.ExitStack):
    """A daemon whose calls fail, another member, and a host beside theirs."""

    def __init__(self, directory, library, pair):
        super().__init__()
        self.pair, self.whole = pair, {}
        self.faults = faults.Faults(library, directory / "faults", MALLOC_PERTURB_="165", ASAN_OPTIONS="verify_asan_link_order=0")
        self.callback(self.faults.close)
        with pair.here.entered():
            self.base, self.epmd_port = free_base(3), free_port()
        members = self.enter_context(Members(directory))
        program = str(SANITIZED / "bin" / "portoland")
        self.daemon = members.add(
            "p1@127.0.0.1", host=pair.here, base=self.base, program=program,
            environment=self.faults.environment, epmd__enable="on", epmd__port=self.epmd_port,
            cluster__on_event="/bin/true", node__dist_listen_min=6400, node__dist_listen_max=6409)
        self.other = members.add("p2@127.0.0.1", host=pair.here, base=self.base)
        self.other.start()

    def connect(self, port=None):
        with self.pair.here.entered(), closing_is_a_refusal():
            conn = socket.create_connection(("127.0.0.1", port or self.daemon.port), timeout=scaled(SECONDS))
        return contextlib.closing(conn)

    def connect_from_far(self):
        with closing_is_a_refusal():
            return contextlib.closing(
                self.pair.there.connect(self.daemon.port, self.pair.here.address, seconds=scaled(SECONDS)))

    @contextlib.contextmanager
    def control(self):
        with socket.socket(socket.AF_UNIX) as conn, closing_is_a_refusal():
            conn.settimeout(scaled(15))
            conn.connect(str(self.daemon.socket))
            yield Control(conn)

    def is_whole(self, what, reply):
        """It has the members that it had the first time, when nothing failed."""
        first = self.whole.setdefault(what, reply)
        assert same_members(reply, first), (reply, first)

    def is_alone(self):
        return self.daemon.ask("cluster_status")["state"] == "alone"

    def come_to_rest(self, descriptors=None):
        """Nothing of what was done is left."""
        assert not self.daemon.exited, f"exit code {self.daemon.process.returncode}"
        for member in (self.daemon, self.other):
            if member.ask("cluster_status")["state"] != "alone":
                member.ask("cluster_leave")
        if descriptors is not None:
            wait_for(lambda: self.descriptors() <= descriptors, 8, lambda: f"{self.open_files()}")

    def open_files(self):
        directory = Path(f"/proc/{self.daemon.process.pid}/fd")
        return {entry.name: os.readlink(entry) for entry in directory.iterdir()}

    def last_lines(self, count=12):
        return "\n".join(self.daemon.log.splitlines()[-count:])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    @contextlib.contextmanager
    def registered(self, name, port, at=None):
        with self.connect(at or self.epmd_port) as conn:
            with closing_is_a_refusal():
                conn.sendall(wire.alive(name, port=port))
            if wire.Registered(read(conn, 6)).result != 0:
                raise Refused("registration")
            yield

    @contextlib.contextmanager
    def node(self, name):
        with self.pair.here.entered():
            listener = socket.create_server(("0.0.0.0", 0))
        with listener:
            listener.settimeout(scaled(SECONDS))
            with self.registered(name, listener.getsockname()[1]):
                yield listener


def same_members(one, other):
    """Whether objects have the same members, and theirs too.

    A list may be empty: a name that there was no memory for is not in it.
    """
    if isinstance(one, list) and isinstance(other, list):
        return all(same_members(item, other[0]) for item in one[: len(other)])
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_members(one[key], other[key]) for key in one)
    return not isinstance(one, (dict, list))


class Control:
    def __init__(self, conn):
        self.conn, self.lines = conn, conn.makefile("rb")

    def line(self):
        if not (line := self.lines.readline()):
            raise Refused("the control connection was closed")
        return json.loads(line)

    def ask(self, command, **members):
        self.conn.sendall(json.dumps({"v": 1, "command": command, **members}).encode() + b"\n")
        while "progress" in (reply := self.line()):
            pass
        if not reply["ok"]:
            assert reply["error"]["code"] and reply["error"]["message"], reply
            raise Refused(reply["error"]["message"])
        return reply


def far_end(listener, caller):
    """The connection that the node gets, unless its caller is closed."""
    ready, _, _ = select.select([listener, caller], [], [], scaled(SECONDS))
    if listener in ready:
        conn = listener.accept()[0]
        conn.settimeout(scaled(SECONDS))
        return conn
    assert ready, "a caller that is neither let through nor closed"
    with closing_is_a_refusal():
        assert caller.recv(1) == b""
    raise Refused("the call was closed")


def pass_through(caller, far, said):
    assert read(far, len(said)) == said
    for sender, receiver in ((far, caller), (caller, far)):
        with closing_is_a_refusal():
            sender.sendall(b"x" * 100_000)
        assert read(receiver, 100_000) == b"x" * 100_000


# --- what is asked of it ---


def a_node_that_comes_is_found_and_goes(scene):
    with scene.registered("f1", 40000):
        with scene.connect(scene.epmd_port) as conn:
            conn.sendall(wire.port_please("f1"))
            assert found(conn).port == 40000
        with scene.connect(scene.epmd_port) as conn:
            conn.sendall(wire.names())
            assert b"name f1 at port 40000" in read(conn, 4 + len("name f1 at port 40000\n"))


def a_request_in_pieces(scene):
    request = wire.port_please("f2")
    with scene.registered("f2", 40000), scene.connect(scene.daemon.port) as conn:
        for byte in request:
            with closing_is_a_refusal():
                conn.sendall(bytes([byte]))
        assert found(conn).port == 40000


def a_stream(scene):
    with scene.node("mole1") as listener, scene.connect() as caller:
        caller.sendall(send_name())
        with far_end(listener, caller) as far:
            pass_through(caller, far, send_name())
            caller.shutdown(socket.SHUT_WR)
            with closing_is_a_refusal():
                assert far.recv(1) == b""


def a_stream_of_tls_whose_hello_comes_in_pieces(scene):
    hello = HELLO.replace(b"portolan/1", b"something1")
    with scene.node("mole1") as listener, scene.connect() as caller:
        with closing_is_a_refusal():
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            caller.sendall(hello[:10])
            time.sleep(0.002)
            caller.sendall(hello[10:])
        with far_end(listener, caller) as far:
            pass_through(caller, far, hello)


def a_look_up_that_waits_for_another(scene):
    with scene.node("hare1"), scene.node("fox1"), scene.node("owl1"):
        with contextlib.ExitStack() as held:
            asked = []
            for name in ("hare1", "fox1", "owl1"):
                conn = held.enter_context(scene.connect_from_far())
                conn.sendall(wire.port_please(name))
                asked.append(conn)
            for conn in asked:
                assert found(conn).result == 0


def commands(scene):
    with scene.registered("f1", 40000), scene.control() as control:
        for command, members in (
            ("status", {}), ("names", {}), ("names", {"cluster": True}), ("resolve", {"node": "f1@127.0.0.1"}),
            ("port", {"nodes": ["emqx@127.0.0.1"]}), ("leases", {}), ("streams", {}), ("cluster_status", {}),
        ):
            scene.is_whole(f"{command} {members}", control.ask(command, **members))


def a_lease(scene):
    with scene.control() as control:
        port = control.ask("lease", node="leased@127.0.0.1")["port"]
        with scene.registered("leased", port):
            pass
        with contextlib.suppress(Refused):
            control.ask("release", node="leased@127.0.0.1")


def a_watch(scene):
    with scene.control() as control:
        control.ask("watch")
        with scene.registered("f4", 40000):
            while (event := control.line()).get("name") != "f4":
                pass
            scene.is_whole("event", event)


def a_reload(scene):
    with scene.control() as control:
        scene.is_whole("reload", control.ask("reload"))
        scene.daemon.signal(signal.SIGHUP)
        control.ask("status")


def a_join_and_a_leave(scene):
    with scene.control() as control, scene.registered("f5", 40000):
        control.ask("cluster_join", node=scene.other.name)
        wait_for(lambda: ("f5@127.0.0.1", 40000) in scene.other.directory_of_cluster() or scene.is_alone(), 10, "f5 at the other member")
        control.ask("cluster_leave")


def another_joins_and_leaves(scene):
    reply = scene.other.ask("cluster_join", node=scene.daemon.name)
    if not reply["ok"]:
        raise Refused(reply["error"]["message"])
    scene.other.ask("cluster_leave")


ACTIONS = [
    a_node_that_comes_is_found_and_goes, a_request_in_pieces, a_stream, a_stream_of_tls_whose_hello_comes_in_pieces,
    a_look_up_that_waits_for_another, commands, a_lease, a_watch, a_reload, a_join_and_a_leave,
    another_joins_and_leaves,
]


# --- letting it fail ---


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return faults.build(tmp_path_factory.mktemp("faults"), *(["-DWITHOUT_MEMORY"] if IS_SANITIZED else []))


@pytest.fixture
def scene(tmp_path, library, pair):
    with Scene(tmp_path, library, pair) as scene:
        yield scene


def calls_of(scene, action):
    """kind -> how many calls the action takes"""
    before = scene.faults.counts()
    action(scene)
    scene.come_to_rest()
    return {kind: count - before[kind] for kind, count in scene.faults.counts().items() if count > before[kind]}


def chosen(chance, kind, count):
    """Which calls of a kind are tried: memory is asked for thousands of times."""
    most = count if kind not in MEMORY else 300
    if not LONG:
        most = 1 if kind not in MEMORY else 3
    return sorted(chance.sample(range(1, count + 1), max(0, min(most, count))))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
def test_a_call_that_fails_ends_nothing_but_what_was_asked(action, scene):
    chance = random.Random(os.environ.get("PORTOLAN_SEED", "1"))
    scene.daemon.start()
    action(scene)
    scene.come_to_rest()
    descriptors, outcomes = scene.descriptors(), {"done": 0, "refused": 0}
    for kind, count in calls_of(scene, action).items():
        for nth in chosen(chance, kind, count):
            began = time.monotonic()
            scene.faults.arm(kind, nth)
            what, outcome = f"{action.__name__}, {kind} number {nth}", "done"
            try:
                action(scene)
            except Refused:
                outcome = "refused"
            except Exception as error:
                raise AssertionError(f"{what} at {scene.faults.disarm()}: {error!r}\n{scene.last_lines()}") from error
            caller = scene.faults.disarm()
            if caller is None:
                assert outcome == "done", f"{what}: refused, and nothing failed\n{scene.last_lines()}"
                continue
            outcomes[outcome] += 1
            try:
                scene.come_to_rest(descriptors)
                action(scene)
                scene.come_to_rest(descriptors)
            except (Exception, Refused) as error:
                raise AssertionError(f"after {what} at {caller}: {error!r}\n{scene.last_lines()}") from error
            if "FAULTS_VERBOSE" in os.environ:
                print(f"{what} at {caller}: {outcome}, {time.monotonic() - began:.3f} s")
    print(f"{action.__name__}: {sum(outcomes.values())} calls failed: {outcomes}")
    scene.daemon.signal(signal.SIGTERM)
    assert scene.daemon.process.wait(timeout=scaled(20)) == 0, scene.daemon.log
    assert not any(report in scene.daemon.log for report in REPORTS), scene.daemon.log


def life(scene):
    """A start, a question and a stop: the exit code, and whether it answered."""
    daemon = scene.daemon
    daemon.log_path.write_text("")
    daemon.launch()
    wait_for(lambda: daemon.exited or daemon.answers(), 10, lambda: f"start of the daemon\n{scene.last_lines()}")
    answered = not daemon.exited
    with contextlib.suppress(ProcessLookupError):
        daemon.signal(signal.SIGTERM)
    return daemon.process.wait(timeout=scaled(20)), answered


def test_a_call_that_fails_at_the_start_or_at_the_end_is_told_or_changes_nothing(scene):
    chance, outcomes = random.Random(os.environ.get("PORTOLAN_SEED", "1")), {"started": 0, "said why not": 0}
    life(scene)
    before = scene.faults.counts()
    assert life(scene) == (0, True)
    for kind, count in scene.faults.counts().items():
        for nth in chosen(chance, kind, count - before[kind]):
            scene.faults.arm(kind, nth)
            code, answered = life(scene)
            caller, log = scene.faults.disarm(), scene.daemon.log
            what = f"{kind} number {nth} at {caller}: exit code {code}, answered: {answered}\n{scene.last_lines()}"
            if caller is None:
                continue
            assert not any(report in log for report in REPORTS), what
            if answered:
                assert code == 0, what
            else:
                assert code > 0 and ("portoland: " in log or "cannot_start" in log), what
            outcomes["started" if answered else "said why not"] += 1
    print(f"start and end: {sum(outcomes.values())} calls failed: {outcomes}")
