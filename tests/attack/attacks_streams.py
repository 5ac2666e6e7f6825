"""Attacks with streams through the front port."""

import contextlib
import itertools
import json
import shutil
import socket
import subprocess
import tempfile
import time

import wire
from attack import Attack, root_is_served
from lab import BUILD, dies_with_parent, wait_for
from proxied import send_name


def never_accepting(lab, ready):
    """Two nodes of nobody's that never accept, and callers of the same host that say hello and
    go."""
    nodes = []
    for name in ("deaf1", "deaf2"):
        listener = socket.socket()
        listener.bind(("0.0.0.0", 0))
        listener.listen(4096)
        conn = socket.create_connection(("127.0.0.1", lab.port), timeout=10)
        conn.sendall(wire.alive(name, port=listener.getsockname()[1]))
        nodes.append((listener, conn, conn.recv(8)))
    ready()
    for number in itertools.count():
        with contextlib.suppress(OSError), socket.create_connection((lab.address, lab.port + 1 + number % 2), timeout=5) as caller:
            caller.sendall(send_name())


def few_streams_stay(lab):
    streams = len(json_streams(lab))
    if streams > 2500:
        return f"{streams} streams are held"
    return root_is_served(lab)


def json_streams(lab):
    code, output, _ = lab.portolan("streams", "--json")
    return json.loads(output).get("streams", []) if code == 0 else []


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def loop_of_two(lab, ready):
    """A second daemon of nobody's, each registered at the other, and one connection."""
    home = tempfile.mkdtemp(prefix="portolan-attack-loop-")
    words = [str(BUILD / "bin" / "portoland"), "--set", "node.dist_base_port=4470", "--set", f"control.socket={home}/control",
             "--set", f"node.data_dir={home}"]
    second = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=dies_with_parent)
    try:
        wait_for(lambda: listens(4470), 10, "the second daemon")
        first = socket.create_connection(("127.0.0.1", lab.port), timeout=10)
        first.sendall(wire.alive("loop2", port=4472))
        first.recv(8)
        other = socket.create_connection(("127.0.0.1", 4470), timeout=10)
        other.sendall(wire.alive("loop2", port=lab.port + 2))
        other.recv(8)
        ready()
        while True:
            with contextlib.suppress(OSError), socket.create_connection((lab.address, lab.port + 2), timeout=5) as caller:
                caller.sendall(send_name())
                caller.settimeout(2)
                caller.recv(1)
            time.sleep(0.1)
    finally:
        second.kill()
        second.wait()
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def deaf_node(lab):
    """A node of root's behind rabbit's front port, which accepts nobody."""
    listener = lab.listen(backlog=4096)
    conn, _ = lab.register("deaf", port=listener.getsockname()[1])
    yield
    conn.close()
    listener.close()


def look_up(lab, name):
    with contextlib.suppress(OSError), socket.create_connection((lab.address, lab.port), timeout=2) as conn:
        conn.sendall(wire.port_please(name))
        conn.recv(512)


def call(lab, caller):
    conn = socket.create_connection((lab.address, lab.port), timeout=2)
    conn.sendall(send_name(caller))
    return conn


def look_ups_left_behind(lab, ready):
    """Nearly as many streams to a node as a host may have, as many look-ups of it as are
    remembered, and callers whose node is found by both."""
    held = []
    with contextlib.suppress(OSError):
        for _ in range(900):
            look_up(lab, "deaf")
            held.append(call(lab, "first@far"))
    ready()
    while True:
        for _ in range(1024):
            look_up(lab, "deaf")
        time.sleep(1.3)
        for _ in range(1000):
            with contextlib.suppress(OSError), call(lab, "second@far"):
                time.sleep(0.002)


def hidden_crowd(lab, ready):
    """Hidden names of nobody's behind a port, and callers that are connected to all others
    there."""
    held = [call(lab, "caller@far")]
    with contextlib.suppress(OSError):
        for number in range(4000):
            conn = socket.create_connection(("127.0.0.1", lab.port), timeout=10)
            conn.sendall(wire.alive(f"hidden{number}x", node_type=wire.HIDDEN_NODE))
            if conn.recv(8)[1] != 0:
                break
            held.append(conn)
    ready()
    while True:
        with contextlib.suppress(OSError), call(lab, "caller@far"):
            time.sleep(0.002)


def no_loop(lab):
    streams = len(json_streams(lab))
    return f"{streams} streams of one connection" if streams > 20 else root_is_served(lab)


ATTACKS = [
    Attack("never-accepting", "two nodes that never accept, and callers that say hello and go", never_accepting, check=few_streams_stay),
    Attack("loop", "two daemons that are nodes of each other", loop_of_two, check=no_loop),
    Attack("look-ups-left-behind", "900 streams and 1,024 look-ups that no connection follows", look_ups_left_behind, prepare=deaf_node,
           stranger=True, check=root_is_served),
    Attack("hidden-crowd", "4,000 hidden names behind a port, and callers that know the others", hidden_crowd, check=root_is_served),
]
