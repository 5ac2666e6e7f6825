"""Names as text: valid UTF-8 without NUL; every kind of wrong sequence there is."""

from corpus.common import fresh, registration_case
from scenario import Case, hear, say
from wire import alive, port_please

VALID = {
    "last 1-byte": b"\x7f",
    "first 2-byte": b"\xc2\x80",
    "last 2-byte": b"\xdf\xbf",
    "first 3-byte": b"\xe0\xa0\x80",
    "before the surrogates": b"\xed\x9f\xbf",
    "after the surrogates": b"\xee\x80\x80",
    "byte order mark": b"\xef\xbb\xbf",
    "noncharacter U+FFFE": b"\xef\xbf\xbe",
    "last 3-byte": b"\xef\xbf\xbf",
    "noncharacter U+FDD0": b"\xef\xb7\x90",
    "first 4-byte": b"\xf0\x90\x80\x80",
    "U+10FFFF": b"\xf4\x8f\xbf\xbf",
    "U+1FFFF": b"\xf0\x9f\xbf\xbf",
    "U+FFFFF": b"\xf3\xbf\xbf\xbf",
    "right to left": b"\xe2\x80\xae",
}

INVALID = {
    "overlong NUL": b"\xc0\x80",
    "overlong slash": b"\xc0\xaf",
    "overlong C1": b"\xc1\xbf",
    "overlong of 3 bytes": b"\xe0\x80\x80",
    "overlong of 3 bytes, largest": b"\xe0\x9f\xbf",
    "overlong of 4 bytes": b"\xf0\x80\x80\x80",
    "overlong of 4 bytes, largest": b"\xf0\x8f\xbf\xbf",
    "first high surrogate": b"\xed\xa0\x80",
    "last high surrogate": b"\xed\xaf\xbf",
    "first low surrogate": b"\xed\xb0\x80",
    "last low surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "U+110000": b"\xf4\x90\x80\x80",
    "U+13FFFF": b"\xf4\xbf\xbf\xbf",
    "lead F5": b"\xf5\x80\x80\x80",
    "lead F7": b"\xf7\xbf\xbf\xbf",
    "lead F8, 5 bytes": b"\xf8\x88\x80\x80\x80",
    "lead FC, 6 bytes": b"\xfc\x84\x80\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
    "lone continuation 80": b"\x80",
    "lone continuation BF": b"\xbf",
    "Latin-1 e acute": b"\xe9",
    "2-byte lead and ASCII": b"\xc3a",
    "3-byte lead and ASCII": b"\xe2ab",
    "3-byte lead, one continuation and ASCII": b"\xe2\x82a",
    "4-byte lead and ASCII": b"\xf0abc",
    "4-byte lead, one continuation and ASCII": b"\xf0\x9fab",
    "4-byte, two continuations and ASCII": b"\xf0\x9f\x98a",
    "2-byte lead and another lead": b"\xc3\xc3\xa9",
    "one continuation too many": b"\xc3\xa9\xa9",
    "UTF-16": "node".encode("utf-16"),
}

TRUNCATED = {
    "2 bytes cut to 1": b"\xc3",
    "3 bytes cut to 1": b"\xe2",
    "3 bytes cut to 2": b"\xe2\x82",
    "4 bytes cut to 1": b"\xf0",
    "4 bytes cut to 2": b"\xf0\x9f",
    "4 bytes cut to 3": b"\xf0\x9f\x98",
}

UNUSUAL = {
    "a space": b" ",
    "a tab": b"\t",
    "a newline": b"\n",
    "a carriage return": b"\r",
    "an escape": b"\x1b[31m",
    "an at": b"@host",
    "a slash": b"/../",
    "a quote": b"'\"",
    "a percent": b"%s%n%d",
    "a semicolon": b";",
    "a bell": b"\x07",
    "control 1": b"\x01",
    "a comma and a dot": b",.",
}


def cases():
    for title, piece in VALID.items():
        yield from in_all_places(f"valid: {title}", piece)
    for title, piece in INVALID.items():
        yield from in_all_places(f"invalid: {title}", piece)
    for title, piece in TRUNCATED.items():
        yield from in_all_places(f"truncated: {title}", piece)
    for title, piece in UNUSUAL.items():
        yield registration_case(f"name with {title}", name=fresh().encode() + piece)
    yield from every_lead_byte()
    yield from nul_in_names()
    yield from limits_of_wrong_names()


def in_all_places(title, piece):
    start = fresh().encode()
    yield registration_case(f"{title}, alone at the end", name=start + piece)
    yield registration_case(f"{title}, in the middle", name=start + b"m" + piece + b"end")
    yield registration_case(f"{title}, at the start", name=piece + start + b"s")


def every_lead_byte():
    for byte in range(0x80, 0x100):
        yield registration_case(
            f"byte {byte:02x} and two continuations",
            name=fresh().encode() + bytes([byte, 0xA5, 0xA5]),
        )


def nul_in_names():
    start = fresh().encode()
    for title, name in (
        ("at the start", b"\0" + start),
        ("in the middle", start + b"\0m"),
        ("at the end", start + b"e\0"),
        ("alone", b"\0"),
        ("twice at the end", start + b"t\0\0"),
        ("only NULs", bytes(20)),
    ):
        yield registration_case(f"NUL {title}", name=name)
    yield registration_case("NUL after a wrong sequence", name=start + b"\xff\0")
    yield registration_case("a wrong sequence after NUL", name=start + b"\0\xff")
    yield registration_case("NUL in a name that is too long", name=start.ljust(300, b"a") + b"\0")


def limits_of_wrong_names():
    """Which complaint comes first shows in the reply: refused, or closed without one."""
    start = fresh().encode()
    yield registration_case(
        "256 characters and a wrong sequence", name=start.ljust(256, b"a") + b"\xff"
    )
    yield registration_case("a wrong sequence, asked in version 5", name=start + b"\xff", highest=5)
    yield registration_case(
        "a wrong sequence and an extra too long", name=start + b"\xff", extra=b"e" * 1021
    )
    yield registration_case(
        "too long a name and too long an extra", name=start.ljust(256, b"a"), extra=b"e" * 1021
    )
    taken = fresh()
    yield Case(
        "a taken name with too long an extra",
        [say(alive(taken)), hear(), say(alive(taken, extra=b"e" * 1021), "b"), hear("b")],
    )
    for title, name in (
        ("a name of wrong UTF-8", b"\xff\xfe"),
        ("a name too long", b"a" * 300),
        ("NUL inside", b"a\0b"),
    ):
        yield Case(f"looked up: {title}", [say(port_please(name)), hear()])
