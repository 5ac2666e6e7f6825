"""Other hosts, as network namespaces joined by a veth pair. They vanish with the process that made
them.

A thread enters a namespace only for as long as it takes to open a socket or to start a process
there.
"""

import contextlib
import ctypes
import os
import socket
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _own_namespace():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Host:
    """One network namespace, held open by a descriptor."""

    def __init__(self, address=None, address6=None):
        self.address, self.address6 = address, address6
        before = _own_namespace()
        try:
            _check(_libc.unshare(CLONE_NEWNET))
            self.namespace = _own_namespace()
            _check(_libc.setns(before, CLONE_NEWNET))
        finally:
            os.close(before)
        self.ip("link", "set", "lo", "up")

    @contextlib.contextmanager
    def entered(self):
        """This thread is on the host: what it opens and starts is there, and stays there."""
        before = _own_namespace()
        _check(_libc.setns(self.namespace, CLONE_NEWNET))
        try:
            yield self
        finally:
            _check(_libc.setns(before, CLONE_NEWNET))
            os.close(before)

    def stay(self):
        """This thread moves to the host for good."""
        _check(_libc.setns(self.namespace, CLONE_NEWNET))

    def ip(self, *words):
        with self.entered():
            subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def connect(self, port, address, source=None, seconds=5):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.entered():
            conn = socket.socket(family, socket.SOCK_STREAM)
        conn.settimeout(seconds)
        try:
            if source:
                conn.bind((source, 0))
            conn.connect((address, port))
        except OSError:
            conn.close()
            raise
        return conn

    def close(self):
        os.close(self.namespace)


class Pair:
    """Two hosts on one wire: `here`, where daemons run, and `there`, another host."""

    def __init__(self):
        self.here = Host("10.77.0.1", "fd77::1")
        self.there = Host("10.77.0.2", "fd77::2")
        self.here.ip(
            "link",
            "add",
            "wire",
            "type",
            "veth",
            "peer",
            "name",
            "wire",
            "netns",
            f"/proc/{os.getpid()}/fd/{self.there.namespace}",
        )
        for host in (self.here, self.there):
            host.ip("addr", "add", f"{host.address}/24", "dev", "wire")
            host.ip("addr", "add", f"{host.address6}/64", "dev", "wire", "nodad")
            host.ip("link", "set", "wire", "up")
            host.ip("link", "set", "lo", "up")

    def close(self):
        self.here.close()
        self.there.close()


def why_impossible():
    """Why this machine cannot make such hosts, or None when it can."""
    try:
        pair = Pair()
    except FileNotFoundError:
        return "no `ip` command"
    except OSError as error:
        return f"network namespaces: {error.strerror}"
    except subprocess.CalledProcessError as error:
        return f"`ip {' '.join(error.cmd[1:])}`: {error.stderr.strip()}"
    pair.close()
    return None
