"""The same requests to OTP's epmd and to ours, and the same answers, byte for byte.

Cases are played all at once over shared daemons, those that see the whole registry over daemons of
their own. A case that seems to differ is played once more, alone and more patiently, before it is
believed.
"""

import concurrent.futures
import resource
import tempfile

import pytest

import corpus
import differences
import hosts
import wire
from daemon import Daemon, our_epmd, stock_epmd
from deadlines import scaled
from scenario import QUIET_SECONDS, Play

PLAYERS = 32
PATIENT_QUIET_SECONDS = 1.5
ALIKE = corpus.all_cases()
DIFFERENT = list(differences.cases())


class Stage:
    """Where cases are played: a shared daemon of each program, and the other hosts."""

    def __init__(self, directory):
        self.directory, self.shared = directory, {}
        self.no_hosts = hosts.why_impossible()
        self.pair = None if self.no_hosts else hosts.Pair()

    def open(self):
        for program in (stock_epmd(), our_epmd()):
            self.shared[program] = Daemon(program, self.directory).start()

    def close(self):
        for server in self.shared.values():
            server.stop()
        if self.pair:
            self.pair.close()

    def play(self, case, program, alone=False):
        quiet = scaled(PATIENT_QUIET_SECONDS if alone else QUIET_SECONDS)
        if case.peer != "127.0.0.1":
            with self.pair.here.entered():
                return self.play_with_own(case, program, quiet)
        if case.own or alone:
            return self.play_with_own(case, program, quiet)
        return self.play_with(case, self.shared[program], quiet)

    def play_with_own(self, case, program, quiet):
        with (
            tempfile.TemporaryDirectory(dir=self.directory) as directory,
            Daemon(program, directory, *case.flags, descriptors=case.descriptors) as server,
        ):
            return self.play_with(case, server, quiet)

    def play_with(self, case, server, quiet):
        return Play(server, lambda: self.dial(case.peer, server.port), quiet).run(case)

    def dial(self, peer, port):
        pair = self.pair
        if peer == "127.0.0.1":
            return wire.connect(port)
        host, address, source = {
            "127.0.0.5": lambda: (pair.here, "127.0.0.1", "127.0.0.5"),
            "::1": lambda: (pair.here, "::1", None),
            "own address": lambda: (pair.here, pair.here.address, None),
            "own address over IPv6": lambda: (pair.here, pair.here.address6, None),
            "another host": lambda: (pair.there, pair.here.address, None),
            "another host over IPv6": lambda: (pair.there, pair.here.address6, None),
        }[peer]()
        return host.connect(port, address, source)

    def compare(self, case):
        """What stock did and what ours did, or the reason why it cannot be known here."""
        if case.peer != "127.0.0.1" and self.no_hosts:
            return self.no_hosts
        stock, ours = self.play(case, stock_epmd()), self.play(case, our_epmd())
        wanted = stock if case.differs is None else case.ours
        if ours != wanted or (case.differs and stock == ours):
            stock, ours = self.play(case, stock_epmd(), alone=True), self.play(
                case, our_epmd(), alone=True
            )
        return stock, ours


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    """All selected cases of this module, played: name -> a future of what `compare` says."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    selected = [
        item.callspec.params["case"]
        for item in request.session.items
        if item.module is request.module and hasattr(item, "callspec")
    ]
    stage = Stage(tmp_path_factory.mktemp("stock"))
    stage.open()
    try:
        with concurrent.futures.ThreadPoolExecutor(PLAYERS) as players:
            yield {case.name: players.submit(stage.compare, case) for case in selected}
    finally:
        stage.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def outcome(outcomes, case):
    result = outcomes[case.name].result()
    if isinstance(result, str):
        pytest.skip(result)
    return result


@pytest.mark.parametrize("case", ALIKE, ids=str)
def test_ours_answers_as_stock(case, outcomes, stock_comparison):
    stock, ours = outcome(outcomes, case)
    stock_comparison.played(case, explained=None, as_wanted=stock == ours)
    assert ours == stock


@pytest.mark.parametrize("case", DIFFERENT, ids=str)
def test_ours_differs_as_intended(case, outcomes, stock_comparison):
    stock, ours = outcome(outcomes, case)
    stock_comparison.played(case, explained=case.differs.title, as_wanted=ours == case.ours)
    assert ours == case.ours
    assert (
        stock != ours
    ), f"stock does the same now, so the difference is stale: {case.differs.title}"
