"""ALIVE2: fields at their limits and past the packet, names that are taken or come back."""

import struct

from corpus.common import fresh, listed_case, registration_case
from scenario import Case, hang_up, hear, hear_reply, reset, say, until_gone
from wire import LONGEST_REQUEST, alive, alive_payload, frame, port_please

LONGEST_NAME = 255


def cases():
    yield from plain_fields()
    yield from versions()
    yield from name_lengths()
    yield from extras()
    yield from fields_past_the_packet()
    yield from taken_names()
    yield from returning_names()


def plain_fields():
    for port in (0, 1, 80, 4369, 32767, 32768, 65535):
        yield registration_case(f"node port {port}", port=port)
    for node_type in (0, 1, 71, 72, 73, 76, 77, 78, 104, 110, 128, 255):
        yield registration_case(f"node type {node_type}", node_type=node_type)
    for protocol in (0, 1, 2, 127, 128, 255):
        yield registration_case(f"protocol {protocol}", protocol=protocol)


def versions():
    """The highest version decides the form of the reply."""
    for highest in (0, 1, 4, 5, 6, 7, 255, 256, 32767, 32768, 65535):
        for lowest in (0, 5, 6, 65535):
            yield registration_case(
                f"versions {highest} to {lowest}", highest=highest, lowest=lowest
            )


