"""Creations tell two lives of a name apart, also when the daemon did not live as long as the names
did.
"""

import pytest

import wire
from daemon import Daemon, our_epmd
from deadlines import wait_for

LIVES = 30


def lives(port, count, name="a", **fields):
    """The creations of so many lives of a name, one after the other."""
    creations = []
    for _ in range(count):
        conn, answer = wire.register(port, name, **fields)
        assert answer.result == 0
        creations.append(answer.creation)
        conn.close()
        wait_for(lambda: wire.look_up(port, name).result == 1, 5, "the end of the registration")
    return creations


def state_file(directory, server):
    return directory / f"creations-{server.port}"


@pytest.fixture
def daemon_of(tmp_path):
    """Starts our daemon again and again on one port; the data directory may be another one."""
    started = []

    def start(port=None, **env):
        server = Daemon(our_epmd(), tmp_path, port=port, env=env)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


def test_all_lives_of_all_names_have_their_own(daemon_of):
    port = daemon_of().port
    creations = [creation for name in ("a", "b", "c") for creation in lives(port, LIVES, name)]
    assert len(set(creations)) == 3 * LIVES
    assert all(4 <= creation < 2**32 for creation in creations)


@pytest.mark.parametrize("end", [Daemon.crash, Daemon.stop], ids=["SIGKILL", "SIGTERM"])
def test_none_is_repeated_after_a_restart(daemon_of, end):
    server, creations = daemon_of(), []
    for _ in range(4):
        creations += lives(server.port, LIVES)
        end(server)
        server = daemon_of(port=server.port)
    assert len(set(creations)) == 4 * LIVES


def test_none_is_repeated_after_a_clean_kill_request(daemon_of):
    server = daemon_of()
    before = lives(server.port, LIVES)
    wire.ask(server.port, wire.kill())
    server.exit_code()
    assert not set(before) & set(lives(daemon_of(port=server.port).port, LIVES))


@pytest.mark.parametrize("where", ["/dev/null/nowhere", "/proc/nowhere", "a file"])
def test_none_is_repeated_where_nothing_can_be_written(daemon_of, tmp_path, where):
    """No state to look at: the clock alone must do."""
    if where == "a file":
        (tmp_path / "file").write_text("not a directory")
        where = str(tmp_path / "file")
    server = daemon_of(PORTOLAN_NODE__DATA_DIR=where)
    assert where in server.log, "a daemon that cannot keep its state says so"
    before = lives(server.port, LIVES)
    server.crash()
    after = lives(daemon_of(port=server.port, PORTOLAN_NODE__DATA_DIR=where).port, LIVES)
    assert not set(before) & set(after)


def test_an_old_node_gets_another_of_three_each_time(daemon_of):
    creations = lives(daemon_of().port, 7, highest=5)
    assert set(creations) == {1, 2, 3}
    assert all(before != after for before, after in zip(creations, creations[1:]))


def test_an_old_node_gets_another_one_after_an_orderly_restart(daemon_of):
    server = daemon_of()
    before = lives(server.port, 1, highest=5)
    server.stop()
    assert lives(daemon_of(port=server.port).port, 1, highest=5) != before


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, b"garbage\n", b"\xff" * 5000, b"creations 99\n", b"{}", b"-1\n" * 10000],
    ids=["empty", "zeros", "a word", "binary", "another form", "braces", "long"],
)
def test_a_damaged_state_file_is_set_aside_and_named(daemon_of, tmp_path, content):
    server = daemon_of()
    lives(server.port, 2)
    server.crash()
    state = state_file(tmp_path, server)
    state.write_bytes(content)
    again = daemon_of(port=server.port)
    damaged = state.with_name(state.name + ".damaged")
    assert damaged.read_bytes() == content
    assert state.name in again.log and str(tmp_path) in again.log
    assert lives(again.port, 1)


def test_a_state_file_cut_anywhere_never_ends_the_daemon(daemon_of, tmp_path):
    server = daemon_of()
    lives(server.port, 2)
    lives(server.port, 2, "old", highest=5)
    server.stop()
    state = state_file(tmp_path, server)
    whole = state.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 20)):
        state.write_bytes(whole[:size])
        again = daemon_of(port=server.port)
        assert lives(again.port, 1)
        again.stop()


def test_two_daemons_of_one_directory_do_not_share_their_numbers(daemon_of):
    """Each port has its own state: a restart repeats nothing, whatever the other did."""
    first, second = daemon_of(), daemon_of()
    before = lives(first.port, LIVES)
    lives(second.port, LIVES)
    first.crash()
    second.stop()
    assert not set(before) & set(lives(daemon_of(port=first.port).port, LIVES))
