"""Waiting with a deadline. Nothing here sleeps to let things settle: it asks until the answer is
there.
"""

import os
import time

SLOW = float(os.environ.get("PORTOLAN_SLOW", "1"))
POLL_SECONDS = 0.01


def scaled(seconds):
    """`seconds` on a machine that PORTOLAN_SLOW says is so many times slower."""
    return seconds * SLOW


def wait_for(condition, seconds, what=None):
    """Calls `condition` until it returns something true, and returns that, or fails."""
    end = time.monotonic() + scaled(seconds)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            words = what() if callable(what) else what or condition.__name__
            raise AssertionError(f"not within {scaled(seconds):g} s: {words}")
        time.sleep(POLL_SECONDS)
