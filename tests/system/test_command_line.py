"""epmd's command line: each call made with OTP's program against its own daemon, and with ours
against ours.

What is printed on stdout and the exit code are equal. On stderr ours says usage and complaints
where stock does, in words of its own.
"""

import contextlib
import re
from dataclasses import dataclass

import pytest

import wire
from daemon import Daemon, our_epmd, run, stock_epmd
from deadlines import wait_for

NODES = {
    "nobody": {},
    "two nodes": {"first": {}, "second": {"port": 41000, "node_type": wire.HIDDEN_NODE}},
}
RELAXED = ("-relaxed_command_check",)


@dataclass
class Call:
    """`{port}` in an argument stands for the daemon's port; without a `-port` before it,
    ERL_EPMD_PORT is set.
    """

    arguments: tuple
    nodes: str = "two nodes"
    flags: tuple = ()
    running: bool = True

    def __str__(self):
        state = self.nodes + (" relaxed" if self.flags else "") if self.running else "no daemon"
        return f"{state}: {' '.join(self.arguments)}"


ASKING = [
    ("-names",),
    ("-dump",),
    ("-started",),
    ("-kill",),
    ("-stop", "first"),
    ("-stop", "nobody"),
]
FLAGS_BEFORE = [
    ("-d",),
    ("-debug",),
    ("-d", "-d"),
    ("-relaxed_command_check",),
    ("-address", "127.0.0.1"),
    ("-address", "10.255.255.1"),
    ("-address", "nonsense"),
    ("-packet_timeout", "5"),
    ("-delay_accept", "1"),
    ("-delay_write", "1"),
    ("-systemd",),
    ("-daemon",),
]
USAGE = [
    ("-foo",),
    ("foo",),
    ("",),
    ("-",),
    ("--",),
    ("-port",),
    ("-port", "0"),
    ("-port", "abc"),
    ("-h",),
    ("-help",),
    ("-version",),
    ("-packet_timeout",),
    ("-packet_timeout", "abc"),
    ("-packet_timeout", "0"),
    ("-delay_accept",),
    ("-delay_accept", "x"),
    ("-delay_write",),
    ("-delay_write", "x"),
    ("-address",),
    ("-debugx",),
    ("-nam",),
    ("-name",),
    ("-names", "x"),
    ("-dump", "x"),
    ("-started", "x"),
    ("-kill", "x"),
    ("-stop",),
    ("-stop", "first", "x"),
    ("-names", "-port", "{port}"),
    ("-names", "-daemon"),
    ("-names", "-kill"),
    ("-kill", "-names"),
    ("-started", "-names"),
    ("-D",),
    ("-Names",),
    ("-daemonx",),
    ("-systemd", "x"),
]

CALLS = (
    [Call(words, running=False) for words in ASKING]
    + [Call(("-port", "{port}", *words), running=False) for words in ASKING]
    + [Call(words, nodes) for nodes in NODES for words in ASKING]
    + [Call(words, nodes, RELAXED) for nodes in NODES for words in ASKING]
    + [Call(("-port", "{port}", *words)) for words in ASKING]
    + [Call(("-port", "{port}", *flag, "-names")) for flag in FLAGS_BEFORE]
    + [Call((*flag, "-port", "{port}", "-names")) for flag in FLAGS_BEFORE]
    + [
        Call(("-relaxed_command_check", "-kill")),
        Call(("-relaxed_command_check", "-stop", "first")),
    ]
    + [Call(("-port", "0{port}", "-names"))]
    + [Call(words) for words in USAGE]
    + [
        Call(()),
        Call(("-daemon",)),
        Call(("-address", "127.0.0.1")),
        Call(("-address", "nonsense")),
        Call(("-address", "localhost")),
        Call(("-address", "")),
        Call(("-systemd",)),
        Call(("-systemd",), running=False),
    ]
)


@contextlib.contextmanager
def daemon_with(program, directory, call):
    """A daemon with the call's nodes, or none; yields its port, and the daemon."""
    with contextlib.ExitStack() as held:
        server = Daemon(program, directory, *call.flags)
        if call.running:
            held.enter_context(server)
            for name, fields in NODES[call.nodes].items():
                held.enter_context(wire.register(server.port, name, **fields)[0])
        else:
            with Daemon(program, directory) as gone:
                server.port = gone.port
        yield server


def masked(text, port):
    return re.sub(r"fd = \d+", "fd = FD", text.decode().replace(str(port), "PORT"))


