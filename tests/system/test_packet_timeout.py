"""OTP's epmd counts whole seconds and ends a connection only when more than -packet_timeout of them
have passed: N seconds given, nothing ends before N + 1. Its own tests depend on it.
"""

import concurrent.futures
import time

import pytest

import wire
from deadlines import scaled, wait_for
from portoland import portoland  # noqa: F401: a fixture

PAUSES = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6] * 2
ENDS_NOT_BEFORE = 2.0
TOO_LATE = 1.95  # a pause that this machine has drawn out to more proves nothing


@pytest.fixture(params=["epmd", "portoland"])
def server(request, epmd, portoland):  # noqa: F811
    """`-packet_timeout 1`, in both programs."""
    return (epmd if request.param == "epmd" else portoland)("-packet_timeout", "1")


def paused(pause):
    """Sleeps; how long it really was."""
    begun = time.monotonic()
    time.sleep(pause)
    return time.monotonic() - begun


def slow_request(port, pause):
    """A request in four pieces: whether it was answered, or None if a pause was too long."""
    request = wire.port_please("slow")
    longest = 0
    with wire.connect(port, seconds=20) as conn:
        try:
            for piece in (request[:1], request[1:3], request[3:4], request[4:]):
                conn.sendall(piece)
                longest = max(longest, paused(pause) if piece != request[4:] else 0)
            answered = wire.read_to_end(conn)[:2] == b"w\0"
        except ConnectionError:
            answered = False
    return None if longest > TOO_LATE else answered


def test_a_slow_request_is_answered(server):
    node, _ = wire.register(server.port, "slow")
    with node, concurrent.futures.ThreadPoolExecutor(len(PAUSES)) as pool:
        answered = list(pool.map(lambda pause: slow_request(server.port, pause), PAUSES))
    assert False not in answered, list(zip(PAUSES, answered))
    assert True in answered, "no pause was as short as it was to be"


def test_a_refused_node_may_stay_as_long(epmd):
    server = epmd("-packet_timeout", "1")
    node, _ = wire.register(server.port, "a")
    with node:
        begun = time.monotonic()
        second, reply = wire.register(server.port, "a", seconds=20)
        with second:
            assert reply.result != 0
            assert wire.read_to_end(second) == b""
            assert time.monotonic() - begun >= ENDS_NOT_BEFORE


@pytest.mark.parametrize("timeout, least", [("1", 2.0), ("2s", 3.0), ("700ms", 0.7), ("1500ms", 1.5)])
def test_a_whole_second_is_counted_once_more(epmd, timeout, least):
    """Times that are not whole seconds end when they say."""
    server = epmd("-packet_timeout", timeout)
    with wire.connect(server.port, seconds=20) as conn:
        begun = time.monotonic()
        conn.sendall(b"\0")
        assert wire.read_to_end(conn) == b""
        took = time.monotonic() - begun
    assert least <= took < least + scaled(8), took


def test_it_ends_all_the_same(epmd):
    """A byte now and then does not hold a connection for ever: ten timeouts is the end."""
    server = epmd("-packet_timeout", "200ms")
    with wire.connect(server.port, seconds=20) as conn:
        begun = time.monotonic()

        def ended():
            try:
                conn.sendall(b"\1" if time.monotonic() - begun < 0.05 else b"z")
                time.sleep(0.05)
                return False
            except ConnectionError:
                return True

        wait_for(ended, 15, "the end of a request that trickles in")
        assert time.monotonic() - begun >= 2.0
