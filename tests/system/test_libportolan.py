"""libportolan, through the programs of docs/examples, against stock epmd, our daemon and real
Erlang nodes."""

import re
import select
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

import erl
import wire
from daemon import BUILD, Daemon, environment, free_port, our_epmd, stock_epmd
from deadlines import scaled, wait_for
from fake_control import FakeControl, failure, ok

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "docs" / "examples"
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror"]
SHARED = BUILD / "lib" / "libportolan.so"
STATIC = BUILD / "lib" / "libportolan.a"

pytestmark = pytest.mark.skipif(not (SHARED.exists() and STATIC.exists()), reason=f"no library in {BUILD / 'lib'}")

needs_erlang = pytest.mark.skipif(erl.missing() is not None, reason=str(erl.missing()))


def compile_example(source, program, *libraries):
    subprocess.run(["cc", *WARNINGS, "-D_POSIX_C_SOURCE=200809L", f"-I{REPOSITORY / 'include'}", "-o", str(program),
                    str(source), *libraries], check=True)
    return program


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Every example, linked to the shared library."""
    directory = tmp_path_factory.mktemp("examples")
    sources = sorted(EXAMPLES.glob("*.c"))
    assert len(sources) == 9
    for source in sources:
        event = ["-levent_core"] if "libevent" in source.stem else []
        compile_example(source, directory / source.stem, f"-L{SHARED.parent}", f"-Wl,-rpath,{SHARED.parent}", "-lportolan",
                        *event)
    return directory


@pytest.fixture
def call(programs, tmp_path):
    """Runs an example with the given words and environment."""

    def run(name, *words, **env):
        env.setdefault("PORTOLAN_CONTROL__SOCKET", tmp_path / "none.sock")
        return subprocess.run([str(programs / name), *map(str, words)], env=environment(tmp_path, **env),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(20))

    return run


@pytest.fixture(params=["ours", "stock"])
def mapper(request, tmp_path):
    """A running epmd: ours, and OTP's own."""
    program = our_epmd() if request.param == "ours" else stock_epmd()
    if program is None:
        pytest.skip("no stock epmd on this machine: install erlang-base")
    with Daemon(program, tmp_path) as server:
        yield server


class Portoland:
    """Our daemon with a front port and a control socket, as a host runs it."""

    def __init__(self, directory):
        self.directory, self.port, self.first = directory, free_port(), free_port()
        self.control = directory / "control.sock"
        self.log = directory / "portoland.log"
        self.env = {"PORTOLAN_CONTROL__SOCKET": self.control, "PORTOLAN_NODE__DIST_BASE_PORT": self.port}

    def __enter__(self):
        words = {"PORTOLAN_NODE__DIST_LISTEN_MIN": self.first, "PORTOLAN_NODE__DIST_LISTEN_MAX": self.first + 1}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(BUILD / "bin" / "portoland")], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment(self.directory, **self.env, **words))
        wait_for(lambda: self.control.exists() or self.process.poll() is not None, 10, self.log.read_text())
        assert self.process.poll() is None, self.log.read_text()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=scaled(10))


@pytest.fixture
def portoland(tmp_path):
    with Portoland(tmp_path) as daemon:
        yield daemon


