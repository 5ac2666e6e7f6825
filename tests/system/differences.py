"""What we do otherwise than stock epmd, on purpose: each with its reason, its cases, and what ours
then does.

An entry whose difference is no more seen is stale, and the comparison fails.
"""

import struct
from dataclasses import dataclass

from scenario import (
    Case,
    dial,
    hang_up,
    hear,
    hear_end,
    hear_reply,
    restart,
    say,
    survival_of_daemon,
    until_gone,
)
from wire import alive, names, port_please, stop

CROWD = 1100
FEW_DESCRIPTORS = 64
LIVES = 20


@dataclass(frozen=True)
class Difference:
    title: str
    reason: str


MANY_CONNECTIONS = Difference(
    "more than 1,000 connections",
    "stock waits with select, which knows no more descriptors than that",
)
NO_EXIT = Difference(
    "no exit when descriptors run out", "stock exits, and all its nodes are lost to their clusters"
)
REFUSED_CLOSED = Difference(
    "a refused registration is closed after the packet timeout",
    "stock keeps its connection for ever",
)
NOEXIST_ALONE = Difference(
    "NOEXIST alone", "stock answers NOEXISTSTOPPED when an unknown name is stopped"
)
EMPTY_NAME = Difference(
    "an empty name is refused",
    "stock registers it when something follows, and nobody can look it up",
)
NO_LINE = Difference(
    "a name with a control character is in no list",
    "stock lists it, and with an end of line in it, it is several names with any ports",
)
LONGEST_NAME_FOUND = Difference(
    "a name of 255 characters is found",
    "stock registers and lists it, but closes when it is looked up",
)
CREATION_KEPT = Difference(
    "no creation is repeated after a restart",
    "stock seeds them from the clock alone, in whole seconds",
)

ACCEPTED = r"b'v\x00' <32-bit creation, {}> b''"
REFUSED = r"b'v\x01\x00\x00\x00c'"


def crowd(count):
    return [dial(f"idle{number}") for number in range(count)]


def one_life(name):
    return [say(alive(name)), hear_reply(6), hang_up(), until_gone(name)]


def cases():
    yield Case(
        "a look-up while 1,100 others are connected",
        crowd(CROWD) + [say(port_please("nobody")), hear_end()],
        own=True,
        differs=MANY_CONNECTIONS,
        ours=["a: b'w\\x01' then EOF"],
    )
    yield Case(
        "100 connections to a daemon with 64 descriptors",
        crowd(100) + [say(port_please("nobody")), hear_end(), survival_of_daemon()],
        own=True,
        descriptors=FEW_DESCRIPTORS,
        differs=NO_EXIT,
        ours=["a: b'w\\x01' then EOF", "-: the daemon lives"],
    )
    yield Case(
        "a refused registration that waits",
        [
            say(alive("a")),
            hear_reply(6),
            say(alive("a", port=2), "b"),
            hear_reply(6, "b"),
            hear("b", 3),
            hear(),
        ],
        own=True,
        flags=("-packet_timeout", "1"),
        differs=REFUSED_CLOSED,
        ours=[
            "a: " + ACCEPTED.format("first"),
            "b: " + REFUSED,
            "b: b'' then EOF",
            "a: b'' then open",
        ],
    )
    for title, name in (
        ("nobody", "nobody"),
        ("a name of 256", "a" * 256),
        ("invalid UTF-8", b"\xff"),
        ("a name longer by one", "ab"),
    ):
        yield Case(
            f"relaxed: stop {title}",
            [say(alive("a")), hear_reply(6), say(stop(name), "q"), hear("q"), hear()],
            own=True,
            flags=("-relaxed_command_check",),
            differs=NOEXIST_ALONE,
            ours=["a: " + ACCEPTED.format("first"), "q: b'NOEXIST' then EOF", "a: b'' then open"],
        )
    for title, fields in (
        ("and an extra", {"extra": b"x"}),
        ("and bytes after it", {"after": b"x"}),
        ("in version 5", {"highest": 5, "extra": b"x"}),
    ):
        yield Case(
            f"an empty name {title}",
            [say(alive("", **fields)), hear(), say(names(), "q"), hear("q")],
            own=True,
            differs=EMPTY_NAME,
            ours=["a: b'' then EOF", "q: <own port> b'' then EOF"],
        )
    for title, name in (
        ("an end of line", "a at port 1\nname rabbit"),
        ("an escape", "\x1b[2Ja"),
        ("a tab", "tab\t"),
    ):
        yield Case(
            f"a list with {title} in a name",
            [say(alive(name)), hear_reply(6), say(names(), "q"), hear("q")],
            own=True,
            differs=NO_LINE,
            ours=["a: " + ACCEPTED.format("first"), "q: <own port> b'' then EOF"],
        )
    for width, letter in enumerate(("a", "\u00e9", "\u20ac", "\U0001f600"), start=1):
        name = (letter * 255).encode()
        found = b"w\0" + struct.pack(">HBBHHH", 40000, 77, 0, 6, 5, len(name)) + name + b"\0\0"
        for title, asked in (("", name), (" with a NUL", name + b"\0")):
            yield Case(
                f"255 {width}-byte characters looked up{title}",
                [
                    say(port_please(asked), "before"),
                    hear_end("before"),
                    say(alive(name)),
                    hear_reply(6),
                    say(port_please(asked), "after"),
                    hear_end("after"),
                ],
                own=True,
                differs=LONGEST_NAME_FOUND,
                ours=[
                    "before: b'w\\x01' then EOF",
                    "a: " + ACCEPTED.format("first"),
                    f"after: {found!r} then EOF",
                ],
            )
    yield Case(
        "a name that comes back many times, and again after a restart",
        (one_life("a") * LIVES) + [restart()] + (one_life("a") * LIVES),
        own=True,
        differs=CREATION_KEPT,
        ours=["a: " + ACCEPTED.format("first"), "-: gone"]
        + ["a: " + ACCEPTED.format("another"), "-: gone"] * (2 * LIVES - 1),
    )
