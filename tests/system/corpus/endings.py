"""How clients leave: early, late, half or with a reset, and what becomes of the name."""

from corpus.common import fresh
from scenario import (
    Case,
    dial,
    finish,
    hang_up,
    hear,
    hear_reply,
    reset,
    say,
    say_in_pieces,
    survival_of_daemon,
    until_gone,
)
from wire import alive, frame, port_please


def cases():
    yield from registered_connections()
    yield from half_closes()
    yield from early_goodbyes()


def registered_connections():
    for title, data in (
        ("a NUL", b"\0"),
        ("one byte", b"x"),
        ("two bytes", b"\0\1"),
        ("a whole request", port_please("a")),
        ("a length of 0", b"\0\0"),
        ("3,000 bytes", b"x" * 3000),
        ("10,000 bytes", b"x" * 10000),
    ):
        for version, size in ((5, 4), (6, 6)):
            name = fresh()
            yield Case(
                f"{title} on a connection registered in version {version} ends the registration",
                [
                    say(alive(name, highest=version)),
                    hear_reply(size),
                    say(data),
                    hear(),
                    until_gone(name),
                ],
            )
    for title, ending in (("half-close", finish), ("close", hang_up), ("reset", reset)):
        name = fresh()
        steps = [say(alive(name)), hear_reply(6), ending()] + ([hear()] if ending is finish else [])
        yield Case(
            f"{title} of a registered connection ends the registration",
            steps + [until_gone(name), say(alive(name), "b"), hear("b")],
        )
    name = fresh()
    yield Case(
        "a registered connection stays open",
        [say(alive(name)), hear_reply(6), hear(), hear(), hear()],
    )


def half_closes():
    """The client says all it has and half-closes, as a shell script with netcat does."""
    name = fresh()
    yield Case("a look-up and half-close", [say(port_please("nobody")), finish(), hear()])
    yield Case(
        "a registration and half-close", [say(alive(name)), finish(), hear(), until_gone(name)]
    )
    yield Case(
        "a look-up in pieces and half-close",
        [say_in_pieces([b"\0", b"\x07", b"znobody"[:7]]), finish(), hear()],
    )
    yield Case("an unknown operation and half-close", [say(frame(b"Q")), finish(), hear()])
    yield Case("half-close after the reply", [say(port_please("nobody")), hear(), finish(), hear()])
    for letter in "nd":
        yield Case(
            f"operation {letter} and half-close",
            [say(frame(letter.encode())), finish(), hear()],
            own=True,
        )
    taken = fresh()
    yield Case(
        "a refused registration and half-close",
        [
            say(alive(taken)),
            hear_reply(6),
            say(alive(taken), "b"),
            finish("b"),
            hear("b"),
            say(port_please(taken), "c"),
            hear("c"),
        ],
    )


def early_goodbyes():
    """A client that leaves before its answer harms nobody."""
    for title, ending in (("closes", hang_up), ("resets", reset)):
        for what, request in (
            ("nothing", b""),
            ("a length", b"\0\5"),
            ("half a look-up", b"\0\5za"),
            ("a look-up", port_please("nobody")),
            ("a listing", frame(b"n")),
            ("an unknown one", frame(b"Q")),
            ("a dump", frame(b"d")),
        ):
            yield Case(
                f"a client {title} after {what}",
                [dial()]
                + ([say(request)] if request else [])
                + [ending(), say(port_please("nobody"), "b"), hear("b"), survival_of_daemon()],
            )
        name = fresh()
        yield Case(
            f"a client {title} right after its registration",
            [say(alive(name)), ending(), until_gone(name), say(alive(name), "b"), hear("b")],
        )
