"""What others feel: look-ups of one node, one after the other, while something else goes on."""

import threading
import time

import wire

PAUSE = 0.002  # seconds between two look-ups


class Prober:
    """Looks the node up while its body runs; `longest` is the time that the slowest answer took."""

    def __init__(self, port, name):
        self.port, self.name, self.longest, self.count, self.failure = port, name, 0, 0, None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.probe)

    def probe(self):
        try:
            while not self.done.is_set():
                began = time.monotonic()
                assert wire.look_up(self.port, self.name, seconds=30).result == 0
                self.longest = max(self.longest, time.monotonic() - began)
                self.count += 1
                self.done.wait(PAUSE)
        except (OSError, AssertionError, IndexError) as failure:
            self.failure = failure

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.done.set()
        self.thread.join()
        if kind is None:
            assert self.failure is None, repr(self.failure)
            assert self.count > 0
