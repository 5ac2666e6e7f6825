"""Which test reaches which line: made once for a tree, by running all tests in a copy that counts
lines.

A test is "unit SUITE", "sim", "sanitized SUITE" or "system FILE". A test that fails where nothing
is broken is left out.
"""

import collections
import difflib
import functools
import json
import re
import sys

import trees

COUNTING = trees.HOME / "counting"
MAP = trees.HOME / "reach.json"
FLAGS = [f"CFLAGS=-O0 --coverage -fprofile-update=atomic -include {COUNTING}/tests/mutation/coverage.h",
         "LDFLAGS=--coverage"]
SYSTEM_SECONDS = 900
KINDS = ["unit", "sim", "sanitized", "system"]  # in the order in which they run


def suites(tree):
    """The names of the unit tests' suites: the program lists them, and runs none with this tag."""
    listed = trees.bounded([trees.UNIT], tree, 60, CK_INCLUDE_TAGS="none").output
    return re.findall(r"^(?:Running suite\(s\):)? (\w+)$", listed, re.MULTILINE)


def all_tests(tree):
    yield from (f"unit {suite}" for suite in suites(tree))
    yield "sim"
    yield from (f"sanitized {suite}" for suite in suites(tree))
    yield from (f"system {path.name}" for path in sorted((tree / "tests/system").glob("test_*.py")))


def run(tree, test, seconds, stop=True):
    kind, _, name = test.partition(" ")
    if kind in ("unit", "sanitized"):
        program = trees.UNIT if kind == "unit" else trees.SANITIZED_UNIT
        return trees.run_suite(tree, program, name, seconds)
    if kind == "sim":
        return trees.run_sim(tree, seconds)
    return trees.run_system(tree, f"tests/system/{name}", seconds, stop)


def counted(tree):
    """File -> line -> how often it ran since this was asked last."""
    found = collections.defaultdict(collections.Counter)
    data = [str(path.relative_to(tree)) for path in (tree / "build").rglob("src/**/*.gcda")]
    if data:
        report = trees.bounded(["gcov", "--json-format", "--stdout", *data], tree, 300).output
        for text in report.splitlines():
            for file in json.loads(text)["files"] if text.startswith("{") else ():
                if file["file"].startswith("src/"):
                    for line in file["lines"]:
                        found[file["file"]][line["line_number"]] += line["count"]
    for path in data:
        (tree / path).unlink()
    return found


def open_to_all(tree):
    """A daemon that has dropped its privileges writes its counts too."""
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir():
            path.chmod(0o777)


def read_map():
    """What is known: test -> seconds (None: it fails unbroken), file -> line -> tests."""
    return json.loads(MAP.read_text()) if MAP.exists() else {"tests": {}, "lines": {}}


def complete_map(units_only):
    """Runs what has not been run yet. A test that fails in the tree that counts and not in the
    unbroken one is used."""
    made = read_map()
    if not made["tests"]:
        trees.sync(trees.UNBROKEN, COUNTING, with_build=False)
        trees.build_all(COUNTING, *FLAGS)
        open_to_all(COUNTING)
    unknown = [test for test in all_tests(COUNTING) if test not in made["tests"]
               and not (units_only and test.startswith("system"))]
    for number, test in enumerate(unknown):
        add_test(made, test)
        seconds = made["tests"][test]
        print(f"  {number + 1}/{len(unknown)} {test}: "
              + (f"{seconds:.1f} s" if seconds else "fails unbroken and is left out"), file=sys.stderr, flush=True)
        MAP.write_text(json.dumps(made))


def add_test(made, test):
    is_counted = not test.startswith("sanitized")
    done = run(COUNTING if is_counted else trees.UNBROKEN, test, SYSTEM_SECONDS, stop=False)
    counts = counted(COUNTING) if is_counted else {}
    if is_counted and done.code != 0:
        done = run(trees.UNBROKEN, test, SYSTEM_SECONDS)
    made["tests"][test] = done.seconds if done.code == 0 else None
    for file, lines in counts.items():
        known = made["lines"].setdefault(file, {})
        for line, count in lines.items():
            known.setdefault(str(line), []).extend([test] if count and done.code == 0 else [])


class Reach:
    """The map, also for source that has changed a little since it was made."""

    def __init__(self):
        made = read_map()
        self.seconds = made["tests"]
        self.lines = {file: {int(line): tests for line, tests in lines.items()}
                      for file, lines in made["lines"].items()}
        # of suites that are newer than the map it is not known what they reach
        self.new = [f"unit {suite}" for suite in suites(trees.UNBROKEN)
                    if f"unit {suite}" not in self.seconds]
        self.seconds.update({test: 1 for test in self.new})

    def counted_as(self, file):
        """The file as it was called when the map was made: files move between rooms."""
        name = file.rpartition("/")[2]
        moved = [other for other in self.lines if other.endswith("/" + name)]
        return file if file in self.lines or len(moved) != 1 else moved[0]

    @functools.lru_cache(maxsize=None)
    def aligned(self, file):
        """The lines of `file` as it was counted that stand for those that it has now."""
        now = (trees.UNBROKEN / file).read_text().splitlines()
        then = (COUNTING / self.counted_as(file)).read_text().splitlines()
        same = {}
        for block in difflib.SequenceMatcher(None, then, now, autojunk=False).get_matching_blocks():
            same.update({block.b + i + 1: block.a + i + 1 for i in range(block.size)})
        return same

    def of(self, file, line):
        """The tests that reach a line, by kind and the fastest first. Unit tests may have changed
        since the map was made: all suites that reach the file are tried."""
        on_line = set(self.counted(file, line))
        units = {test for test in self.of_file(file) if test.startswith("unit ")} | set(self.new)
        reached = on_line | units
        reached |= {"sanitized " + test[5:] for test in reached if test.startswith("unit ")}
        return sorted((test for test in reached if self.seconds.get(test)),
                      key=lambda test: (KINDS.index(test.partition(" ")[0]), test not in on_line,
                                        self.seconds[test]))

    def counted(self, file, line):
        """The tests that reach a line or, for one that is no code of its own, the nearest before
        it."""
        reached = self.lines.get(self.counted_as(file))
        if reached is None:
            return self.of_room(file)
        same = self.aligned(file)
        for near in range(line, max(line - 12, 0), -1):
            if same.get(near) in reached:
                return reached[same[near]]
        return self.of_file(file)

    @functools.lru_cache(maxsize=None)
    def of_file(self, file):
        reached = self.lines.get(self.counted_as(file), {})
        return sorted({test for tests in reached.values() for test in tests})

    def of_room(self, file):
        """Of a file that is new, or was never reached: the tests of its neighbours."""
        room = file.rpartition("/")[0] + "/"
        return sorted({test for other, lines in self.lines.items() if other.startswith(room)
                       for tests in lines.values() for test in tests})
