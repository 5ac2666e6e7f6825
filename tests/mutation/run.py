#!/usr/bin/python3
"""Shows what the tests see: makes small random changes of the source, one at a time, and runs the
tests.

A change is noticed when a unit test fails (those that reach the line, the fastest first), else the
simulator, a unit test with sanitizers, a system test; one that fails counts when it fails again. A
change that the compiler finds to be none is drawn again. What nothing notices is printed, and so is
the share that was noticed, by room. tests/mutation/equivalents lists changes that cannot be
noticed, each with its reason: they are not drawn. The first run in a tree takes long: it finds
which test reaches which line.

The work is done in copies of the tree below build/mutation. The same seed draws the same changes of
the same source. Exit status: 0 when nothing survived.
"""

import argparse
import collections
import concurrent.futures
import importlib.util
import json
import multiprocessing
import os
import random
import re
import sys
import time

import mutator
import reach
import trees

EQUIVALENTS = trees.ROOT / "tests/mutation/equivalents"
LAST = trees.HOME / "survivors.json"

# before, after: the lines that differ, without the spaces around them
Mutant = collections.namedtuple("Mutant", "file function line kind start end new before after")
# by: unit, sim, sanitized, system, timeout, or "" for one that survived; test: which one, or why
# none
Result = collections.namedtuple("Result", "mutant by test seconds")

# kinds of tests, what they need and how it is built
STAGES = [(["unit", "sim"], [trees.UNIT, trees.SIM], trees.PLAIN),
          (["sanitized"], [trees.SANITIZED_UNIT], trees.SANITIZED),
          (["system"], ["all", "build/tests/loops"], trees.PLAIN)]

mine = {}  # of a worker: its tree, the map


def squeezed(text):
    return " ".join(text.split())


def mutant_of(file, source, change):
    text = source.text
    first = text.rfind("\n", 0, change.start) + 1
    last = text.find("\n", change.end)
    before = text[first:last]
    after = text[first:change.start] + change.new + text[change.end:last]
    return Mutant(file, source.function_at(change.start), text.count("\n", 0, change.start) + 1, change.kind,
                  change.start, change.end, change.new, squeezed(before), squeezed(after))


def mutated(text, mutant):
    return text[:mutant.start] + mutant.new + text[mutant.end:]


class Deck:
    """Draws a line of a room, then a kind of change of it, then one such change; none twice."""

    def __init__(self, rooms, seed, explained):
        self.random, self.explained, self.drawn, self.lines = random.Random(seed), explained, set(), []
        for file in sorted(path for room in rooms for path in (trees.UNBROKEN / "src" / room).glob("*.c")):
            name = str(file.relative_to(trees.UNBROKEN))
            source = mutator.Source(file.read_text())
            by_line = collections.defaultdict(lambda: collections.defaultdict(list))
            for change in mutator.changes_of(source):
                mutant = mutant_of(name, source, change)
                by_line[mutant.line][mutant.kind].append(mutant)
            self.lines.extend(by_line.values())

    def draw(self, count):
        """Up to so many, fewer when the room has no more to give."""
        found, tries = [], 0
        while len(found) < count and tries < 50 * count + 1000:
            tries += 1
            kinds = self.random.choice(self.lines)
            mutant = self.random.choice(kinds[self.random.choice(sorted(kinds))])
            if mutant not in self.drawn and key_of(mutant) not in self.explained:
                self.drawn.add(mutant)
                found.append(mutant)
        return found


def key_of(mutant):
    """What `equivalents` knows it by: files move between rooms."""
    return mutant.file.rpartition("/")[2], mutant.function, mutant.before, mutant.after


def explained_changes():
    """The blocks of `equivalents`: file and function, the line before and after, the reason."""
    found, lines = {}, EQUIVALENTS.read_text().splitlines() if EQUIVALENTS.exists() else []
    for block in re.split(r"\n\s*\n", "\n".join(line for line in lines if not line.startswith("#"))):
        where, before, after, *reason = block.strip().splitlines() or [""] * 3
        if where:
            if not (before.startswith("- ") and after.startswith("+ ") and reason):
                sys.exit(f"{EQUIVALENTS}: not a file and function, - before, + after, a reason:\n{block}")
            file, function = where.split()
            found[file, function, squeezed(before[2:]), squeezed(after[2:])] = " ".join(reason)
    return found


