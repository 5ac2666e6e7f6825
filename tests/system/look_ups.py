#!/usr/bin/python3
"""Look-ups of a name from this host, one after the other, until standard input ends.

Then it prints, as JSON, how many there were and how long they took, in milliseconds.
"""

import json
import select
import sys
import time

import wire


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def main():
    port, name = int(sys.argv[1]), sys.argv[2]
    took = []
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        began = time.monotonic()
        if wire.ask(port, wire.port_please(name), seconds=60)[:2] != b"w\0":
            sys.exit(f"{name} was not found")
        took.append((time.monotonic() - began) * 1000)
    took.sort()
    print(json.dumps({"count": len(took), "p50": percentile(took, 0.5), "p99": percentile(took, 0.99),
                      "longest": took[-1]}))


main()