class Registering:
    """The register example, holding its name until `stop`."""

    def __init__(self, programs, tmp_path, name, port, epmd_port):
        self.process = subprocess.Popen([str(programs / "register"), name, str(port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=environment(tmp_path, ERL_EPMD_PORT=epmd_port))
        self.line = self.process.stdout.readline()

    def stop(self):
        _, errors = self.process.communicate(timeout=scaled(10))
        return self.process.returncode, errors


# --- epmd ---


def test_a_name_is_registered_found_and_gone(mapper, call, programs, tmp_path):
    held = Registering(programs, tmp_path, "gate", 9000, mapper.port)
    assert held.line.startswith("registered gate, creation ")

    assert call("resolve", "gate@127.0.0.1", ERL_EPMD_PORT=mapper.port).stdout == "127.0.0.1:9000 (epmd)\n"
    assert call("resolve", "gate", ERL_EPMD_PORT=mapper.port).stdout == "localhost:9000 (epmd)\n"
    assert call("resolve", "gate@localhost", ERL_EPMD_PORT=mapper.port).stdout == "localhost:9000 (epmd)\n"
    assert call("names", ERL_EPMD_PORT=mapper.port).stdout == "gate 9000\n"
    assert held.stop() == (0, "")

    wait_for(lambda: wire.look_up(mapper.port, "gate").result == 1, 5, "the end of the registration")
    assert call("names", "127.0.0.1", ERL_EPMD_PORT=mapper.port).stdout == ""


def test_what_is_registered_says_what_a_node_says(mapper, programs, tmp_path):
    held = Registering(programs, tmp_path, "nœud", 65535, mapper.port)
    found = wire.look_up(mapper.port, "nœud")
    held.stop()
    assert (found.port, found.type, found.protocol, found.highest, found.lowest, found.extra) == (65535, 77, 0, 6, 5, b"")


def test_a_taken_name_is_refused_with_the_reason(mapper, call):
    conn, _ = wire.register(mapper.port, "gate", port=9000)
    refused = call("register", "gate", 9001, ERL_EPMD_PORT=mapper.port)
    conn.close()
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"register: cannot register 'gate': 127.0.0.1:{mapper.port} refused the name")


def test_the_end_of_epmd_is_noticed(mapper, programs, tmp_path):
    held = Registering(programs, tmp_path, "gate", 9000, mapper.port)
    mapper.crash()
    code = held.process.wait(timeout=scaled(10))
    assert (code, held.process.stderr.read()) == (1, "register: epmd has gone, and the name with it\n")
    held.process.stdin.close()


def test_a_long_listing_is_read_whole(epmd, call):
    server = epmd()
    conns = [wire.register(server.port, f"n{number}", port=20000 + number)[0] for number in range(300)]
    listed = call("names", "localhost", ERL_EPMD_PORT=server.port).stdout.splitlines()
    for conn in conns:
        conn.close()
    assert sorted(listed) == sorted(f"n{number} {20000 + number}" for number in range(300))


def test_a_node_that_epmd_does_not_know_is_derived_if_asked_for(mapper, call):
    unknown = call("resolve", "emqx-7@127.0.0.1", ERL_EPMD_PORT=mapper.port)
    assert (unknown.returncode, unknown.stdout) == (1, "") and "does not know it" in unknown.stderr
    assert call("resolve", "--derive", "emqx-7@127.0.0.1", ERL_EPMD_PORT=mapper.port).stdout == "127.0.0.1:4377 (derived)\n"
    assert call("resolve", "--derive", "emqx-7@127.0.0.1", ERL_EPMD_PORT=mapper.port,
                PORTOLAN_NODE__DIST_BASE_PORT=5000).stdout == "127.0.0.1:5007 (derived)\n"


@pytest.mark.parametrize("words", [["rabbit@no-such-host.invalid"], ["--derive", "rabbit@no-such-host.invalid"]])
def test_a_host_without_address_is_never_an_answer(call, words):
    told = call("resolve", *words)
    assert (told.returncode, told.stdout) == (1, "") and "no-such-host.invalid" in told.stderr


def test_nobody_there_is_told_with_what_to_do(call):
    port = free_port()
    told = call("names", "localhost", ERL_EPMD_PORT=port)
    assert told.returncode == 1
    assert told.stderr.startswith("names: cannot list the names of 'localhost': ")
    assert f"127.0.0.1:{port}: Connection refused" in told.stderr
    assert told.stderr.endswith("; is epmd or portoland running there?\n")


def test_a_wrong_variable_is_told(call):
    told = call("names", ERL_EPMD_PORT="high")
    assert told.stderr == "names: cannot read the environment variable 'ERL_EPMD_PORT': \"high\" is not a port, 1 to 65535\n"


def test_the_deadline_is_kept_by_the_example(call):
    """Of its 2 s the local port that listens and never answers costs all; the rule, if asked for,
    answers then."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        told = call("resolve", "--derive", "a3@127.0.0.1", ERL_EPMD_PORT=silent.getsockname()[1])
        took = time.monotonic() - began
    assert told.stdout == "127.0.0.1:4373 (derived)\n"
    assert 2 <= took < 2 + scaled(2)


def test_many_nodes_at_once(mapper, call):
    conns = [wire.register(mapper.port, f"n{number}", port=20000 + number)[0] for number in range(100)]
    hosts = ["127.0.0.1", "localhost"]
    nodes = [f"n{number}@{hosts[number % 2]}" for number in range(100)]
    done = call("resolve_many", *nodes, ERL_EPMD_PORT=mapper.port)
    for conn in conns:
        conn.close()
    assert done.returncode == 0, done.stderr
    expected = [f"{node} {hosts[number % 2]}:{20000 + number}" for number, node in enumerate(nodes)]
    assert sorted(done.stdout.splitlines()) == sorted(expected)


def test_many_nodes_at_once_in_the_loop_of_libevent(portoland, call):
    conns = [wire.register(portoland.port, f"n{number}", port=20000 + number)[0] for number in range(100)]
    done = call("resolve_libevent", *(f"n{number}@127.0.0.1" for number in range(100)), "none@127.0.0.1", **portoland.env,
                ERL_EPMD_PORT=portoland.port)
    for conn in conns:
        conn.close()
    assert done.returncode == 1 and "none@127.0.0.1" in done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(f"n{number}@127.0.0.1 127.0.0.1:{20000 + number}" for number in range(100))


def test_long_listings_in_an_edge_triggered_loop(epmd, call):
    """An edge tells of what has come, not of what was left unread."""
    server = epmd()
    conns = [wire.register(server.port, f"n{number}", port=20000 + number)[0] for number in range(900)]
    began = time.monotonic()
    done = call("names_epoll", "localhost", "127.0.0.1", "no-such-host.invalid", ERL_EPMD_PORT=server.port)
    took = time.monotonic() - began
    for conn in conns:
        conn.close()
    assert sorted(done.stdout.splitlines()) == ["127.0.0.1: 900 names", "localhost: 900 names"], done.stderr
    assert done.returncode == 1 and "no-such-host.invalid" in done.stderr
    assert took < scaled(5)


def test_a_name_is_kept_registered_over_the_end_of_epmd(programs, tmp_path):
    port = free_port()
    keeper = subprocess.Popen([str(programs / "keep_registered"), "gate", "9000"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env=environment(tmp_path, ERL_EPMD_PORT=port))
    with Daemon(our_epmd(), tmp_path, port=port) as first:
        assert keeper.stdout.readline().startswith("registered gate, creation ")
        first.crash()
        assert keeper.stdout.readline() == "lost gate\n"
    with Daemon(our_epmd(), tmp_path, port=port):
        assert keeper.stdout.readline().startswith("registered gate, creation ")
        assert wire.look_up(port, "gate").port == 9000
        keeper.communicate(timeout=scaled(10))
    assert keeper.returncode == 0


def test_what_is_wrong_among_many_is_told_and_the_rest_found(mapper, call):
    conn, _ = wire.register(mapper.port, "good", port=9000)
    done = call("resolve_many", "bad@@", "good@127.0.0.1", "remsh@127.0.0.1", "far@no-such-host.invalid", ERL_EPMD_PORT=mapper.port)
    conn.close()
    assert done.returncode == 1
    assert done.stdout == "good@127.0.0.1 127.0.0.1:9000\n"
    assert "cannot resolve 'bad@@'" in done.stderr
    assert "does not know it" in done.stderr
    assert "cannot resolve 'far@no-such-host.invalid'" in done.stderr


@needs_erlang
def test_a_real_node_is_found_where_it_listens(mapper, call, tmp_path):
    node = erl.Node("lib1", mapper.port, tmp_path, short=True).started()
    try:
        whole = node.evaluate("node()").strip("'")
        found = call("resolve", whole, ERL_EPMD_PORT=mapper.port)
        assert found.stdout == f"{whole.split('@')[1]}:{node.listening_port} (epmd)\n", found.stderr
        assert call("names", ERL_EPMD_PORT=mapper.port).stdout == f"lib1 {node.listening_port}\n"
    finally:
        node.stop()


@needs_erlang
def test_a_real_node_sees_what_the_library_registers(mapper, programs, tmp_path):
    held = Registering(programs, tmp_path, "gate", 9000, mapper.port)
    node = erl.Node("lib2@127.0.0.1", mapper.port, tmp_path).started()
    try:
        assert node.evaluate('element(2, erl_epmd:port_please("gate", {127,0,0,1}))') == "9000"
    finally:
        node.stop()
        held.stop()


def test_a_process_out_of_descriptors_is_told(programs, tmp_path):
    done = subprocess.run(["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", str(programs / "resolve_many"),
                           *(f"n{number}@127.0.0.1" for number in range(30))], capture_output=True, text=True,
                          env=environment(tmp_path, ERL_EPMD_PORT=free_port()), timeout=scaled(20))
    assert done.returncode == 1
    assert "Too many open files; raise the limits of this process (ulimit -n, -u)" in done.stderr


# --- the control socket ---


def test_the_daemon_of_the_host_is_asked_first(call, tmp_path):
    with FakeControl(tmp_path / "c.sock", {"resolve": ok(node="a@192.0.2.1", host="192.0.2.1", port=7,
                                                               source="registered")}) as control:
        found = call("resolve", "a@192.0.2.1", PORTOLAN_CONTROL__SOCKET=control.path)
        assert found.stdout == "192.0.2.1:7 (registered)\n"
        assert control.requests == [{"v": 1, "command": "resolve", "node": "a@192.0.2.1"}]


def test_a_registered_node_of_a_host_without_address_is_not_an_answer(call, tmp_path):
    found = ok(node="a@s1.invalid", host="s1.invalid", port=7, source="registered")
    with FakeControl(tmp_path / "c.sock", {"resolve": found}) as control:
        told = call("resolve", "a@s1.invalid", PORTOLAN_CONTROL__SOCKET=control.path)
    assert (told.returncode, told.stdout) == (1, "")
    assert "portoland has it registered at port 7, but the host s1.invalid: " in told.stderr


def test_a_denied_lease_says_who_may(call, tmp_path):
    with FakeControl(tmp_path / "c.sock", {"lease": failure("denied", "this is for root")}) as control:
        told = call("lease", "a@s1", PORTOLAN_CONTROL__SOCKET=control.path)
    assert (told.returncode, told.stderr) == (1, "lease: cannot lease a port for 'a@s1': portoland reports: this is for root\n")


def test_no_daemon_is_told(call, tmp_path):
    told = call("lease", "a")
    assert told.stderr == (f"lease: cannot lease a port for 'a': portoland at {tmp_path / 'none.sock'}: No such file or "
                           "directory; start it, or name its control socket in the options\n")


def test_leases_come_from_the_daemon_and_go_back(portoland, call):
    def leased(node):
        done = call("lease", node, **portoland.env)
        assert done.returncode == 0, done.stderr
        epmd, flags = done.stdout.splitlines()
        assert epmd == f"export ERL_EPMD_PORT={portoland.port}"
        return int(flags.rstrip('"').split()[-1])

    first, second = leased("a"), leased("b")
    assert {first, second} == {portoland.first, portoland.first + 1}
    assert leased("a") == first
    full = call("lease", "c", **portoland.env)
    assert full.returncode == 1 and f"a has {first}" in full.stderr and f"b has {second}" in full.stderr
    assert call("lease", "--release", "a", **portoland.env).returncode == 0
    assert leased("c") == first
    assert call("lease", "--release", "a", **portoland.env).returncode == 1


def test_the_daemon_says_what_it_has_registered(portoland, call, programs, tmp_path):
    held = Registering(programs, tmp_path, "gate", 9000, portoland.port)
    assert held.line.startswith("registered gate"), held.stop()
    host = socket.gethostname()
    assert call("resolve", f"gate@{host}", **portoland.env).stdout == f"{host}:9000 (registered)\n"
    assert call("names", **portoland.env).stdout == "gate 9000\n"
    assert held.stop() == (0, "")


def test_a_watch_tells_what_happens(portoland, programs, tmp_path):
    watch = subprocess.Popen([str(programs / "watch")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=environment(tmp_path, **portoland.env))
    held = None
    try:  # a watch has begun when it tells of something: registered again and again until then
        told = None
        for number in range(100):
            held = Registering(programs, tmp_path, f"gate{number}", 9000, portoland.port)
            held.stop()
            if select.select([watch.stdout], [], [], 0.1)[0]:
                told = watch.stdout.readline()
                break
        assert re.fullmatch(r"(registered|unregistered|port_shared) gate\d+ 9000\n", told), told
        portoland.process.terminate()
        watch.communicate(timeout=scaled(10))
        assert watch.returncode == 0
    finally:
        watch.kill()
        watch.wait()


# --- the manual page ---

MANUAL = REPOSITORY / "man" / "libportolan.3"


def test_the_page_has_every_function_member_and_constant():
    page = MANUAL.read_text()
    header = re.sub(r"/\*.*?\*/", "", (REPOSITORY / "include" / "portolan.h").read_text(), flags=re.DOTALL)
    for function in declared():
        assert f".Nm {function}" in page, function
        told = len(re.findall(rf"^\.Fn {function}\b", page, re.MULTILINE))
        assert told >= (1 if function.endswith("_start") else 2), f"{function}: in the synopsis alone"
    for members in re.findall(r"^struct portolan_\w+ \{(.*?)^\};", header, re.MULTILINE | re.DOTALL):
        for line in filter(None, map(str.strip, members.splitlines())):
            assert line in page, line
    for constant in re.findall(r"\bPORTOLAN_(?:ERROR|SOURCE|NODE|MEMBER)_[A-Z_]+\b", header):
        assert constant in page or constant.endswith("_SIZE"), constant


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_page_work(tmp_path, mapper, number):
    blocks = re.findall(r"\.Bd -literal -offset indent\n(#include.*?)\.Ed", MANUAL.read_text(), re.DOTALL)
    assert len(blocks) == 2
    source = tmp_path / "page.c"
    source.write_text(blocks[number].replace("\\en", "\\n").replace("rabbit@s1", "gate@localhost"))
    program = tmp_path / "page"
    subprocess.run(["cc", *WARNINGS, "-D_DEFAULT_SOURCE", f"-I{REPOSITORY / 'include'}", "-o", str(program), str(source),
                    str(STATIC), "-pthread"], check=True)
    done = subprocess.run([str(program)], env=environment(tmp_path), capture_output=True, text=True, timeout=scaled(20))
    assert done.returncode in (0, 1) and (done.returncode == 0 or "cannot " in done.stderr), done.stderr


# --- the libraries themselves ---


def exported(*words):
    lines = subprocess.run(["nm", "--defined-only", *words], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[2] for line in lines if len(line.split()) == 3 and line.split()[1] in "TDBRVWC"}


def declared():
    """The functions of the public header."""
    words = (REPOSITORY / "include" / "portolan.h").read_text().replace("(", " ( ").replace("*", " ").split()
    return {word for word, after in zip(words, words[1:]) if word.startswith("portolan_") and after == "("}


def test_the_libraries_export_the_header_and_nothing_else():
    functions = {f"{name}@@PORTOLAN_0.2" for name in declared()}
    assert exported("-D", str(SHARED)) - {"PORTOLAN_0.2"} == functions
    assert exported(str(STATIC)) == declared()


def test_the_shared_library_needs_no_event_loop_and_no_tls():
    needed = subprocess.run(["readelf", "-d", str(SHARED)], check=True, capture_output=True, text=True).stdout
    assert "[libportolan.so.0]" in needed
    assert not any(name in needed for name in ("libevent", "libssl", "libcrypto", "libjansson"))


def test_the_static_library_links(tmp_path, mapper):
    program = compile_example(EXAMPLES / "names.c", tmp_path / "names", str(STATIC), "-pthread")
    done = subprocess.run([str(program)], env=environment(tmp_path, ERL_EPMD_PORT=mapper.port), capture_output=True,
                          timeout=scaled(20))
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler on this machine")
def test_the_header_is_cxx_too(tmp_path):
    source = tmp_path / "header.cc"
    source.write_text('#include <portolan.h>\nint main() { return portolan_error_text(PORTOLAN_OK)[0] == 0; }\n')
    subprocess.run(["c++", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{REPOSITORY / 'include'}", "-o",
                    str(tmp_path / "header"), str(source), str(STATIC), "-pthread"], check=True)