def name_lengths():
    """255 characters and 1,020 bytes at most, whichever comes first."""
    for title, letter in (
        ("1-byte", "a"),
        ("2-byte", "\u00e9"),
        ("3-byte", "\u20ac"),
        ("4-byte", "\U0001f600"),
    ):
        for count in (1, 2, 127, 128, 253, 254, 255, 256, 257, 300):
            name = (fresh() if count > 6 else "").ljust(count, letter)
            if count == LONGEST_NAME:
                yield listed_case(f"a name of {count} {title} characters", name)
            else:
                yield registration_case(
                    f"a name of {count} {title} characters", name=name, own=count <= 6
                )
    for size in (1019, 1020, 1021, 1022):
        start = fresh()
        rest = size - len(start)
        name = start + "\U0001f600" * (rest // 4) + "a" * (rest % 4)
        yield registration_case(f"a name of {size} bytes, mostly 4-byte characters", name=name)
        yield registration_case(
            f"a name of {size} 1-byte characters", name=fresh().ljust(size, "a")
        )
    for title, mixed in (
        ("3 + 252", "abc" + "\u20ac" * 252),
        ("1 + 254", "z" + "\U0001f600" * 254),
    ):
        yield listed_case(f"a name of {title} characters of two widths", mixed)
    yield registration_case(
        "a name of 1 + 255 characters of two widths", name="z" + "\U0001f600" * 255
    )
    for version in (5, 6):
        yield registration_case(
            f"a name too long, asked in version {version}", name="a" * 256, highest=version
        )


def extras():
    for size in (0, 1, 2, 100, 1018, 1019, 1020, 1021, 1022, 1500, 2000):
        yield registration_case(f"extra of {size} bytes", extra=b"e" * size)
    yield registration_case("extra of all byte values", extra=bytes(range(256)))
    yield registration_case("extra of zeros", extra=bytes(50))
    for title, letter in (("ASCII", "a"), ("wide", "\U0001f600")):
        yield listed_case(
            f"the longest {title} name with the longest extra",
            fresh().ljust(LONGEST_NAME, letter),
            extra=b"e" * 1020,
        )
    yield registration_case("extra too long, asked in version 5", extra=b"e" * 1021, highest=5)
    for size in (1, 2, 3, 10, 1000):
        yield registration_case(f"{size} bytes after extra", after=b"." * size)
        yield registration_case(
            f"{size} bytes after an extra of 5", extra=b"extra", after=b"." * size
        )
    for after in (b"", b"x"):
        name = fresh()
        payload = alive_payload(name)[:-2]
        yield Case(
            f"extra's length missing, {len(after)} of its bytes there",
            [say(frame(payload + after)), hear(), say(port_please(name), "b"), hear("b")],
        )


def fields_past_the_packet():
    for size in (0, 1, 5, 7, 8, 9, 10, 100, 255, 256, 1020, 1021, LONGEST_REQUEST, 32768, 65535):
        name = fresh()
        yield Case(
            f"a name of 6 bytes announced as {size}",
            [say(alive(name, name_length=size)), hear(), say(port_please(name), "b"), hear("b")],
        )
    for size in (1, 2, 4, 6, 100, 1020, 1021, 32768, 65535):
        yield registration_case(
            f"an extra of 5 bytes announced as {size}", extra=b"extra", extra_length=size
        )
        yield registration_case(f"no extra announced as {size}", extra_length=size)
    whole = alive_payload(fresh())
    for size in range(1, len(whole)):
        yield Case(
            f"a registration that ends after {size} bytes", [say(frame(whole[:size])), hear()]
        )
    head = whole[:9]
    for title, rest in (
        ("only zeros after the versions", bytes(4)),
        ("a name of 0 in 13 bytes", bytes(4)),
        ("a name's length without a name", struct.pack(">H", 1)),
        ("a name of 1 without extra's length", struct.pack(">H", 1) + b"a"),
    ):
        yield Case(title, [say(frame(head + rest)), hear()])


def taken_names():
    for first in (5, 6):
        for second in (0, 5, 6):
            name = fresh()
            yield Case(
                f"a name held in version {first} asked in version {second}",
                [
                    say(alive(name, highest=first, port=1111)),
                    hear(),
                    say(alive(name, highest=second, port=2222), "b"),
                    hear("b"),
                    say(port_please(name), "c"),
                    hear("c"),
                ],
            )
    name = fresh()
    yield Case(
        "the refused one may go without harm to the holder",
        [
            say(alive(name)),
            hear_reply(6),
            say(alive(name), "b"),
            hear_reply(6, "b"),
            hang_up("b"),
            say(port_please(name), "c"),
            hear("c"),
            hear(),
        ],
    )
    name = fresh()
    yield Case(
        "the refused one tries again on the same connection",
        [
            say(alive(name)),
            hear_reply(6),
            say(alive(name), "b"),
            hear_reply(6, "b"),
            say(alive(name + "b"), "b"),
            hear("b"),
            say(port_please(name + "b"), "c"),
            hear("c"),
        ],
    )
    name = fresh()
    yield Case(
        "the refused one asks a look-up on the same connection",
        [
            say(alive(name)),
            hear_reply(6),
            say(alive(name), "b"),
            hear_reply(6, "b"),
            say(port_please(name), "b"),
            hear("b"),
        ],
    )
    name = fresh()
    yield Case(
        "names differ by case",
        [say(alive(name)), hear_reply(6), say(alive(name.upper()), "b"), hear("b")],
    )
    name = fresh()
    yield Case(
        "the same name with a longer end",
        [
            say(alive(name)),
            hear_reply(6),
            say(alive(name + "2"), "b"),
            hear("b"),
            say(port_please(name), "c"),
            hear("c"),
        ],
    )
    composed = "\u00e9" + fresh()
    yield Case(
        "names differ by Unicode normalisation",
        [say(alive(composed)), hear_reply(6), say(alive("e\u0301" + composed[1:]), "b"), hear("b")],
    )


def returning_names():
    """A name that comes back gets another creation; the play checks that."""
    endings = {"closed": hang_up, "reset": reset}
    for title, ending in endings.items():
        for versions in (
            (6, 6),
            (5, 5),
            (6, 5),
            (5, 6),
            (5, 5, 5, 5, 5),
            (6, 6, 6, 6, 6),
            (6, 5, 6, 5),
        ):
            name = fresh()
            steps = []
            for life, version in enumerate(versions):
                on = f"life {life}"
                size = 6 if version >= 6 else 4
                steps += [
                    say(alive(name, highest=version, port=1000 + life), on),
                    hear_reply(size, on),
                    ending(on),
                    until_gone(name),
                ]
            yield Case(f"a name in versions {versions}, each life {title}", steps)
    name = fresh()
    yield Case(
        "a name that comes back has its new port, type and extra",
        [
            say(alive(name, port=1, node_type=77, extra=b"one")),
            hear_reply(6),
            hang_up(),
            until_gone(name),
            say(alive(name, port=2, node_type=72, extra=b"other"), "b"),
            hear_reply(6, "b"),
            say(port_please(name), "c"),
            hear("c"),
        ],
    )