# --- what workers do ---


def begin_worker(numbers):
    trees.adopt_orphans()
    trees.end_with_parent()
    mine["tree"] = trees.HOME / f"job{numbers.get()}"
    trees.sync(trees.UNBROKEN, mine["tree"], with_build=True)
    mine["reach"] = reach.Reach()


def break_source(mutant):
    path = mine["tree"] / mutant.file
    whole = (trees.UNBROKEN / mutant.file).read_text()
    path.write_text(mutated(whole, mutant))
    return path, whole


def changes_something(mutant):
    """Whether it compiles, and to something else."""
    made = mine["tree"] / "build/obj" / mutant.file.replace(".c", ".o")
    before = made.read_bytes()
    path, whole = break_source(mutant)
    done = trees.make(mine["tree"], str(made.relative_to(mine["tree"])))
    changed = done.code == 0 and made.read_bytes() != before
    path.write_text(whole)
    trees.make(mine["tree"], str(made.relative_to(mine["tree"])))
    return changed


def limit(seconds):
    return 30 + 4 * seconds


def noticed_by(test):
    """"timeout", or the kind of the test when it fails twice, or None."""
    tree, seconds = mine["tree"], mine["reach"].seconds[test]
    done = reach.run(tree, test, limit(seconds))
    if done.code == 0:
        return None
    kind, _, name = test.partition(" ")
    if done.code is not None:
        one = trees.failed_test(done) if kind == "system" else None
        done = trees.run_system(tree, one, limit(seconds)) if one else reach.run(tree, test, limit(seconds))
    return "timeout" if done.code is None else kind if done.code != 0 else None


def try_tests(tests, budget):
    """(kind of the notice or "", test, or what was not run)"""
    spent, unrun = 0, 0
    for test in tests:
        seconds = mine["reach"].seconds[test]
        if test.startswith("system") and spent > 0 and spent + seconds > budget:
            unrun += 1
            continue
        spent += seconds if test.startswith("system") else 0
        by = noticed_by(test)
        if by:
            return by, test
    return "", f"{unrun} system tests of {len(tests)} tests not run" if unrun else f"{len(tests)} tests"


def try_mutant(mutant, budget, until):
    """A result; None when the time is over before it has begun."""
    started = time.monotonic()
    if started >= until:
        return None
    path, whole = break_source(mutant)
    try:
        reached = mine["reach"].of(mutant.file, mutant.line)
        by, test = "", "no test reaches it"
        for kinds, targets, flags in STAGES:
            here = [test for test in reached if test.partition(" ")[0] in kinds]
            if by or not here or (budget == 0 and "system" in kinds):
                continue
            if trees.make(mine["tree"], *targets, flags=flags).code != 0:
                return Result(mutant, "unit", "does not build", time.monotonic() - started)
            by, test = try_tests(here, budget)
        return Result(mutant, by, test, time.monotonic() - started)
    finally:
        path.write_text(whole)


# --- the run ---


def draw_valid(deck, pool, count):
    """So many changes that compile to something else."""
    valid = []
    while len(valid) < count:
        drawn = deck.draw(count - len(valid))
        if not drawn:
            break
        valid += [mutant for mutant, good in zip(drawn, pool.map(changes_something, drawn)) if good]
    return valid


def mutants_again():
    """The survivors of the last run that the source still has, to see what new tests do to them."""
    found = []
    for file, function, before, after in json.loads(LAST.read_text()):
        if (trees.UNBROKEN / file).exists():
            source = mutator.Source((trees.UNBROKEN / file).read_text())
            found += [mutant for mutant in (mutant_of(file, source, change)
                                            for change in mutator.changes_of(source))
                      if (mutant.function, mutant.before, mutant.after) == (function, before, after)][:1]
    return found


