"""The tables and lines that `portolan` makes of replies, whole, as they were read and recorded in
corpus/tables.txt.

    PORTOLAN_RECORD=1   record what is printed now: read the difference before it is committed
"""

import os
import pty
import subprocess
from pathlib import Path

from deadlines import scaled
from fake_control import ok
from portolan_cli import ask, clean_environment, control, words  # noqa: F401

RECORDED = Path(__file__).with_name("corpus") / "tables.txt"
AT = "2026-03-01T10:20:30.123Z"
PORTS = {"policy": "any", "enforce": False, "min": 6369, "max": 7369, "tools_min": None, "base": 4370}
STATUS = {
    "version": "0.2.0", "node": "portolan@192.0.2.1", "pid": 4711, "started_at": AT, "uptime_s": 3725,
    "listeners": [{"address": "0.0.0.0:4370", "role": "front"}, {"address": "0.0.0.0:4369", "role": "epmd"}],
    "names": 3, "leases": 5, "connections": {"registered": 3, "waiting": 1}, "ports": PORTS,
    "counters": {"accepted": 17, "requests": 16, "refused": 2, "shed": 0, "timed_out": 1, "limited": 0},
    "control": {"connected": 1, "waiting": 0, "accepted": 5, "busy": 0},
    "loop": {"longest_turn_ms": 10.06, "long_turns": 1},
    "front": {"proxy": True, "streams": 2, "counters": {"opened": 5, "not_owned": 1},
              "ports": [{"port": 4370, "names": ["rabbit", "hare"]}, {"port": 4371, "names": ["emqx-1"]}],
              "lookups": {"waiting": 0, "held": 3}},
}
BARE = {
    **{key: value for key, value in STATUS.items() if key not in ("control", "loop")}, "listeners": [], "names": 0,
    "leases": 0, "front": None, "connections": {}, "uptime_s": 17,
    "ports": {**PORTS, "policy": "range", "enforce": True, "tools_min": 7360},
}
NAME = {"name": "rabbit", "port": 25672, "front_port": 4370, "type": "normal", "creation": 7, "since_s": 90}
LEASE = {"name": "rabbit", "port": 6369, "held": True, "front": False, "user": 998, "conflicts_with": None,
         "expires_in_ms": None}
EVENTS = [
    {"event": "registered", "name": "rabbit", "port": 25672, "creation": 7, "type": "normal"},
    {"event": "unregistered", "name": "rabbit", "port": 25672, "creation": 7, "reason": "it went"},
    {"event": "refused", "what": "registration", "name": "a", "port": 1, "reason": "taken", "peer": "192.0.2.2:5"},
    {"event": "no_front_port", "name": "emqx-1", "port": 6369, "front_port": 4371, "reason": "taken", "holder": "nginx"},
    {"event": "lease_ended", "name": "rabbit", "port": 6369, "reason": "moved", "other_port": 25672, "other_name": "t"},
    {"event": "member_down", "member": "b@s2.x", "cause": "silent"},
    {"event": "name_registered", "member": "b@s2.x", "name": "rabbit@s2.x", "port": 6369},
    {"event": "join_failed", "member": "b@s2.x", "cause": "refused", "reason": "nobody listens"},
    {"event": "directory_full", "member": "b@s2.x", "name": "a\x1b[31m@s2.x", "port": 6369},
]
SCREENS = [
    ("status", {"status": ok(**STATUS)}),
    ("status", {"status": ok(**BARE)}),
    ("status", {"status": ok(**{**STATUS, "front": {**STATUS["front"], "proxy": False, "ports": []}})}),
    ("names", {"names": ok(names=[NAME, {**NAME, "name": "hidden", "front_port": None, "type": "hidden", "since_s": 5}])}),
    ("names", {"names": ok(names=[])}),
    ("names --cluster", {"names": ok(names=[
        {**NAME, "host": "s1.x", "member": "a@s1.x", "member_state": "alive"},
        {**NAME, "name": "hare", "host": "s2.x", "front_port": None, "member": "b@s2.x", "member_state": "down"}])}),
    ("leases", {"leases": ok(leases=[
        LEASE,
        {**LEASE, "name": "emqx", "port": 6370, "held": False, "user": 0, "expires_in_ms": 51230},
        {**LEASE, "name": "emqx-2001", "port": 6371, "held": False, "front": True, "user": None},
        {**LEASE, "name": "t", "conflicts_with": "rabbit", "user": None}])}),
    ("leases", {"leases": ok(leases=[])}),
    ("reload", {"reload": ok(applied=["log.level"], restart=["epmd.port"])}),
    ("reload", {"reload": ok(applied=[], restart=[])}),
    ("watch", {"watch": [ok(), *({"v": 1, "at": AT, **event} for event in EVENTS)]}),
]


def printed(control, words_of_call, replies):  # noqa: F811
    fake = control(replies, closing=["watch"])
    call = ask(fake, *words_of_call.split())
    text = f"$ portolan {words_of_call}\n{call.stdout}{call.stderr}exit code {call.returncode}\n\n"
    return text.replace(str(fake.path), "SOCKET")


def test_tables_are_as_they_were_recorded(control):  # noqa: F811
    text = "".join(printed(control, *screen) for screen in SCREENS)
    if "PORTOLAN_RECORD" in os.environ:
        RECORDED.write_text(text)
    assert text == RECORDED.read_text()


GREEN, RED = "\x1b[32m", "\x1b[31m"


def colours_of(control, *events):  # noqa: F811
    """Event -> the colour that it has on a terminal."""
    fake = control({"watch": [ok(), *({"v": 1, "at": AT, "event": event} for event in events)]}, closing=["watch"])
    master, terminal = pty.openpty()
    process = subprocess.Popen(words("--socket", fake.path, "watch"), env=clean_environment(TERM="xterm"),
                               stdin=subprocess.DEVNULL, stdout=terminal, stderr=subprocess.DEVNULL)
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # the end of a terminal
        pass
    os.close(master)
    process.wait(timeout=scaled(10))
    lines = shown.decode().splitlines()
    return {event: next((colour for colour in (GREEN, RED) if colour in line), None)
            for event, line in zip(events, lines, strict=True)}


def test_an_event_has_the_colour_of_what_it_means(control):  # noqa: F811
    good = ("registered", "leased", "name_registered", "member_up", "member_joined", "path_healed", "split_healed",
            "join_done", "front_port_given")
    bad = ("refused", "member_down", "member_suspect", "path_broken", "split_seen", "join_failed", "name_clash",
           "directory_full", "no_front_port")
    plain = ("unregistered", "lease_ended", "member_left", "port_shared")
    assert colours_of(control, *good, *bad, *plain) == {
        **dict.fromkeys(good, GREEN), **dict.fromkeys(bad, RED), **dict.fromkeys(plain)}
