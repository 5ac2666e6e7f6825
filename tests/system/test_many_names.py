"""All names of a cluster are listed while there are as many as a directory takes.

The daemon makes the list piece by piece, so it needs no memory for it, and its own nodes are found
meanwhile. The names are those of members that run one after the other (tests/crowd): each brings as
many as one may have, and is killed. Its names stay, as it is only down.

    PORTOLAN_LONG   a million names instead of three members' names
"""

import os
import subprocess
import time
from pathlib import Path

import pytest

import wire
from daemon import BUILD, SANITIZED, WRAPPER
from deadlines import scaled, wait_for
from members import COOKIE, Members, free_base
from portolan_cli import clean_environment
from prober import Prober

CROWD = BUILD / "tests" / "crowd"
NAMES_OF_ONE = 32768
LIMIT = 1024 * 1024
MEMBERS = 31 if os.environ.get("PORTOLAN_LONG") else 3
GROWTH = 2 * 1024 * 1024  # bytes
LONGER = 0.1  # seconds, over the longest look-up while nothing else goes on


def memory(member, name):
    """Bytes: VmRSS, or VmHWM since `forget_peak`."""
    for line in Path(f"/proc/{member.process.pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def forget_peak(member):
    Path(f"/proc/{member.process.pid}/clear_refs").write_text("5\n")


def bring_names(member, number, directory, count=NAMES_OF_ONE):
    """A member comes with its names, and is gone when the daemon has them."""
    wanted = member.ask("cluster_status")["names"] + NAMES_OF_ONE
    cookie, data = directory / "cookie", directory / f"data{number}"
    data.mkdir()
    if not cookie.exists():
        cookie.touch(mode=0o400)
        cookie.chmod(0o600)
        cookie.write_text(COOKIE)
        cookie.chmod(0o400)
    with open(directory / "crowd", "w") as log:
        crowd = subprocess.Popen([CROWD, f"crowd{number}@127.0.0.1", member.name, str(member.base), cookie, data,
                                  str(count)], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert crowd.stdout.readline() == "joined\n", (directory / "crowd").read_text()
        wait_for(lambda: member.ask("cluster_status")["names"] == wanted, 60, f"{wanted} names")
    finally:
        crowd.kill()
        crowd.wait()
        crowd.stdout.close()


@pytest.mark.skipif(not CROWD.exists(), reason="tests/crowd is not built")
def test_a_list_of_all_names_costs_no_memory_and_delays_no_look_up(tmp_path):
    with Members(tmp_path) as members:
        member = members.add("p1@127.0.0.1", base=free_base(1), cluster__autoclean="1h", log__level="info")
        member.start()
        with member.register("rabbit", 40000):
            began = time.monotonic()
            for number in range(MEMBERS):
                bring_names(member, number + 100, tmp_path)
            brought = time.monotonic() - began
            names = member.ask("cluster_status")["names"]
            assert MEMBERS * NAMES_OF_ONE < names <= LIMIT
            with Prober(member.port, "rabbit") as idle:
                time.sleep(scaled(2))
            resident = memory(member, "VmRSS")
            forget_peak(member)
            with Prober(member.port, "rabbit") as busy, open(tmp_path / "list", "w") as out:
                began = time.monotonic()
                subprocess.run(member.command("names", "--cluster"), env=clean_environment(), stdout=out,
                               check=True, timeout=scaled(120))
                took = time.monotonic() - began
            grown = memory(member, "VmHWM") - resident
            print(f"{names} names, brought in {brought:.1f} s, listed in {took:.1f} s: the daemon has "
                  f"{resident >> 20} MiB and grew by {grown >> 10} KiB; the longest of {busy.count} look-ups took "
                  f"{busy.longest * 1000:.1f} ms, and of {idle.count} while it was idle {idle.longest * 1000:.1f} ms")
            with open(tmp_path / "list") as listed:
                assert sum(1 for _ in listed) == names + 1  # and the head
            if not (WRAPPER or SANITIZED):
                assert grown <= GROWTH
            assert busy.longest <= idle.longest + scaled(LONGER)
