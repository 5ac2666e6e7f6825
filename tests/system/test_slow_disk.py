"""A disk that is slow, full or gone: only who was promised something waits for it."""

import os
import time

import pytest

import wire
from deadlines import scaled, wait_for
from members import Members, agree
from portoland import portoland  # noqa: F401
from prober import Prober
from shim import shim  # noqa: F401

SLOW_MS = 700
LATE_MS = 2000  # STATE_FILE_LATE_MS
UNDISTURBED_S = 0.15  # far below the disk's delay, far above a look-up's time on a busy machine


@pytest.fixture
def slow(portoland, shim, tmp_path):
    """A daemon whose disk becomes slow when `slow` is called."""
    file = tmp_path / "slow"

    def start(*flags, ms=SLOW_MS, **env):
        server = portoland(*flags, env={**shim, "SHIM_SYNC_MS": ms, "SHIM_SYNC_FILE": file, **env})
        server.slow_file = file
        return server
    return start


def creations(server):
    return (server.directory / f"creations-{server.port}").read_text()


def took(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_look_ups_do_not_wait_for_the_disk(slow):
    server = slow()
    with wire.register(server.port, "stays")[0]:
        server.slow_file.touch()
        with Prober(server.port, "stays") as look_ups:
            for number in range(3):
                wire.register(server.port, f"old{number}", highest=5, seconds=10)[0].close()
        assert look_ups.count > 10
        assert look_ups.longest < scaled(UNDISTURBED_S)


def test_an_old_nodes_reply_waits_for_its_own_write_and_no_other_does(slow):
    server = slow()
    server.slow_file.touch()
    old = wire.connect(server.port, seconds=10)
    old.sendall(wire.alive("old", highest=5))
    assert took(lambda: wire.register(server.port, "new")[0].close()) < scaled(UNDISTURBED_S)
    # its name is taken, and its reply is still to come
    assert wire.look_up(server.port, "old").result == 0
    old.setblocking(False)
    with pytest.raises(BlockingIOError):
        old.recv(1)
    old.settimeout(scaled(10))
    assert wire.read_exactly(old, 4)[:2] == b"y\0"
    assert "old".encode().hex() in creations(server)
    old.close()


def test_old_nodes_that_come_during_a_write_are_in_the_next(slow):
    server = slow()
    server.slow_file.touch()
    conns = []
    begun = time.monotonic()
    for number in range(20):
        conn = wire.connect(server.port, seconds=10)
        conn.sendall(wire.alive(f"old{number}", highest=5))
        conns.append(conn)
    assert [wire.read_exactly(conn, 4)[:2] for conn in conns] == [b"y\0"] * 20
    # one write of two syncs and a rename for the first, one for all others
    assert time.monotonic() - begun < scaled(20 * SLOW_MS / 1000)
    for conn in conns:
        conn.close()


def test_an_old_node_that_leaves_before_its_reply_is_gone(slow):
    server = slow()
    server.slow_file.touch()
    conn = wire.connect(server.port)
    conn.sendall(wire.alive("old", highest=5))
    wait_for(lambda: wire.look_up(server.port, "old").result == 0, 5)
    conn.close()
    wait_for(lambda: wire.look_up(server.port, "old").result == 1, 5, "the end of the registration")
    assert wire.register(server.port, "old", highest=5, seconds=10)[1].result == 0


def test_a_lease_waits_for_its_write_and_a_look_up_does_not(slow):
    server = slow()
    with wire.register(server.port, "stays")[0]:
        server.slow_file.touch()
        with Prober(server.port, "stays") as look_ups:
            assert took(lambda: server.lease("rabbit@h")) >= SLOW_MS / 1000
            server.says("lease", "rabbit@h", "--release")
        assert look_ups.longest < scaled(UNDISTURBED_S)


def test_a_caller_that_leaves_before_its_lease_is_saved_does_no_harm(slow):
    server = slow()
    server.slow_file.touch()
    for number in range(3):
        with server.dial() as control:
            control.request("lease", node=f"n{number}@h")
            wait_for(lambda: f"n{number}" in server.leases(), 5)
    assert server.lease("last@h")


def test_a_disk_that_does_not_answer_is_said_and_not_waited_for(slow):
    server = slow(ms=6000)
    server.slow_file.touch()
    begun = time.monotonic()
    conn, answer = wire.register(server.port, "old", highest=5, seconds=10)
    assert answer.result == 0
    assert LATE_MS / 1000 - 0.1 <= time.monotonic() - begun < 6
    assert "does not respond" in server.logged("state_not_kept")
    assert took(lambda: wire.register(server.port, "older", highest=5)[0].close()) < 1
    conn.close()
    server.slow_file.unlink()


def test_the_end_waits_for_what_is_under_way(slow):
    server = slow()
    server.slow_file.touch()
    conn = wire.connect(server.port)
    conn.sendall(wire.alive("old", highest=5))
    wait_for(lambda: wire.look_up(server.port, "old").result == 0, 5)
    server.stop()
    assert "old".encode().hex() in creations(server)
    conn.close()


def test_the_end_does_not_wait_for_ever(slow):
    server = slow(ms=60000)
    server.slow_file.touch()
    conn = wire.connect(server.port)
    conn.sendall(wire.alive("old", highest=5))
    wait_for(lambda: wire.look_up(server.port, "old").result == 0, 5)
    server.process.terminate()
    assert server.exit_code(25) == 0
    assert "does not respond" in server.log
    conn.close()


def test_without_a_thread_it_says_so_and_works(portoland, shim):
    server = portoland(env={**shim, "SHIM_NO_THREADS": "1"})
    assert "cure" in server.logged("warn no_thread")
    conn, answer = wire.register(server.port, "old", highest=5)
    assert answer.result == 0
    assert server.lease("rabbit@h")
    server.crash()
    assert "old".encode().hex() in creations(server)
    assert b"lease " in (server.directory / f"ports-{server.port}").read_bytes()
    conn.close()


def test_on_a_full_disk_everybody_is_answered(portoland):
    """A limit on the size of files stands for the disk; nothing fits into it."""
    if not os.path.exists("/usr/bin/prlimit"):
        pytest.skip("prlimit is missing")
    server = portoland(before=["/usr/bin/prlimit", "--fsize=1000"])
    os.truncate(server.log_path, 0)
    conn, answer = wire.register(server.port, "old" + 250 * "x", highest=5)
    assert answer.result == 0
    assert wire.register(server.port, "older" + 250 * "x", highest=5)[1].result == 0
    assert server.lease("rabbit@h") and server.leases()
    conn.close()


class Spoiled:
    """A daemon that cannot write one of its files, for as long as a directory stands in the way."""

    def __init__(self, server, kind):
        self.server, self.path = server, server.directory / f"{kind}-{server.port}"
        self.obstacle = self.path.with_name(f"{self.path.name}.new")
        self.obstacle.mkdir()

    def promise(self):
        """Something for either file."""
        assert wire.register(self.server.port, "old", highest=5)[1].result == 0
        self.server.lease("rabbit@h")
        self.server.logged("state_not_kept", f"file={self.path.name}", "cannot save")

    def mend(self):
        self.obstacle.rmdir()

    def is_saved(self):
        wanted = {"ports": b"rabbit", "creations": b"old"}[self.path.name.partition("-")[0]]
        return self.path.exists() and wanted.hex() in self.path.read_text()

    def said(self, event):
        return [line for line in self.server.log.splitlines() if f" {event} " in line]


@pytest.mark.parametrize("kind", ["ports", "creations"])
def test_what_could_not_be_saved_is_saved_when_it_can_be(portoland, kind):
    """Nothing else changes meanwhile, and nobody asks."""
    spoiled = Spoiled(portoland(), kind)
    spoiled.promise()
    spoiled.mend()
    wait_for(spoiled.is_saved, 10, lambda: spoiled.server.log)
    assert f"file={spoiled.path.name}" in spoiled.server.logged("info state_kept")


@pytest.mark.parametrize("kind", ["ports", "creations"])
def test_the_end_saves_what_could_not_be_saved_a_moment_ago(portoland, kind):
    spoiled = Spoiled(portoland(), kind)
    spoiled.promise()
    spoiled.mend()
    spoiled.server.stop()
    assert spoiled.is_saved(), spoiled.server.log


def test_a_fault_that_lasts_is_said_once_and_tried_ever_more_seldom(portoland):
    spoiled = Spoiled(portoland("--set", "log.level=debug"), "ports")
    spoiled.promise()
    wait_for(lambda: len(spoiled.said("state_retried")) >= 2, 10, lambda: spoiled.server.log)
    assert len(spoiled.said("state_not_kept")) == 1, spoiled.server.log
    spoiled.mend()
    spoiled.server.logged("state_kept")
    spoiled.obstacle.mkdir()
    spoiled.server.lease("hare@h")
    wait_for(lambda: len(spoiled.said("state_not_kept")) == 2, 5, lambda: spoiled.server.log)


def test_a_join_waits_for_the_disk_and_nobody_else_does(tmp_path, shim):
    """What was said to be joined outlives a crash that comes at once."""
    file = tmp_path / "slow"
    with Members(tmp_path) as members:
        one, two = members.on_loopback(2)
        two.crash()
        two.environment = {**shim, "SHIM_SYNC_MS": "300", "SHIM_SYNC_FILE": str(file)}
        two.start()
        with wire.register(two.port, "stays")[0]:
            file.touch()
            with Prober(two.port, "stays") as look_ups:
                assert two.ask("cluster_join", node=one.name)["ok"]
            two.crash()
        assert look_ups.count > 10
        assert look_ups.longest < scaled(UNDISTURBED_S)
        file.unlink()
        two.start()
        agree([one, two])
        file.touch()
        assert two.ask("cluster_leave")["ok"]
        two.crash()
        file.unlink()
        two.start()
        assert len(two.ask("cluster_status")["members"]) == 1
