"""A thousand operations of libportolan at once, in each kind of loop, against our daemon; and many
thousands one after the other, which leave nothing behind. PORTOLAN_LONG=1 makes the long form of a
hundred thousand."""

import os
import re
import subprocess

import pytest

import wire
from daemon import BUILD, REPOSITORY, environment, free_port
from deadlines import scaled, wait_for

LONG = bool(os.environ.get("PORTOLAN_LONG"))
SANITIZERS = {"plain": None, "address and undefined": "address,undefined", "thread": "thread"}

pytestmark = pytest.mark.skipif("flavour" in str(BUILD), reason="builds its own with sanitizers")


class Servers:
    """A daemon with a cluster of its own, epmd's port, 100 registered names and ports for 1,500
    leases."""

    def __init__(self, directory):
        self.log_path = directory / "log"
        self.env = environment(
            directory, PORTOLAN_CONTROL__SOCKET=directory / "c.sock", PORTOLAN_NODE__DIST_BASE_PORT=free_port(),
            PORTOLAN_NODE__DIST_LISTEN_MIN=33000, PORTOLAN_NODE__DIST_LISTEN_MAX=34500,
            PORTOLAN_NODE__COOKIE="LIBRARYLOOPS", PORTOLAN_NODE__NAME="portolan@127.0.0.1")
        self.port = int(self.env["PORTOLAN_NODE__DIST_BASE_PORT"])
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(BUILD / "bin" / "portoland")], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.env)
        wait_for(lambda: os.path.exists(self.env["PORTOLAN_CONTROL__SOCKET"]), 10, self.log_path.read_text)
        self.nodes = [wire.register(self.port, f"n{number}", port=20000 + number)[0] for number in range(100)]

    def stop(self):
        for node in self.nodes:
            node.close()
        self.process.terminate()
        assert self.process.wait(timeout=scaled(10)) == 0


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    running = Servers(tmp_path_factory.mktemp("servers"))
    yield running
    running.stop()


@pytest.fixture(scope="module", params=SANITIZERS)
def loops(request):
    """Runs the program, built with a sanitizer or without."""
    sanitize = SANITIZERS[request.param]
    program = "build/tests/loops" if sanitize is None else f"build/flavour/{sanitize.replace(',', '-')}/tests/loops"
    words = [] if sanitize is None else [f"SANITIZE={sanitize}"]
    made = subprocess.run(["make", "-s", "-C", str(REPOSITORY), *words, program], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr

    def run(servers, *words):
        done = subprocess.run([str(REPOSITORY / program), *map(str, words)], capture_output=True, text=True,
                              env={**servers.env, "ERL_EPMD_PORT": str(servers.port)}, timeout=scaled(300))
        assert done.returncode == 0, (done.stdout, done.stderr[:4000], servers.log_path.read_text()[-2000:])
        found = re.fullmatch(r"(\d+) right, 0 wrong; descriptors (\d+) to (\d+), KiB (\d+) to (\d+)\n", done.stdout)
        print(words, done.stdout)
        return [int(number) for number in found.groups()]

    run.sanitize = sanitize
    return run


@pytest.mark.parametrize("loop", ["poll", "edge", "libevent", "libuv", "session"])
def test_a_thousand_operations_at_once(loops, servers, loop):
    if loop == "libuv" and subprocess.run(["pkg-config", "--exists", "libuv"]).returncode != 0:
        pytest.skip("no libuv on this machine: install libuv1-dev")
    """The first tenth goes before, for the sake of what is left behind; so a thousand are in flight
    after it."""
    for kind in ("names", "resolve", "registered", "lease", "mixed") if loops.sanitize is None else ("mixed",):
        assert loops(servers, loop, kind, 1112, 1000)[0] == 1112


def test_a_hundred_threads_at_once(loops, servers):
    for kind in ("lease", "resolve"):
        assert loops(servers, "threads", kind, 1000, 100)[0] == 1000


@pytest.mark.parametrize("loop", ["edge", "session"])
def test_many_operations_leave_nothing_behind(loops, servers, loop):
    total = (100000 if LONG else 10000) // (1 if loops.sanitize is None else 10)
    right, descriptors, descriptors_after, kib, kib_after = loops(servers, loop, "mixed", total, 100)
    assert right == total and descriptors_after == descriptors
    if loops.sanitize is None:
        assert kib_after < kib + 1024
