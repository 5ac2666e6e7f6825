"""Which addresses are listened on, and what is said when one cannot be had."""

import os
import socket

import pytest

import wire
from daemon import Daemon, free_port, listening_addresses, our_epmd, run, stock_epmd

LISTS = [
    "127.0.0.1",
    "::1",
    "127.0.0.2",
    "127.0.0.2,127.0.0.3",
    "127.0.0.1,127.0.0.2",
    "127.0.0.2,::1",
    "127.0.0.2, 127.0.0.3",
    "127.0.0.2 127.0.0.3",
    "127.0.0.2,",
    ",127.0.0.2",
    "",
    ",",
    "::ffff:127.0.0.2",
]

# Lists that name an address twice, if only as one of all. Stock ends without a word, with 0, as if
# another epmd had the port: whoever starts it believes that there is one.
OVERLAPPING = {
    "127.0.0.2,127.0.0.2": ["127.0.0.1", "127.0.0.2", "::1"],
    "0.0.0.0": ["0.0.0.0", "::1"],
    "::": ["127.0.0.1", "::"],
    "127.0.0.2,0.0.0.0": ["0.0.0.0", "::1"],
    "0.0.0.0,::": ["0.0.0.0", "::"],
}


def addresses_with(program, directory, *flags, **env):
    """What it listens on, or how it refused to."""
    server = Daemon(program, directory, *flags, env=env)
    try:
        with server:
            return listening_addresses(server.port)
    except AssertionError:
        return f"exits {server.process.returncode}"


@pytest.fixture
def both(tmp_path):
    for name in ("stock", "ours"):
        (tmp_path / name).mkdir()
    return lambda *flags, **env: [
        addresses_with(stock_epmd(), tmp_path / "stock", *flags, **env),
        addresses_with(our_epmd(), tmp_path / "ours", *flags, **env),
    ]


def test_without_a_list_every_address_is_listened_on(both):
    stock, ours = both()
    assert ours == stock


@pytest.mark.parametrize("addresses", OVERLAPPING)
def test_an_address_that_is_named_twice_is_listened_on_once(both, addresses):
    stock, ours = both("-address", addresses)
    assert stock == "exits 0"
    assert ours == OVERLAPPING[addresses]


@pytest.mark.parametrize("addresses", LISTS)
def test_the_flag_names_the_addresses_and_loopback_is_always_there(both, addresses):
    stock, ours = both("-address", addresses)
    assert ours == stock


@pytest.mark.parametrize("addresses", ["127.0.0.2", "127.0.0.2,127.0.0.3", "::1", ""])
def test_the_environment_names_the_addresses(both, addresses):
    stock, ours = both(ERL_EPMD_ADDRESS=addresses)
    assert ours == stock


def test_the_flag_wins_over_the_environment(both):
    stock, ours = both("-address", "127.0.0.3", ERL_EPMD_ADDRESS="127.0.0.2")
    assert ours == stock


@pytest.mark.parametrize(
    "addresses",
    ["localhost", "127.0.0", "127.0.0.256", "1::2::3", "nonsense", "127.0.0.2;127.0.0.3"],
)
def test_what_is_no_address_is_refused_and_named(both, tmp_path, addresses):
    stock, ours = both("-address", addresses)
    assert ours == stock
    if ours == "exits 1":
        done = run(our_epmd(), "-port", free_port(), "-address", addresses, directory=tmp_path)
        assert addresses in done.stderr.decode()


def test_an_address_of_the_list_is_connected_to_and_another_is_not(epmd):
    server = epmd("-address", "127.0.0.2")
    assert wire.look_up(server.port, "nobody", host="127.0.0.2").result == 1
    with pytest.raises(ConnectionRefusedError):
        wire.connect(server.port, host="127.0.0.3")


@pytest.mark.parametrize("addresses", ["10.255.255.1", "127.0.0.2,10.255.255.1"])
def test_an_absent_address_is_named(tmp_path, addresses):
    done = run(our_epmd(), "-port", free_port(), "-address", addresses, directory=tmp_path)
    assert done.returncode == 1
    assert "10.255.255.1" in done.stderr.decode()


def test_a_taken_port_ends_a_second_daemon_without_a_word(epmd, tmp_path):
    server = epmd()
    done = run(our_epmd(), "-port", server.port, directory=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_taken_port_is_explained_to_who_asks_for_debugging(epmd, tmp_path):
    server = epmd()
    done = run(our_epmd(), "-port", server.port, "-d", directory=tmp_path)
    assert done.returncode == 1
    assert str(server.port) in done.stderr.decode()
    assert str(server.pid) in done.stderr.decode()


def test_an_address_of_the_list_that_is_taken_is_never_run_without(tmp_path):
    """Half of what was asked for is nothing: somebody would wait at the other address for ever."""
    with socket.socket() as other:
        port = free_port()
        other.bind(("127.0.0.2", port))
        other.listen()
        done = run(our_epmd(), "-port", port, "-address", "127.0.0.2", "-d", directory=tmp_path)
        assert done.returncode == 1
        assert f"127.0.0.2:{port}" in done.stderr.decode()
        assert str(os.getpid()) in done.stderr.decode()
        assert listening_addresses(port) == ["127.0.0.2"]
