"""What all system tests share: starting our daemon, and the summary of the comparison.

    PORTOLAN_BUILD    where our daemon was built (build); its bin/epmd is tested
    PORTOLAN_WRAPPER  words before its command, as `valgrind --error-exitcode=99`
    PORTOLAN_SLOW     a factor for all deadlines (1)
    PORTOLAN_LONG     if set, also what takes minutes
    PORTOLAN_SANITIZED  a build with sanitizers, for test_random_stop.py
"""

import os

import pytest

import hosts
from daemon import Daemon, our_epmd, stock_epmd

COMPARISON = pytest.StashKey()


class StockComparison:
    """Counts what was compared, for one line at the end of the run."""

    def __init__(self):
        self.cases, self.unexplained, self.explained = 0, [], {}

    def played(self, case, explained, as_wanted):
        self.cases += 1
        if not as_wanted:
            self.unexplained.append(case.name)
        elif explained:
            self.explained[explained] = self.explained.get(explained, 0) + 1

    def line(self):
        titles = "; ".join(f"{title}: {count}" for title, count in self.explained.items())
        return (
            f"stock comparison: {self.cases} cases, "
            f"{len(self.unexplained)} unexplained differences, "
            f"{sum(self.explained.values())} explained" + (f" ({titles})" if titles else "")
        )


def pytest_configure(config):
    config.stash[COMPARISON] = StockComparison()


def pytest_terminal_summary(terminalreporter, config):
    comparison = config.stash[COMPARISON]
    if comparison.cases:
        terminalreporter.section("stock epmd and ours")
        terminalreporter.line(comparison.line())
        for name in comparison.unexplained:
            terminalreporter.line(f"  differs: {name}")


def pytest_collection_modifyitems(items):
    if not os.access(our_epmd(), os.X_OK):
        raise pytest.UsageError(
            f"no daemon to test at {our_epmd()}: build it, or set PORTOLAN_BUILD"
        )
    if stock_epmd() is None:
        for item in items:
            if "stock" in item.module.__name__ or "command_line" in item.module.__name__:
                item.add_marker(
                    pytest.mark.skip(reason="no stock epmd on this machine: install erlang-base")
                )


@pytest.fixture
def stock_comparison(pytestconfig):
    return pytestconfig.stash[COMPARISON]


@pytest.fixture
def epmd(tmp_path):
    """Starts our daemon with the given flags; what a test started is ended after it."""
    started = []

    def start(*flags, **options):
        server = Daemon(our_epmd(), tmp_path, *flags, **options)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def pair():
    """Two hosts on one wire, for the tests of a module."""
    if reason := hosts.why_impossible():
        pytest.skip(reason)
    pair = hosts.Pair()
    yield pair
    pair.close()
