"""A relay between two daemons that keeps what it passed on, and can say it again."""

import contextlib
import socket
import threading

from deadlines import scaled

NAMES = ("caller", "called")


class Passage:
    """One connection that was passed on: what each side said, and when both had ended."""

    def __init__(self):
        self.said = {name: b"" for name in NAMES}
        self.pieces = []  # (who, bytes) in the order in which they came
        self.lock = threading.Lock()
        self.open_sides = len(NAMES)

    def note(self, who, data):
        with self.lock:
            self.said[who] += data
            self.pieces.append((who, data))

    @property
    def is_over(self):
        return self.open_sides == 0


class Relay:
    """Listens where a daemon is looked for, and passes on to where it is. With `replayed`, an
    earlier passage, it plays the daemon that was called in it instead."""

    def __init__(self, at, to):
        self.to, self.passages, self.replayed, self.threads = to, [], None, []
        self.conns = []
        self.listener = socket.create_server(at)
        self.listener.settimeout(0.1)
        self.is_closing = False
        self.start(self.accept)

    def start(self, what, *arguments):
        thread = threading.Thread(target=what, args=arguments)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while not self.is_closing:
            with contextlib.suppress(TimeoutError):
                caller = self.listener.accept()[0]
                self.conns.append(caller)
                passage = Passage()
                self.passages.append(passage)
                if self.replayed:
                    self.start(self.replay, passage, self.replayed, caller)
                else:
                    self.begin(passage, caller)

    def begin(self, passage, caller):
        try:
            called = socket.create_connection(self.to, timeout=scaled(5))
        except OSError:
            caller.close()
            passage.open_sides = 0
            return
        called.settimeout(None)
        self.conns.append(called)
        self.start(self.pass_on, passage, "caller", caller, called)
        self.start(self.pass_on, passage, "called", called, caller)

    @staticmethod
    def pass_on(passage, who, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                passage.note(who, data)
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        with passage.lock:
            passage.open_sides -= 1

    @staticmethod
    def replay(passage, replayed, caller):
        """Hears the caller's beginning, and says all that was said then."""
        with contextlib.suppress(OSError):
            passage.note("caller", caller.recv(65536))
            caller.sendall(replayed.said["called"])
            passage.note("called", replayed.said["called"])
            while caller.recv(65536):
                pass
        passage.open_sides = 0

    def close(self):
        self.is_closing = True
        self.threads[0].join()
        self.listener.close()
        for conn in self.conns:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        for thread in self.threads[1:]:
            thread.join()
        for conn in self.conns:
            conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
