#!/usr/bin/python3
"""Shows that the simulator can see: breaks the code on purpose, one way at a time, and runs it.

Each mutation is a text that is replaced in one file of a temporary copy of the source. It is caught
when a seed fails within the bound below, or else a scenario. A mutation that nothing catches fails
the run, and so does one whose text is no longer in the source.

usage: tests/sim/mutations.py [NAME ...]
"""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

SEEDS = 2000
SECONDS = 120
ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ["-std=c11", "-O2", "-D_GNU_SOURCE", "-Isrc", "-w"]

# name, file, what is there, what is put in its place
MUTATIONS = [
    ("skip the incarnation check", "src/cluster/membership.c",
     "return a.incarnation < b.incarnation ? 1 : -1;",
     "return 1;"),
    ("forget tombstones at a restart", "src/cluster/saved_state.c",
     "if (cluster->membership.ring[i] != cluster->self)",
     "if (cluster->membership.ring[i] != cluster->self && "
     "!member_is_tombstone(cluster->membership.ring[i]))"),
    ("let living records beat tombstones", "src/cluster/membership.c",
     "return a.ended < b.ended ? 1 : -1;",
     "return a.ended < b.ended ? -1 : 1;"),
    ("tombstones end only the incarnation, not the membership", "src/cluster/membership.c",
     "return (struct rank){.stamp = joined, .incarnation",
     "return (struct rank){.stamp = incarnation, .incarnation"),
    ("drop anti-entropy", "src/cluster/anti_entropy.c",
     "if (theirs == summary_of(cluster))",
     "if (true)"),
    ("lose the front port on the way", "src/cluster/wire.c",
     "node->front_port = read_u16(reader);",
     "read_u16(reader);"),
    ("accept an older sequence", "src/names/directory.c",
     "if (directory_version_compare(version, owner->version) <= 0)\n        return DIRECTORY_OLD;",
     "if (version.generation < owner->version.generation)\n        return DIRECTORY_OLD;\n"
     "    if (version.generation == owner->version.generation)\n        return DIRECTORY_APPLIED;"),
    ("overlook a gap in the sequence", "src/names/directory.c",
     "return next ? DIRECTORY_APPLIED : DIRECTORY_GAP;",
     "return DIRECTORY_APPLIED;"),
    ("suspect without asking", "src/cluster/failure_detector.c",
     "if (peer->probes_awaited == 0) {",
     "if (true) {"),
    ("ask over the very path that is silent", "src/cluster/failure_detector.c",
     "if (!link_is_established(link) || !peer_is_responsive(cluster, link->peer))",
     "if (!link_is_established(link))"),
    ("never refute", "src/cluster/merge.c",
     "if (forgot_join || suspected) {",
     "if (forgot_join) {"),
    ("keep the names of a dead life", "src/names/directory.c",
     "    owner_clear(owner);\n    owner->version = (struct directory_version){.generation = generation};",
     "    owner->version = (struct directory_version){.generation = generation};"),
    ("leave without a word", "src/cluster/leave.c",
     "    reset_announce_leave(cluster, NULL);\n",
     ""),
    ("do not hear that one is out", "src/cluster/merge.c",
     "        leave_as_ended(cluster, (enum cluster_state)record->state, record->incarnation);\n",
     ""),
    ("rejoin with the old number", "src/cluster/join.c",
     "cluster->self->joined = prior_join > 0 ? prior_join : cluster->self->generation;",
     "cluster->self->joined = prior_join;"),
    ("join without clearing", "src/cluster/join.c",
     "    reset_forget_cluster(cluster, link);\n    self_new_generation(",
     "    self_new_generation("),
    ("both of two who join each other go over", "src/cluster/handshake.c",
     "return strcmp(cluster->self->name, link->peer->name) < 0 ? PEER_JOINS : WE_JOIN;",
     "return PEER_JOINS;"),
    ("do not look for cleaned members", "src/cluster/autoheal.c",
     "if (member->state != CLUSTER_DOWN && member->state != CLUSTER_CLEANED)",
     "if (member->state != CLUSTER_DOWN)"),
    ("clean without a last call", "src/cluster/autoclean.c",
     "    if (is_tried_once_more(cluster, member))\n        return;\n",
     ""),
    ("no autoheal", "src/cluster/autoheal.c",
     "if (!cluster->autoheal || try_some(cluster) == 0) {",
     "if (true) {"),
    ("hold silence against others after starvation", "src/cluster/failure_detector.c",
     "        peer->last_seen_ms += lost_ms;\n",
     ""),
    ("suspect after a second", "src/cluster/context.h",
     "#define SILENCE_MS 3000",
     "#define SILENCE_MS 1100"),
    ("discovery does not rest", "src/cluster/handshake.c",
     "(cluster->discovery_paused ? WIRE_FLAG_DISCOVERY_PAUSED : 0)",
     "0"),
    ("merged clusters keep their identities", "src/cluster/identity.c",
     "if (identity_compare(id, cluster->id) >= 0)",
     "if (true)"),
    ("do not gossip", "src/cluster/gossip.c",
     "        if (link_is_established(link))\n            flush_to(cluster, link);",
     "        if (link_is_established(link) && cluster->gossip[0].from == NULL)\n"
     "            flush_to(cluster, link);"),
    ("do not pass changes of names on", "src/cluster/replication.c",
     "        pass_on(cluster, link, change);\n        break;",
     "        break;"),
    ("believe the clock after a restart", "src/cluster/saved_state.c",
     "    if (*incarnation <= head.reserve && !cluster_is_far_ahead(cluster, head.reserve))\n"
     "        *incarnation = head.reserve + 1;\n",
     ""),
    ("forget the own join at a restart", "src/cluster/saved_state.c",
     "    cluster->self->joined = head.joined;\n",
     ""),
    ("do not follow a claim", "src/cluster/handshake.c",
     "cluster->prior_joins_followed < PRIOR_JOINS_MAX",
     "false"),
    ("believe others against one's own ears", "src/cluster/merge.c",
     "if (order > 0 && contradicted_by_link(cluster, member, record, from))",
     "if (false)"),
    ("believe numbers of any height", "src/cluster/context.c",
     "return number >= WIRE_NUMBER_MAX || number > cluster_clock(cluster) + AHEAD_MAX;",
     "return false;"),
    ("let a joiner give up what it has for a full list", "src/cluster/handshake.c",
     "if (wants_in(cluster, link, hello) && !merge_has_place_for(cluster, hello->name))",
     "if (false)"),
    ("stay half in where there was no room", "src/cluster/receive.c",
     "        join_no_room(cluster, link);\n",
     "        ;\n"),
    ("count a pull for ever whose member left", "src/cluster/transitions.c",
     "    member->owner = NULL;\n    replication_pull_done(member);",
     "    member->owner = NULL;\n    member->pulling = NULL;"),
]


