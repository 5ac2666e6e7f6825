"""The daemon ends when it is told to, whatever state it is in."""

import contextlib
import signal
import socket

import pytest

import wire
from deadlines import scaled
from members import Members, agree
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


@contextlib.contextmanager
def caller(member):
    """A caller of the control socket that has been taken on."""
    with socket.socket(socket.AF_UNIX) as conn:
        conn.settimeout(scaled(10))
        conn.connect(str(member.socket))
        conn.sendall(b'{"v":1,"command":"port","nodes":[]}\n')
        assert b'"ok":true' in conn.recv(4096)
        yield conn


def test_what_a_cluster_changed_right_before_the_end_is_saved(tmp_path):
    """The write is to begin when the turn of the loop is over, and there is no other turn."""
    with Members(tmp_path) as members:
        one, two = members.on_loopback(2)
        two.join(one)
        agree([one, two])
        with caller(two) as leaving, caller(two) as stopping:
            two.signal(signal.SIGSTOP)
            leaving.sendall(b'{"v":1,"command":"cluster_leave"}\n')
            stopping.sendall(b'{"v":1,"command":"stop"}\n')
            two.signal(signal.SIGCONT)
            assert two.process.wait(timeout=scaled(10)) == 0
        two.start()
        assert two.members() == {two.name: "alive"}
