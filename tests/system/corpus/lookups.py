"""PORT_PLEASE2: names that are there, are not, were, and are almost."""

from corpus.common import fresh, request_case
from scenario import Case, hang_up, hear, hear_reply, say, until_gone
from wire import alive, frame, port_please


def cases():
    yield from absent_names()
    yield from spellings_of_a_registered_name()
    yield from lives()


def absent_names():
    for title, name in (
        ("one letter", b"a"),
        ("253 letters", b"b" * 253),
        ("254 letters", b"b" * 254),
        ("256 letters", b"b" * 256),
        ("257 letters", b"b" * 257),
        ("1,019 letters", b"b" * 1019),
        ("1,020 letters", b"b" * 1020),
        ("1,021 letters", b"b" * 1021),
        ("1,022 letters", b"b" * 1022),
        ("3,056 letters", b"b" * 3056),
        ("254 wide characters", "\u20ac".encode() * 254),
        ("256 wide characters", "\u20ac".encode() * 256),
        ("a node's whole name", b"a@host"),
        ("a space", b" "),
        ("a newline", b"\n"),
        ("invalid UTF-8", b"\xff"),
        ("surrogate", b"\xed\xa0\x80"),
    ):
        yield request_case(f"look-up of {title}", port_please(name))
        yield request_case(f"look-up of {title} and a NUL", port_please(name + b"\0"))
    yield request_case("look-up of nothing", frame(b"z"))
    yield request_case("look-up of a NUL", frame(b"z\0"))
    yield request_case("look-up of two NULs", frame(b"z\0\0"))
    yield request_case("look-up of a thousand NULs", frame(b"z" + bytes(1000)))


def spellings_of_a_registered_name():
    for title, change in (
        ("as it is", lambda name: name),
        ("with a NUL", lambda name: name + b"\0"),
        ("with two NULs", lambda name: name + b"\0\0"),
        ("with a NUL and more", lambda name: name + b"\0a"),
        ("in upper case", bytes.upper),
        ("with its host", lambda name: name + b"@127.0.0.1"),
        ("cut by one", lambda name: name[:-1]),
        ("longer by one", lambda name: name + b"1"),
        ("with a space", lambda name: name + b" "),
        ("with a NUL before", lambda name: b"\0" + name),
    ):
        for node, fields in (
            ("normal", {}),
            ("hidden", {"node_type": 72}),
            ("old", {"highest": 5, "lowest": 5}),
            ("with extra", {"extra": b"some extra"}),
        ):
            name = fresh().encode()
            yield Case(
                f"a {node} node looked up {title}",
                [
                    say(alive(name, **fields)),
                    hear_reply(4 if node == "old" else 6),
                    say(port_please(change(name)), "b"),
                    hear("b"),
                ],
            )


def lives():
    name = fresh()
    yield Case(
        "a name is not found before, found during and not after its life",
        [
            say(port_please(name), "before"),
            hear("before"),
            say(alive(name)),
            hear_reply(6),
            say(port_please(name), "during"),
            hear("during"),
            hang_up(),
            until_gone(name),
            say(port_please(name), "after"),
            hear("after"),
        ],
    )
    name = fresh()
    yield Case(
        "a look-up on the connection that registered ends the registration",
        [say(alive(name)), hear_reply(6), say(port_please(name)), hear(), until_gone(name)],
    )
    name = fresh()
    yield Case(
        "a hundred look-ups one after the other",
        [say(alive(name)), hear_reply(6)]
        + [
            step
            for turn in range(100)
            for step in (say(port_please(name), f"t{turn}"), hear(f"t{turn}"))
        ],
    )
