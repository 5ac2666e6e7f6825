#!/usr/bin/python3
"""Attacks on a running daemon, each bounded in time, and what its users feel meanwhile.

For each attack, in each round: the daemon starts on a host of its own, a node looks a local name up
every few milliseconds, first undisturbed and then while the attack goes on. The bar of the design
is on what the attack adds to the machine's own idle figures, as medians of the rounds:

    p99.9 of a look-up      at most 20 ms more
    the longest look-up     at most 100 ms more
    a turn of the loop      at most 10 ms, by the daemon's own figure

The exit status tells whether everything worked (the daemon lived, and answered), never whether a
figure was good enough on this machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import attacks_control
import attacks_names
import attacks_network
import attacks_streams
from lab import BUILD, NOBODY, Failure, Lab, in_child

PROBE_INTERVAL_US = 2000
P999_MS, LONGEST_MS, TURN_MS = 20, 100, 10

ATTACKS = [*attacks_names.ATTACKS, *attacks_control.ATTACKS, *attacks_streams.ATTACKS, *attacks_network.ATTACKS]


class Probe:
    """Look-ups of rabbit while the block runs; `figures` afterwards."""

    def __init__(self, lab):
        self.lab, self.figures = lab, None

    def __enter__(self):
        with self.lab.here.entered():
            # before others in the queue for a CPU: what is measured is the daemon, not this
            # process's turn
            self.process = subprocess.Popen([str(BUILD / "attack" / "probe"), str(self.lab.port), "rabbit", str(PROBE_INTERVAL_US)],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                            preexec_fn=lambda: os.nice(-10))
        return self

    def __exit__(self, *_):
        output, _ = self.process.communicate(timeout=30)
        if self.process.returncode != 0:
            raise Failure("the probe failed")
        self.figures = json.loads(output)


def measure(lab, attack, seconds):
    """One round: the figures before and during the attack."""
    with Probe(lab) as idle:
        time.sleep(seconds / 2)
    memory, descriptors, cpu = lab.memory_kib(), lab.descriptors(), lab.cpu_seconds()
    host, user = (lab.there, 0) if attack.stranger else (lab.here, 0 if attack.root else NOBODY)
    begun = time.monotonic()
    with in_child(lambda ready: attack.work(lab, ready), host, user) as started:
        os.read(started, 1)  # it has begun
        with Probe(lab) as under:
            time.sleep(seconds)
        memory_peak, cpu_used = lab.memory_kib(), lab.cpu_seconds() - cpu
        descriptors_peak = lab.descriptors()
        problem = attack.check(lab) if attack.check else None
    if lab.process.poll() is not None:
        raise Failure(f"the daemon ended with {lab.process.returncode}")
    turn = lab.status().get("loop", {}).get("longest_turn_ms")
    return {"idle": idle.figures, "under": under.figures, "memory_kib": [memory, memory_peak],
            "descriptors": [descriptors, descriptors_peak], "cpu": cpu_used / (time.monotonic() - begun), "turn_ms": turn,
            "problem": problem}


def run_once(attack, seconds):
    with Lab(attack.settings, **attack.lab) as lab:
        if attack.prepare is None:
            return measure(lab, attack, seconds)
        with attack.prepare(lab):
            return measure(lab, attack, seconds)


def median(rounds, pick):
    values = [pick(one) for one in rounds]
    return None if None in values else statistics.median(values)


def verdict(rounds, attack):
    """What was added, and whether that is within the bar."""
    p999 = median(rounds, lambda one: (one["under"]["p999_us"] - one["idle"]["p999_us"]) / 1000)
    longest = median(rounds, lambda one: (one["under"]["longest_us"] - one["idle"]["longest_us"]) / 1000)
    turn = median(rounds, lambda one: one["turn_ms"])
    missed = [what for what, value, bar in (("p99.9", p999, P999_MS), ("longest", longest, LONGEST_MS), ("turn", turn, TURN_MS))
              if value is not None and value > bar]
    if attack.cpu_bar is not None and median(rounds, lambda one: one["cpu"]) > attack.cpu_bar:
        missed.append("CPU")
    if any(one["under"]["failed"] for one in rounds):
        missed.append("look-ups failed")
    missed += sorted({one["problem"] for one in rounds if one["problem"]})
    return missed


def print_attack(attack, rounds):
    def row(label, kind):
        figures = [median(rounds, lambda one, key=key: one[kind][key]) / 1000 for key in ("p50_us", "p99_us", "p999_us", "longest_us")]
        print(f"    {label:<7}" + "".join(f"{name} {value:9.2f} ms   " for name, value in zip(("p50", "p99", "p99.9", "longest"), figures)))

    last = rounds[-1]
    print(f"{attack.name}: {attack.what}")
    row("idle", "idle")
    row("attack", "under")
    turn = median(rounds, lambda one: one["turn_ms"])
    print(f"    memory {last['memory_kib'][0] / 1024:.1f} -> {last['memory_kib'][1] / 1024:.1f} MiB, descriptors "
          f"{last['descriptors'][0]} -> {last['descriptors'][1]}, CPU {median(rounds, lambda one: one['cpu']) * 100:.0f} %, longest turn "
          + ("not told" if turn is None else f"{turn:.1f} ms"))
    missed = verdict(rounds, attack)
    print("    " + ("within the bar" if not missed else "NOT MET: " + ", ".join(missed)), flush=True)
    return not missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which attacks; all without any", metavar="ATTACK")
    parser.add_argument("--list", action="store_true", help="list them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="how long each attack goes on in a round")
    options = parser.parse_args()
    known = {attack.name: attack for attack in ATTACKS}
    if options.list:
        for attack in ATTACKS:
            print(f"{attack.name:<22} {attack.what}")
        return 0
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"unknown attack {unknown[0]}; --list lists them")
    if os.geteuid() != 0:
        print("attack: this needs root, to make hosts and to become other users", file=sys.stderr)
        return 1
    met = failed = 0
    chosen = [known[name] for name in options.names] or ATTACKS
    for attack in chosen:
        try:
            met += print_attack(attack, [run_once(attack, options.seconds) for _ in range(options.rounds)])
        except (Failure, OSError) as problem:
            failed += 1
            print(f"{attack.name}: FAILED: {problem}", flush=True)
    print(f"attack: {len(chosen)} attacks, {met} within the bar, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
