"""The daemon ends when it is told to, whatever state it is in."""

import signal

import pytest

import wire
from portoland import portoland  # noqa: F401
from shim import shim  # noqa: F401


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_memory_is_out(portoland, shim, tmp_path, number):
    """Ending takes no memory: there may be none, and that may be why it is to end."""
    server = portoland(env={**shim, "SHIM_MEMORY_FILE": tmp_path / "no-memory"})
    node = wire.register(server.port, "rabbit")[0]
    (tmp_path / "no-memory").touch()
    server.process.send_signal(number)
    assert server.exit_code() == 0
    node.close()


def test_a_kill_request_stops_it_when_memory_is_out(epmd, shim, tmp_path):
    server = epmd("-relaxed_command_check", env={**shim, "SHIM_MEMORY_FILE": tmp_path / "no-memory"})
    conn = wire.connect(server.port)
    (tmp_path / "no-memory").touch()
    conn.sendall(wire.kill())
    assert wire.read_to_end(conn) == b"OK"
    assert server.exit_code() == 0
    conn.close()
