"""KILL and STOP, and how -relaxed_command_check changes them."""

from scenario import (
    Case,
    exit_of_daemon,
    hang_up,
    hear,
    hear_reply,
    say,
    say_in_pieces,
    survival_of_daemon,
    until_gone,
)
from wire import alive, frame, kill, names, port_please, stop

RELAXED = ("-relaxed_command_check",)


def cases():
    yield from killing()
    yield from stopping()


def node(name="a", **fields):
    return [say(alive(name, **fields), name), hear_reply(6, name)]


def ask(request, on="q"):
    return [say(request, on), hear(on)]


def killing():
    for title, flags in (("strict", ()), ("relaxed", RELAXED)):
        own = {"own": True, "flags": flags}
        yield Case(
            f"{title}: killed while nothing is registered", ask(kill()) + [exit_of_daemon()], **own
        )
        yield Case(
            f"{title}: killed with bytes behind", ask(frame(b"kabc")) + [exit_of_daemon()], **own
        )
        yield Case(
            f"{title}: killed in pieces",
            [say_in_pieces([b"\0", b"\1", b"k"]), hear(), exit_of_daemon()],
            **own,
        )
        yield Case(
            f"{title}: killed after the only node left",
            node() + [hang_up("a"), until_gone("a")] + ask(kill()) + [exit_of_daemon()],
            **own,
        )
        yield Case(
            f"{title}: killed while connections idle",
            [say(b"\0", "idle")] + ask(kill()) + [exit_of_daemon(), hear("idle")],
            **own,
        )
        yield Case(
            f"{title}: kill and more in one segment",
            ask(kill() + names()) + [survival_of_daemon()] + ask(names(), "after"),
            **own,
        )
    yield Case(
        "strict: kill is refused while a node lives",
        node() + ask(kill()) + [survival_of_daemon(), hear("a")] + ask(names(), "after"),
        own=True,
    )
    yield Case(
        "strict: kill is refused while a hidden node lives",
        node(node_type=72) + ask(kill()) + [survival_of_daemon()] + ask(names(), "after"),
        own=True,
    )
    yield Case(
        "relaxed: killed while a node lives",
        node() + ask(kill()) + [exit_of_daemon(), hear("a")],
        own=True,
        flags=RELAXED,
    )
    yield Case(
        "strict: a refused kill does not spoil a later one",
        node()
        + ask(kill())
        + [hang_up("a"), until_gone("a")]
        + ask(kill(), "again")
        + [exit_of_daemon()],
        own=True,
    )


def stopping():
    for title, name in (
        ("a node", "a"),
        ("nobody", "nobody"),
        ("an empty name", ""),
        ("a NUL-ended name", "a\0"),
        ("two NULs", "a\0\0"),
    ):
        yield Case(
            f"strict: stop {title}",
            node() + ask(stop(name)) + [hear("a")] + ask(names(), "after"),
            own=True,
        )
    relaxed = {"own": True, "flags": RELAXED}
    for title, name in (("a node", "a"), ("a NUL-ended name", "a\0")):
        yield Case(
            f"relaxed: stop {title}",
            node() + ask(stop(name)) + [hear("a")] + ask(names(), "after"),
            **relaxed,
        )
    yield Case(
        "relaxed: stop one of two",
        node("a") + node("b") + ask(stop("b")) + [hear("a"), hear("b")] + ask(names(), "after"),
        **relaxed,
    )
    yield Case(
        "relaxed: a stopped name may come back at once",
        node()
        + ask(stop("a"))
        + [say(alive("a"), "back"), hear("back")]
        + ask(port_please("a"), "after"),
        **relaxed,
    )
    yield Case(
        "relaxed: a stopped node hangs up later without harm to its successor",
        node()
        + ask(stop("a"))
        + [say(alive("a"), "back"), hear_reply(6, "back"), hang_up("a")]
        + ask(port_please("a"), "after"),
        **relaxed,
    )
    yield Case(
        "relaxed: a stopped hidden node",
        node(node_type=72) + ask(stop("a")) + [hear("a")],
        **relaxed,
    )
    yield Case("relaxed: stop without a name", node() + ask(stop("")) + [hear("a")], **relaxed)
    yield Case(
        "relaxed: stop a name that ends with two NULs",
        node() + ask(stop("a\0\0")) + [hear("a")],
        **relaxed,
    )
    yield Case(
        "relaxed: stop a name with more behind a NUL",
        node() + ask(stop("a\0b")) + [hear("a")],
        **relaxed,
    )
