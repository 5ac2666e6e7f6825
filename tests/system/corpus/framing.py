"""The frame around a request: lengths that lie, pieces, too many bytes, no such operation."""

from corpus.common import fresh, request_case
from scenario import Case, exit_of_daemon, finish, hear, hear_reply, say, say_in_pieces
from wire import (
    DUMP,
    KILL,
    LONGEST_REQUEST,
    NAMES,
    PORT_PLEASE2,
    alive,
    alive_payload,
    frame,
    port_please,
)


def cases():
    yield from lengths()
    yield from announced_lengths()
    yield from operations()
    yield from pieces()
    yield from more_bytes_than_announced()
    yield from several_requests()


def padded_look_up(name, size):
    """A look-up of exactly `size` bytes after the length."""
    return PORT_PLEASE2 + name.encode().ljust(size - 1, b"x")


def chunks(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def lengths():
    yield request_case("length 0", frame(b""))
    yield request_case("length 0 and a byte", frame(b"") + b"n")
    yield request_case("length 0 and a look-up", frame(b"") + port_please("nobody"))
    for size in (
        1,
        2,
        13,
        254,
        255,
        257,
        258,
        1020,
        1021,
        1022,
        3000,
        LONGEST_REQUEST - 1,
        LONGEST_REQUEST,
    ):
        yield request_case(f"a look-up of {size} bytes", frame(padded_look_up("nobody", size)))
        yield request_case(f"an unknown operation of {size} bytes", frame(b"Q" * size))
    for size in (LONGEST_REQUEST + 1, LONGEST_REQUEST + 2, 4096, 32767, 32768, 65535):
        yield request_case(f"length {size} announced alone", frame(b"", announced=size))
        yield request_case(
            f"length {size} announced with a look-up", frame(b"znobody", announced=size)
        )
        yield request_case(f"a look-up of {size} bytes", frame(padded_look_up("nobody", size)))
    for size in (1013, 1014, 1015, 3000, LONGEST_REQUEST, LONGEST_REQUEST + 1):
        name = fresh()
        after = b"." * (size - len(alive_payload(name)))
        yield request_case(
            f"a registration of {size} bytes with the rest after extra", alive(name, after=after)
        )


def announced_lengths():
    for missing in (1, 2, 5, 100):
        yield request_case(
            f"a look-up announced {missing} too long",
            frame(b"znobody", announced=len(b"znobody") + missing),
        )
    for surplus in (1, 2, 5, 6):
        yield request_case(
            f"a look-up announced {surplus} too short",
            frame(b"znobody", announced=len(b"znobody") - surplus),
        )
    for missing in (1, 4):
        name = fresh()
        yield request_case(
            f"a registration announced {missing} too long",
            frame(alive_payload(name), announced=len(alive_payload(name)) + missing),
        )
        yield request_case(
            f"a registration announced {missing} too short",
            frame(alive_payload(name), announced=len(alive_payload(name)) - missing),
        )
    yield Case("one byte of the length, then half-closed", [say(b"\0"), finish(), hear()])
    yield Case("one byte of the length, then nothing", [say(b"\0"), hear()])
    yield Case("the length, then half-closed", [say(b"\0\x07"), finish(), hear()])
    yield Case(
        "half a look-up, then half-closed", [say(frame(b"znob", announced=7)), finish(), hear()]
    )
    yield Case("half a look-up, then nothing", [say(frame(b"znob", announced=7)), hear()])
    yield Case("half-closed at once", [finish(), hear()])
    yield Case("a connection that says nothing", [hear()])


def operations():
    """Each of the 256 first bytes, alone and with bytes behind it."""
    for operation in range(256):
        letter = bytes([operation])
        yield operation_case(f"operation {operation} alone", letter)
        yield operation_case(f"operation {operation} with 20 sevens", letter + b"\7" * 20)
    for letter in "xzsndkXZSNDKpwvylat":
        yield operation_case(f"operation {letter} with a name", letter.encode() + b"nobody")
        yield operation_case(f"operation {letter} with 3,056 bytes", letter.encode() + b"a" * 3056)


def operation_case(title, payload):
    """Listings and the end of a daemon are for a daemon of the case's own."""
    ends = [exit_of_daemon()] if payload[:1] == KILL else []
    return Case(title, [say(frame(payload)), hear(), *ends], own=payload[:1] in (NAMES, DUMP, KILL))


def pieces():
    """A request means the same in whatever pieces it arrives."""
    look_up = port_please("nobody")
    for cut in range(1, len(look_up)):
        yield Case(
            f"a look-up cut after {cut}", [say_in_pieces([look_up[:cut], look_up[cut:]]), hear()]
        )
    length = len(alive(fresh()))
    for cut in range(1, length):
        name = fresh()
        request = alive(name)
        yield Case(
            f"a registration cut after {cut}",
            [
                say_in_pieces([request[:cut], request[cut:]]),
                hear(),
                say(port_please(name), "b"),
                hear("b"),
            ],
        )
    for letter in "nd":
        yield Case(
            f"operation {letter} cut after 1",
            [say_in_pieces([b"\0", b"\1" + letter.encode()]), hear()],
            own=True,
        )
        yield Case(
            f"operation {letter} cut after 2",
            [say_in_pieces([b"\0\1", letter.encode()]), hear()],
            own=True,
        )
        yield Case(
            f"operation {letter} byte by byte",
            [say_in_pieces([b"\0", b"\1", letter.encode()]), hear()],
            own=True,
        )
    for title, made in (
        ("a look-up", lambda: look_up),
        ("a registration", lambda: alive(fresh())),
        ("a registration with extra", lambda: alive(fresh(), extra=b"some extra")),
        ("an unknown operation", lambda: frame(b"Q123456")),
    ):
        yield Case(f"{title} byte by byte", [say_in_pieces(chunks(made(), 1)), hear()])
        yield Case(f"{title} in threes", [say_in_pieces(chunks(made(), 3)), hear()])
        request = made()
        yield Case(
            f"{title} with a pause of 0.1 s inside",
            [say_in_pieces([request[:4], request[4:]], pause=0.1), hear()],
        )
    longest = frame(padded_look_up("nobody", LONGEST_REQUEST))
    yield Case(
        "the longest request in pieces of 100", [say_in_pieces(chunks(longest, 100)), hear()]
    )
    yield Case(
        "the longest request cut before its last byte",
        [say_in_pieces([longest[:-1], longest[-1:]]), hear()],
    )
    for cut in (1, 2, 3):
        too_long = frame(b"znobody", announced=LONGEST_REQUEST + 1)
        yield Case(
            f"a length over the limit cut after {cut}",
            [say_in_pieces([too_long[:cut], too_long[cut:]]), hear()],
        )


def more_bytes_than_announced():
    for surplus in (1, 2, 3, 100, 3057, 3058):
        yield request_case(
            f"a look-up and {surplus} bytes more", port_please("nobody") + b"." * surplus
        )
        name = fresh()
        yield Case(
            f"a registration and {surplus} bytes more",
            [say(alive(name) + b"." * surplus), hear(), say(port_please(name), "b"), hear("b")],
        )
    for surplus in (1, 2, 3, 4, 1000, 3057):
        longest = frame(padded_look_up("nobody", LONGEST_REQUEST))
        yield request_case(
            f"the longest look-up and {surplus} bytes more", longest + b"." * surplus
        )
        almost = frame(padded_look_up("nobody", LONGEST_REQUEST - 1))
        yield request_case(
            f"a look-up one under the longest and {surplus} bytes more", almost + b"." * surplus
        )
    name = fresh()
    longest = alive(name, after=b"." * (LONGEST_REQUEST - len(alive_payload(name))))
    yield Case(
        "the longest registration and 1 byte more",
        [say(longest + b"."), hear(), say(port_please(name), "b"), hear("b")],
    )


def several_requests():
    yield request_case("two look-ups in one segment", port_please("nobody") * 2)
    yield Case(
        "a look-up after a look-up",
        [say(port_please("nobody")), hear(), say(port_please("nobody")), hear()],
    )
    name = fresh()
    yield Case(
        "a registration and a look-up in one segment",
        [say(alive(name) + port_please(name)), hear(), say(port_please(name), "b"), hear("b")],
    )
    name = fresh()
    yield Case(
        "a look-up and a registration in one segment",
        [say(port_please(name) + alive(name)), hear(), say(port_please(name), "b"), hear("b")],
    )
    name = fresh()
    yield Case(
        "a second registration on a registered connection",
        [
            say(alive(name)),
            hear_reply(6),
            say(alive(name + "b")),
            hear(),
            say(port_please(name + "b"), "b"),
            hear("b"),
        ],
    )
    yield Case("two listings in one segment", [say(frame(b"n") * 2), hear()], own=True)
