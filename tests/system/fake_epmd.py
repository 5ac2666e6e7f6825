"""An epmd that knows what a test tells it."""

import socket
import threading

import pytest


class FakeEpmd:
    """Knows the names and ports it was made with, for NAMES and PORT_PLEASE2."""

    def __init__(self, names):
        self.names = names
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.env = {"ERL_EPMD_PORT": str(self.port)}

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            with caller:
                request = caller.recv(2000)
                caller.sendall(self.answer(request[2:]))

    def answer(self, request):
        if request[:1] == b"n":
            lines = "".join(f"name {name} at port {port}\n" for name, port in self.names.items())
            return self.port.to_bytes(4, "big") + lines.encode()
        name = request[1:].decode()
        if name not in self.names:
            return b"w\1"
        return (b"w\0" + self.names[name].to_bytes(2, "big") + bytes([77, 0, 0, 6, 0, 5]) +
                len(name.encode()).to_bytes(2, "big") + name.encode() + b"\0\0")


@pytest.fixture
def free_of_epmd():
    """The environment that leads to a port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield {"ERL_EPMD_PORT": str(bound.getsockname()[1])}
