"""Copies of the repository below build/mutation in which things may be broken, and bounded runs
there.

Nothing outlives a run: what a test or a mutant left behind is found by its parent and killed by its
id.
"""

import collections
import ctypes
import filecmp
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "mutation"
UNBROKEN = HOME / "unbroken"  # the tree as it was when the run began: what is drawn from, and copied
PLAIN = ["CFLAGS=-O2"]  # without debug information, what the compiler makes of a change can be compared
UNIT, SIM = "build/tests/unit", "build/tests/sim"
# What reads or keeps too much is seen by sanitizers alone.
SANITIZED = ["SANITIZE=address,undefined", "BUILD=build/sanitized", "CFLAGS=-O1"]
SANITIZED_UNIT = "build/sanitized/tests/unit"
SIM_SEEDS = "300"
BUILD_SECONDS = 600
FILE_BYTES = 4 << 30
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

# code: None where the time was up
Run = collections.namedtuple("Run", "code output seconds")


def adopt_orphans():
    """From now on what a child of this process leaves behind becomes its own child."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def descendants():
    children = collections.defaultdict(list)
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            children[int(fields[1])].append(int(stat.parent.name))
        except (OSError, IndexError):
            continue
    found, open_ones = [], [os.getpid()]
    while open_ones:
        for child in children[open_ones.pop()]:
            found.append(child)
            open_ones.append(child)
    return found


def end_descendants():
    """Kills by id what the last run left behind, until nothing is there."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for process in descendants():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0] > 0:
                pass
        except ChildProcessError:
            return
        time.sleep(0.02)


def limit_files():
    # the soft limit alone: tests set their own
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def bounded(command, tree, seconds, **environment):
    """Runs a command in a tree; returns when it and all that it started are gone."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=tree, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env={**os.environ, **environment}, start_new_session=True,
                                   preexec_fn=limit_files)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            end_descendants()
        output.seek(0)
        return Run(code, output.read().decode(errors="replace"), time.monotonic() - start)


def make(tree, *targets, flags=(), jobs=1):
    return bounded(["make", f"-j{jobs}", "-s", *(flags or PLAIN), *targets], tree, BUILD_SECONDS)


def run_suite(tree, program, suite, seconds):
    return bounded([program], tree, seconds, CK_RUN_SUITE=suite)


def run_sim(tree, seconds):
    return bounded([SIM, "--seeds", SIM_SEEDS, "--stop-after", "1"], tree, seconds)


def run_system(tree, what, seconds, stop=True):
    """`what`: a file of tests, or one test."""
    # a short path: sockets are made below it
    place = tempfile.mkdtemp(prefix="mt", dir="/tmp")
    os.chmod(place, 0o755)
    try:
        return bounded([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfE", "--tb=line",
                        f"--basetemp={place}/t", *(["-x"] if stop else []), what],
                       tree, seconds, PORTOLAN_BUILD=str(tree / "build"))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def failed_test(run):
    """The first test that failed, as pytest takes it; None when it was the whole file."""
    found = re.search(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", run.output, re.MULTILINE)
    return found.group(1) if found else None


def files_of(tree, skipped):
    for directory, below, names in os.walk(tree):
        if pathlib.Path(directory) == tree:
            below[:] = [name for name in below if name not in skipped]
        below[:] = [name for name in below if name != "__pycache__"]
        links = [name for name in below if os.path.islink(os.path.join(directory, name))]
        for name in names + links:
            yield (pathlib.Path(directory) / name).relative_to(tree)


def is_same(one, other, by_time):
    if one.is_symlink() or not other.exists() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and os.readlink(one) == os.readlink(other)
    if by_time:
        a, b = one.stat(), other.stat()
        return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)
    return filecmp.cmp(one, other, shallow=False)


def sync(source, target, with_build):
    """Makes `target` what `source` is. With its build, all has the times that it has there; without
    it, what differs is newer than what was built of it."""
    skipped = set() if with_build else {".git", "build"}
    target.mkdir(parents=True, exist_ok=True)
    wanted = set(files_of(source, skipped))
    for file in set(files_of(target, skipped)) - wanted:
        (target / file).unlink()
    for file in wanted:
        one, other = source / file, target / file
        if not is_same(one, other, with_build):
            other.parent.mkdir(parents=True, exist_ok=True)
            other.unlink(missing_ok=True)
            (shutil.copy2 if with_build else shutil.copy)(one, other, follow_symlinks=False)


def build_all(tree, *flags, jobs=2):
    """All that tests run."""
    done = make(tree, "all", UNIT, SIM, "build/tests/loops", flags=flags, jobs=jobs)
    if done.code != 0:
        sys.exit(f"{tree} does not build:\n{done.output[-4000:]}")


def rooms():
    """The rooms that are tried: those of src but the cluster, which tests/sim/mutations.py
    breaks."""
    return sorted(path.name for path in (ROOT / "src").iterdir()
                  if path.is_dir() and path.name != "cluster" and any(path.glob("*.c")))
