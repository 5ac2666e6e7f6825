"""The daemon as process 1, as in a container: it is handed every process whose parent has ended."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from daemon import environment, free_port
from deadlines import scaled, wait_for
from members import COOKIE, PORTOLAND, Members
from portoland import Control

# A shell that starts orphans, some of which end before it becomes the daemon.
BEGIN = '(sleep 0.01 &) ; (sleep 0.01 &); (sleep 1 &); sleep 0.2; exec "$@"'


def why_impossible():
    call = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, text=True)
    return f"process namespaces: {call.stderr.strip()}" if call.returncode else None


@contextlib.contextmanager
def as_process_one(directory, *flags):
    """The daemon's process id as seen from here, and its control socket."""
    if reason := why_impossible():
        pytest.skip(reason)
    socket = directory / "control"
    log = directory / "log"
    with open(log, "ab") as out:
        outer = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", BEGIN, "sh", PORTOLAND, "-d",
             *flags],
            env=environment(directory, PORTOLAN_CONTROL__SOCKET=socket),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(lambda: outer.poll() is not None or answers(socket), 20, log.read_text)
        assert outer.poll() is None, log.read_text()
        (pid,) = children(outer.pid)
        yield pid, socket
        os.kill(pid, signal.SIGTERM)
        assert outer.wait(scaled(20)) == 0, log.read_text()
    finally:
        if outer.poll() is None:
            outer.kill()
            outer.wait()


def answers(socket):
    try:
        with Control(str(socket)) as control:
            return control.ask("status")["ok"]
    except (OSError, TypeError):
        return False


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def start_orphan_in(pid):
    """A process of the daemon's namespace whose parent ends at once."""
    script = "(sleep 0.05 & sleep 0.05 &)"
    subprocess.run(["nsenter", "--pid", "--target", str(pid), "sh", "-c", script], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_orphans_are_reaped(tmp_path):
    with as_process_one(tmp_path, "--set", f"node.dist_base_port={free_port()}") as (pid, socket):
        wait_for(lambda: children(pid) == [], 10, lambda: f"the end of {children(pid)}")
        for _ in range(3):
            start_orphan_in(pid)
        wait_for(lambda: children(pid) == [], 10, lambda: f"the end of {children(pid)}")
        assert answers(socket)


def test_the_program_of_events_keeps_its_children(tmp_path):
    """Its runs end as they do elsewhere: one after the other, with their exit codes told."""
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\n(sleep 0.01 &)\necho "$1 $2" >>{tmp_path}/told\nexit 3\n')
    program.chmod(0o755)
    with Members(tmp_path) as members:
        other, first = members.on_loopback(2)
        first.stop()
        flags = (f"node.name={first.name}", f"node.dist_base_port={first.base}",
                 f"node.cookie={COOKIE}", f"cluster.on_event={program}")
        words = [word for flag in flags for word in ("--set", flag)]
        with as_process_one(tmp_path, *words) as (pid, socket):
            with Control(str(socket)) as control:  # each of these is an event
                control.request("cluster_join", node=other.name)
                while "progress" in (reply := control.reply()):
                    pass
                assert reply["ok"], reply
                assert control.ask("cluster_leave")["ok"]
            log = tmp_path / "log"
            wait_for(lambda: log.read_text().count("event_program_failed") >= 2, 20, log.read_text)
            assert "exit_code=3" in log.read_text()
            wait_for(lambda: children(pid) == [], 10, lambda: f"the end of {children(pid)}")
