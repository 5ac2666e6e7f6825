"""A daemon's control socket as docs/control.md describes it, whose replies are a test's to
choose."""

import json
import socket
import threading
import types


def ok(**members):
    return {"v": 1, "ok": True, **members}


def failure(code, message, **members):
    return {"v": 1, "ok": False, "error": {"code": code, "message": message, **members}}


class FakeControl:
    """Answers each command with `replies[command]`: a dict, a list of them (one a line), raw bytes,
    or a function of the request that returns one of these, or a generator of replies, each of which
    is sent as it comes. None: no answer. Closes behind what is in `closing`.

    A context manager; `requests` has what came, in its order.
    """

    def __init__(self, path, replies, closing=()):
        self.path, self.replies, self.closing = str(path), replies, closing
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.callers = []

    def __enter__(self):
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for connection in [self.listener, *self.callers]:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def accept(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            self.callers.append(caller)
            threading.Thread(target=self.serve, args=(caller,), daemon=True).start()

    def serve(self, caller):
        try:
            for line in caller.makefile("rb"):
                request = json.loads(line)
                self.requests.append(request)
                reply = self.replies.get(request["command"], failure("unknown_command", "no such command"))
                reply = reply(request) if callable(reply) else reply
                for part in reply if isinstance(reply, types.GeneratorType) else [reply]:
                    caller.sendall(self.encoded(part))
                if request["command"] in self.closing:
                    caller.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the caller has gone

    @staticmethod
    def encoded(reply):
        if reply is None:
            return b""
        if isinstance(reply, bytes):
            return reply
        lines = reply if isinstance(reply, list) else [reply]
        return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)

    def said(self, command):
        """The requests of that command, without their version."""
        assert all(request["v"] == 1 for request in self.requests)
        return [{key: value for key, value in request.items() if key not in ("v", "command")}
                for request in self.requests if request["command"] == command]
