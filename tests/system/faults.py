"""Lets one call of a running daemon fail, once: the n-th of its kind from now on.

The kinds are the lines of faults.c, which is loaded into the daemon before all libraries.
"""

import mmap
import os
import re
import struct
import subprocess
from pathlib import Path

import pytest

from daemon import WRAPPER

SOURCE = Path(__file__).with_name("faults.c")
KINDS = [name for _, name in re.findall(r"^(FAILS|FAILS_ANYWHERE|SPECIAL)\((\w+)", SOURCE.read_text(), re.MULTILINE)]
HEAD = struct.Struct("=IIII112s")
COUNTS = struct.Struct(f"={len(KINDS)}I")


class Faults:
    """What the test shares with the daemon; `environment` is for the latter."""

    def __init__(self, library, path, **environment):
        path.write_bytes(bytes(HEAD.size + 4 * 128))
        with open(path, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 0)
        self.environment = {"LD_PRELOAD": str(library), "FAULTS_FILE": str(path), **environment}

    def arm(self, kind, nth):
        self.shared[: HEAD.size] = HEAD.pack(KINDS.index(kind) + 1, nth, 0, 0, b"")

    def disarm(self):
        """The place of the call that failed since `arm`, if one did."""
        _, _, failed, _, caller = HEAD.unpack_from(self.shared)
        self.shared[: HEAD.size] = bytes(HEAD.size)
        return caller.rstrip(b"\0").decode() if failed else None

    def counts(self):
        """kind -> how many calls there were so far"""
        return dict(zip(KINDS, COUNTS.unpack_from(self.shared, HEAD.size + 4), strict=True))

    def close(self):
        self.shared.close()


def build(directory, *flags):
    """The library, or why this machine cannot have it."""
    if WRAPPER:
        pytest.skip("the library and a wrapper both stand before the C library")
    library = directory / "faults.so"
    subprocess.run([os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1",
                    "-fno-builtin", "-shared", "-fPIC", *flags, "-o", library, SOURCE, "-ldl", "-pthread"], check=True)
    return library
