"""What it costs when nodes leave: the same whatever else is registered."""

import ctypes
import resource
import time

import pytest

import wire
from deadlines import wait_for
from portoland import portoland  # noqa: F401
from proxied import many_descriptors  # noqa: F401

MANY = 8000
BATCH = 300
FACTOR = 2  # far over the noise of a busy machine, and far below what a walk over all names costs
MEASURED_TIMES = 5


def name(number):
    """Without digits, so that all are behind one front port."""
    return "node_" + "".join(chr(ord("a") + int(digit)) for digit in str(number))


def cpu_clock(server):
    clock = ctypes.c_int()
    assert ctypes.CDLL(None).clock_getcpuclockid(server.pid, ctypes.byref(clock)) == 0
    return lambda: time.clock_gettime_ns(clock.value)


def when_idle(clock):
    """The CPU time once it stands still."""
    seen = [-1]

    def stands_still():
        time.sleep(0.02)
        before, seen[0] = seen[0], clock()
        return before == seen[0]
    wait_for(stands_still, 30, "the daemon to have nothing to do")
    return seen[0]


def price(server, port, first):
    """The CPU time of one of the unregistrations of a batch."""
    clock = cpu_clock(server)
    leavers = [wire.register(port, name(number))[0] for number in range(first, first + BATCH)]
    before = when_idle(clock)
    for conn in leavers:
        conn.close()
    spent = when_idle(clock) - before
    assert wire.look_up(port, name(first)).result == 1
    assert wire.look_up(port, name(first + BATCH - 1)).result == 1
    return spent / BATCH


def test_a_node_leaves_at_the_same_price_whatever_is_registered(portoland, many_descriptors):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < MANY + 1000:
        pytest.skip("too few descriptors are allowed here")
    server = portoland()
    few = min(price(server, server.port, 100000 + turn * BATCH) for turn in range(MEASURED_TIMES))
    held = [wire.register(server.port, name(number), host=f"127.0.0.{1 + number % 50}")[0] for number in range(MANY)]
    many = min(price(server, server.port, 200000 + turn * BATCH) for turn in range(MEASURED_TIMES))
    for conn in held:
        conn.close()
    assert many < FACTOR * few, f"{few / 1000:.1f} us alone, {many / 1000:.1f} us beside {MANY} others"
