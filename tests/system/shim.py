"""A library that makes the disk slow, takes the memory away or forbids threads in a daemon under
test."""

import os
import subprocess
from pathlib import Path

import pytest

from daemon import SANITIZED, WRAPPER

SOURCE = Path(__file__).with_name("shim.c")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The environment of a daemon that runs behind the shim; see shim.c for what else may be
    set."""
    if WRAPPER:
        pytest.skip("the shim and a wrapper both stand before the C library")
    if SANITIZED:
        pytest.skip("the shim and the sanitizer's runtime both stand before the C library")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run([os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1",
                    "-fno-builtin", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-pthread"], check=True)
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}
