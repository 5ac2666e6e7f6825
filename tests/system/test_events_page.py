"""portolan-events(7) against the source: every event that is logged or published, with its level
and its members, and no other."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = {path: path.read_text() for path in sorted((ROOT / "src").glob("*/*.c"))}
PAGE = (ROOT / "man/portolan-events.7").read_text()
FIELD = re.compile(r'log_(?:text|bytes|number)\(\s*"(\w+)"')
NOT_BY_NAME = {"configuration": {"error", "warning", "note"}}  # by the kind of a remark
CLUSTER = {"name", "port", "member", "members", "names", "cause", "reason"}


def calls(text, function):
    """(where, arguments) of each call of a function."""
    for found in re.finditer(r"\b" + function + r"\(", text):
        depth, end = 1, found.end()
        while depth > 0:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield found.start(), text[found.end() : end - 1]


def function_around(text, where):
    return text[text.rfind("\n}\n", 0, where) + 1 : where]


def logged():
    """event: (levels, members), of the events that are logged by a name in the call. A level that
    is not a constant is None."""
    events = {}
    for text in SOURCES.values():
        for function in ("log_event", "log_write", "write_line"):
            for where, arguments in calls(text, function):
                found = re.match(r'\s*(?:LOG_LEVEL_(\w+)|[\w\[\]>.-]+),\s*"(\w+)"', arguments)
                if found is None or (function == "write_line" and found.group(1) is None):
                    continue  # others have functions of that name
                levels, members = events.setdefault(found.group(2), (set(), set()))
                levels.add(found.group(1) and found.group(1).lower())
                members.update(FIELD.findall(arguments) or FIELD.findall(function_around(text, where)))
    return events


def cluster_events():
    """event: (level, published), by the table of the cluster's events."""
    rows = [
        row
        for text in SOURCES.values()
        for row in re.findall(r'\[CLUSTER_EVENT_\w+\] = \{"(\w+)", LOG_LEVEL_(\w+), (true|false)\}', text)
    ]
    return {word: (level.lower(), published == "true") for word, level, published in rows}


def published():
    return {
        found.group(1)
        for text in SOURCES.values()
        for _, arguments in calls(text, "events_publish")
        if (found := re.match(r'[^,]*,\s*"(\w+)"', arguments)) is not None
    }


def page_entries():
    """event: (levels, goes to, members)"""
    listed = PAGE[PAGE.index(".Sh EVENTS") : PAGE.index('.\\" events end')]
    entries = {}
    for item in re.split(r"^\.It Cm ", listed, flags=re.M)[1:]:
        head, _, body = item.partition("\n.El")[0].partition("\n")
        names, _, marks = head.partition(" Pq ")
        marks = set(marks.split(" , "))
        macros = re.findall(r"^\.Va (.*)$", body, flags=re.M)
        members = {word for macro in macros for word in macro.split() if word.isidentifier()}
        for name in names.split(" , "):
            assert name not in entries, f"{name} is listed twice"
            entries[name] = (marks - {"watch", "program"}, marks & {"watch", "program"}, members)
    return entries


def test_the_page_lists_the_events_of_the_source():
    entries = page_entries()
    assert sorted(entries) == sorted(set(logged()) | set(cluster_events()))


def test_each_event_has_its_levels_and_members_on_the_page():
    entries = page_entries()
    for event, (levels, members) in logged().items():
        listed_levels, goes_to, listed_members = entries[event]
        members = members | NOT_BY_NAME.get(event, set())
        if None not in levels:
            assert listed_levels == levels, event
        assert listed_levels <= {"error", "warn", "info", "debug", "trace"}, event
        missing, invented = members - listed_members, listed_members - members
        assert not missing, f"{event} has {missing} too"
        assert not invented or "watch" in goes_to, f"{event} has no {invented}"


def test_the_cluster_events_are_listed_as_their_table_has_them():
    entries = page_entries()
    for event, (level, is_published) in cluster_events().items():
        listed_levels, goes_to, members = entries[event]
        assert listed_levels == {level}, event
        assert goes_to == ({"watch", "program"} if is_published else set()), event
        assert members <= CLUSTER and "member" in members, event


def test_what_watchers_get_is_marked_so():
    entries = page_entries()
    watched = {event for event, (_, goes_to, _) in entries.items() if "watch" in goes_to}
    assert watched == published() | {event for event, row in cluster_events().items() if row[1]}


# no daemon that is built from this source logs these: each with the reason
NOT_TO_BE_SEEN = {
    "assertion_failed": "it takes a mistake in the source",
    "discovery_failed": "neither strategy can fail",
}


def test_each_event_is_expected_by_a_test():
    """Its name stands in a text of one: as a word, alone or with the members behind it."""
    here = pathlib.Path(__file__)
    texts = [path.read_text() for path in sorted(here.parent.glob("*.py")) if path != here]
    texts += [path.read_text() for path in sorted((ROOT / "tests/unit").glob("*.c"))]
    literals = [literal for text in texts for literal in re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)]
    words = {word for literal in literals for word in re.findall(r"\w+", literal)}
    events = set(logged()) | set(cluster_events())
    assert sorted(events - words - set(NOT_TO_BE_SEEN)) == []
    assert sorted(set(NOT_TO_BE_SEEN) & words) == []