def show(result):
    mutant = result.mutant
    return (f"{mutant.file}:{mutant.line} {mutant.function}: {mutant.kind}\n"
            f"- {mutant.before}\n+ {mutant.after}\n  {result.test}\n")


def report(results, out):
    by_room = collections.defaultdict(list)
    for result in results:
        by_room[result.mutant.file.split("/")[1]].append(result)
    survivors = [result for result in results if not result.by]
    for result in survivors:
        print(show(result), file=out)
    kinds = ["unit", "sim", "sanitized", "system", "timeout"]
    print("room         drawn" + "".join(f"{kind:>10}" for kind in kinds) + "  survived  noticed", file=out)
    for room, here in sorted(by_room.items()) + [("all", results)]:
        count = collections.Counter(result.by for result in here)
        share = 100 * (1 - count[""] / len(here)) if here else 100
        print(f"{room:12} {len(here):5}" + "".join(f"{count[kind]:10}" for kind in kinds)
              + f"{count['']:10} {share:6.1f} %", file=out)
    return survivors


def prepare(fresh, units_only):
    """The unbroken tree that workers copy, built as it is now, and the map."""
    trees.HOME.mkdir(parents=True, exist_ok=True)
    if fresh:
        reach.MAP.unlink(missing_ok=True)
    trees.sync(trees.ROOT, trees.UNBROKEN, with_build=False)
    print("building the unbroken tree", file=sys.stderr)
    trees.build_all(trees.UNBROKEN)
    trees.make(trees.UNBROKEN, trees.SANITIZED_UNIT, flags=trees.SANITIZED, jobs=2)
    print("finding which test reaches which line", file=sys.stderr)
    reach.complete_map(units_only)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", help="rooms of src, with commas between them; all but the cluster")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=40, help="how many changes (40)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at once")
    parser.add_argument("--budget", type=int, default=240, help="seconds of system tests for each change (240)")
    parser.add_argument("--minutes", type=int, default=10**6, help="begin no further change when so many are over")
    parser.add_argument("--units", action="store_true", help="unit tests and simulator alone")
    parser.add_argument("--again", action="store_true", help="only those that survived the last run")
    parser.add_argument("--fresh", action="store_true", help="find again which test reaches which line")
    return parser.parse_args()


def try_all(pool, mutants, chosen):
    budget = 0 if chosen.units else chosen.budget
    until = time.monotonic() + 60 * chosen.minutes
    tried = [pool.submit(try_mutant, mutant, budget, until) for mutant in mutants]
    results = []
    for done in concurrent.futures.as_completed(tried):
        if (result := done.result()) is not None:
            results.append(result)
            print(f"{len(results)}/{len(mutants)} {result.mutant.file}:{result.mutant.line} "
                  f"{result.mutant.kind}: {result.by or 'SURVIVED'} ({result.test}, "
                  f"{result.seconds:.0f} s)", file=sys.stderr, flush=True)
    return sorted(results)


def run(chosen, rooms):
    prepare(chosen.fresh, chosen.units)
    numbers = multiprocessing.Queue()
    for number in range(chosen.jobs):
        numbers.put(number)
    with concurrent.futures.ProcessPoolExecutor(chosen.jobs, initializer=begin_worker,
                                                initargs=(numbers,)) as pool:
        if chosen.again:
            mutants = mutants_again()
        else:
            mutants = draw_valid(Deck(rooms, chosen.seed, explained_changes()), pool, chosen.count)
        return try_all(pool, mutants, chosen)


def main():
    chosen = arguments()
    rooms = chosen.room.split(",") if chosen.room else trees.rooms()
    if unknown := set(rooms) - set(trees.rooms()):
        sys.exit(f"not a room that is tried: {', '.join(sorted(unknown))}; "
                 f"there are {', '.join(trees.rooms())}")
    if importlib.util.find_spec("pytest") is None:
        sys.exit(f"{sys.executable} has no pytest: use /usr/bin/python3, or make mutation")
    trees.adopt_orphans()
    survivors = report(run(chosen, rooms), sys.stdout)
    LAST.write_text(json.dumps([(r.mutant.file, r.mutant.function, r.mutant.before, r.mutant.after)
                                for r in survivors]))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
