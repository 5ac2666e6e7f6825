"""What all families build on: names of their own, and the scenarios that most cases are."""

import itertools

from scenario import Case, hear, say
from wire import alive, names, port_please

_numbers = itertools.count(1)


def fresh(prefix="n"):
    """A name of 6 characters that no other case uses: most cases share a daemon."""
    return f"{prefix}{next(_numbers):05d}"


def request_case(title, data, **options):
    """One request on a connection of its own."""
    return Case(title, [say(data), hear()], **options)


def registration_case(title, name=None, own=False, **fields):
    """A registration, and then a look-up of the name: what was answered, what was stored."""
    name = fresh() if name is None else name
    return Case(
        title, [say(alive(name, **fields)), hear(), say(port_please(name), "b"), hear("b")], own=own
    )


def listed_case(title, name, **fields):
    """A registration, and then the list: for names that stock registers and cannot look up."""
    return Case(title, [say(alive(name, **fields)), hear(), say(names(), "b"), hear("b")], own=True)