def made(call, program, directory, server_of=None):
    """stdout, exit code and stderr of the call, and whether the daemon lives on."""
    directory.mkdir(exist_ok=True)
    with daemon_with(server_of or program, directory, call) as server:
        words = [word.format(port=server.port) for word in call.arguments]
        done = run(program, *words, directory=directory, ERL_EPMD_PORT=server.port)
        if call.running and done.stdout == b"Killed\n":
            server.exit_code()
        lives = call.running and not server.exited
        return (
            masked(done.stdout, server.port),
            done.returncode,
            lives,
            masked(done.stderr, server.port),
        )


# Meant to differ: the reason, and the exit code of ours. An entry that no more differs is stale.
DIFFERENT = [
    (Call(("-port", "{port}x", "-names")), "stock reads a port up to its first letter", 1),
    (Call(("-port", " {port}", "-names")), "stock skips blanks before a port", 1),
    (Call(("-port", "+{port}", "-names")), "stock takes a sign before a port", 1),
    (Call(("--help",)), "stock knows no --help, and calls it a mistake", 0),
    (Call(("-d",)), "stock says that the port is taken, and exits 0", 1),
    (Call(("-debug",)), "stock says that the port is taken, and exits 0", 1),
]

COMPLAINTS = ("usage: epmd", "epmd: Cannot connect to local epmd\n")


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_answers_as_stock(call, tmp_path):
    stock, ours = made(call, stock_epmd(), tmp_path / "stock"), made(
        call, our_epmd(), tmp_path / "ours"
    )
    assert ours[:3] == stock[:3]
    assert bool(ours[3]) == bool(stock[3]), ours[3]
    assert [text in ours[3] for text in COMPLAINTS] == [text in stock[3] for text in COMPLAINTS]


@pytest.mark.parametrize("call, reason, code", DIFFERENT, ids=lambda part: str(part))
def test_a_call_differs_as_intended(call, reason, code, tmp_path):
    stock, ours = made(call, stock_epmd(), tmp_path / "a"), made(call, our_epmd(), tmp_path / "b")
    assert ours[1] == code
    assert stock[1] != code, f"stock does the same now, so this is stale: {reason}"
    assert ours[0] or ours[3], "whoever gets something else is told what"


@pytest.mark.parametrize(
    "call",
    [Call(words, nodes, flags) for words in ASKING for nodes in NODES for flags in ((), RELAXED)],
    ids=str,
)
def test_each_program_asks_the_other_daemon_alike(call, tmp_path):
    own = made(call, stock_epmd(), tmp_path / "own")
    assert made(call, our_epmd(), tmp_path / "ours-asks", server_of=stock_epmd())[:3] == own[:3]
    assert made(call, stock_epmd(), tmp_path / "ours-answers", server_of=our_epmd())[:3] == own[:3]


@pytest.mark.parametrize("value", ["1", "true", "false", "0", ""])
@pytest.mark.parametrize("program", [stock_epmd, our_epmd], ids=["stock", "ours"])
def test_relaxed_command_check_set_at_all_is_on(program, value, tmp_path):
    with Daemon(program(), tmp_path, env={"ERL_EPMD_RELAXED_COMMAND_CHECK": value}) as server:
        node, _ = wire.register(server.port, "a")
        with node:
            assert wire.ask(server.port, wire.stop("a")) == b"STOPPED"


@pytest.mark.parametrize("program", [stock_epmd, our_epmd], ids=["stock", "ours"])
def test_the_port_flag_wins_over_the_environment(program, tmp_path):
    with Daemon(program(), tmp_path, env={"ERL_EPMD_PORT": "1"}) as server:
        done = run(program(), "-port", server.port, "-names", directory=tmp_path, ERL_EPMD_PORT=1)
        assert done.stdout.decode() == f"epmd: up and running on port {server.port} with data:\n"


@pytest.mark.parametrize("port", ["0", "abc", "", "-5x"])
def test_a_bad_port_in_the_environment_answers_as_stock(port, tmp_path):
    answers = [
        run(program, "-names", directory=tmp_path, ERL_EPMD_PORT=port)
        for program in (stock_epmd(), our_epmd())
    ]
    assert answers[0].stdout == answers[1].stdout
    assert answers[0].returncode == answers[1].returncode


def test_kill_leaves_the_port_free(tmp_path):
    with Daemon(our_epmd(), tmp_path) as server:
        assert (
            run(our_epmd(), "-port", server.port, "-kill", directory=tmp_path).stdout == b"Killed\n"
        )
        assert server.exit_code() == 0
        wait_for(lambda: not server.answers(), 5, "the port to be free")