# The same, for what nothing but cluster_check sees: with the check blinded they pass unnoticed.
SEEN_BY_THE_CHECK_ALONE = [
    ("names are pulled of a member that has ended", "src/cluster/transitions.c",
     "    member->owner = NULL;\n    replication_pull_done(member);\n",
     "    member->owner = NULL;\n"),
    ("a join that has ended is still adopted", "src/cluster/join.c",
     "    cluster->join = NULL;\n    cluster->join_adopted = false;\n",
     "    cluster->join = NULL;\n"),
    ("links take names over for a join that has ended", "src/cluster/join.c",
     "        link->join_sync = false;\n",
     "        (void)link;\n"),
    ("a cleaned member keeps its names", "src/cluster/autoclean.c",
     "    transition_drop_names(cluster, member);\n",
     ""),
    ("the last call before cleaning is never made again", "src/cluster/transitions.c",
     "    if (before != now)\n        member->last_call_made = false;\n",
     ""),
]
CHECK = ("src/cluster/check.c", "    const char *wrong = check_self(cluster);",
         "    if (cluster != NULL)\n        return NULL;\n    const char *wrong = check_self(cluster);")


def run(command, cwd, **more):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)


def sources(tree):
    rooms = ["src/base", "src/erlang", "src/names", "src/cluster", "tests/sim"]
    impure = {"clock.c", "log.c", "turn_budget.c"}
    return [path.relative_to(tree) for room in rooms for path in sorted((tree / room).glob("*.c"))
            if path.name not in impure]


