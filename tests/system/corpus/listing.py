"""NAMES and DUMP: what is listed, and in which order. Each case has a daemon of its own."""

from scenario import Case, hang_up, hear, hear_reply, say, until_gone
from wire import alive, dump, frame, names, stop


def cases():
    for title, steps in registries().items():
        yield Case(f"listed: {title}", steps + [say(names(), "names"), hear("names")], own=True)
        yield Case(f"dumped: {title}", steps + [say(dump(), "dump"), hear("dump")], own=True)
    for letter in "nd":
        yield Case(
            f"operation {letter} with bytes behind it",
            up("a") + [say(frame(letter.encode() + b"anything"), "q"), hear("q")],
            own=True,
        )


def up(name, port=40000, **fields):
    return [say(alive(name, port=port, **fields), name), hear_reply(6, name)]


def down(name):
    return [hang_up(name), until_gone(name)]


def registries():
    a, b, c = up("a", 1001), up("b", 1002), up("c", 1003)
    return {
        "nothing": [],
        "one": a,
        "three, newest first": a + b + c,
        "the middle one left": a + b + c + down("b"),
        "the newest left": a + b + c + down("c"),
        "the oldest left": a + b + c + down("a"),
        "one came back": a + b + c + down("a") + up("a", 1001),
        "one came back elsewhere": a + b + down("a") + up("a", 2001, node_type=72, extra=b"x"),
        "all left, in order": a + b + c + down("a") + down("b") + down("c"),
        "all left, in the other order": a + b + c + down("c") + down("b") + down("a"),
        "all left and came back": a + b + down("a") + down("b") + up("b", 2) + up("a", 1),
        "one left twice": a + down("a") + up("a", 2) + down("a"),
        "left, and another came": a + down("a") + b,
        "two left, another came, one came back": a + b + down("a") + down("b") + c + up("b", 9),
        "hidden and normal": up("hidden", 1, node_type=72) + up("normal", 2),
        "names of all widths": up("\u00e9\u20ac\U0001f600", 1) + up("\u65e5\u672c", 2),
        "a name with a blank": up("two words", 1),
        "names with a percent": up("%s%n%d", 1),
        "ports at their limits": up("zero", 0) + up("most", 65535),
        "a name of 255": up("a" * 255, 1) + up("\U0001f600" * 255, 2),
        "extra, and bytes after it": up("a", 1, extra=b"extra", after=b"more"),
        "twenty": [step for number in range(20) for step in up(f"node{number}", 1000 + number)],
        "a refused one": a + [say(alive("a", port=2), "again"), hear_reply(6, "again")],
        "an old one": [say(alive("old", port=5, highest=5)), hear_reply(4)],
        "one that never finished": [say(frame(b"xab", announced=50), "half")] + a,
        "others only looking": [say(b"\0", "half"), say(stop("a"), "stop"), hear("stop")] + a,
    }