def build(tree, only=None):
    """Compiles what `only` touches (a header: everything) and links; None when it does not
    compile."""
    objects = []
    for source in sources(tree):
        target = tree / "objects" / (str(source).replace("/", "_") + ".o")
        objects.append(str(target))
        if only is None or only.endswith(".h") or str(source) == only:
            alloc_failures = ["-include", "tests/sim/alloc_failures.h"] if str(source).startswith("src/") else []
            made = run(["gcc", *FLAGS, *alloc_failures, "-c", str(source), "-o", str(target)], tree)
            if made.returncode != 0:
                sys.exit(f"{only or 'the source'} does not compile:\n{made.stdout}")
    made = run(["gcc", "-o", "sim", *objects], tree)
    if made.returncode != 0:
        sys.exit(made.stdout)


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


def bounded(tree, arguments):
    try:
        return run(["./sim", *arguments], tree, timeout=SECONDS, preexec_fn=limit_memory)
    except subprocess.TimeoutExpired:
        return None


def caught_by(tree):
    """How the simulator saw it: text, or None."""
    done = bounded(tree, ["--seeds", str(SEEDS), "--seeds-only", "--stop-after", "1"])
    if done is None:
        return f"no end within {SECONDS} s"
    if done.returncode not in (0, 1):
        return f"signal {-done.returncode}"
    failed = re.search(r"seed (\d+) failed: at [\d.]+ s: ([^:\n]*)", done.stdout)
    if failed:
        return f"seed {failed.group(1)}: {failed.group(2)}"
    done = bounded(tree, ["--scenarios"])
    if done is None:
        return f"no end within {SECONDS} s"
    failed = re.search(r"^(\w+): not so", done.stdout, re.MULTILINE)
    return f"scenario: {failed.group(1)}" if failed else None


@contextlib.contextmanager
def broken(tree, file, old, new):
    """The tree with one text replaced; it must be there."""
    path = tree / file
    text = path.read_text()
    if old not in text:
        raise LookupError("its text is not in the source")
    path.write_text(text.replace(old, new, 1))
    build(tree, file)
    try:
        yield
    finally:
        path.write_text(text)
        build(tree, file)


def judge(tree, mutation, needs_check):
    """Whether it was caught as it is to be, and how."""
    try:
        with broken(tree, *mutation[1:]):
            seen = caught_by(tree)
            if seen is None or not needs_check:
                return seen is not None, seen or "NOT CAUGHT"
            with broken(tree, *CHECK):
                otherwise = caught_by(tree)
            return otherwise is None, f"{seen}; without the check: {otherwise or 'nothing'}"
    except LookupError as error:
        return False, str(error)


def main():
    wanted = sys.argv[1:]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        tree = pathlib.Path(temporary)
        shutil.copytree(ROOT / "src", tree / "src")
        shutil.copytree(ROOT / "tests/sim", tree / "tests/sim")
        os.mkdir(tree / "objects")
        build(tree)
        if caught_by(tree) is not None:
            sys.exit("the unbroken code fails: run build/tests/sim first")
        for mutation in MUTATIONS + SEEN_BY_THE_CHECK_ALONE:
            if wanted and mutation[0] not in wanted:
                continue
            good, seen = judge(tree, mutation, mutation in SEEN_BY_THE_CHECK_ALONE)
            passed, failed = passed + good, failed + (not good)
            print(f"{mutation[0]:56} {seen}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
