"""The control socket of a real daemon: what docs/control.md promises, and what no client may do to
it."""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import struct
import time
from pathlib import Path

import pytest

import wire
from daemon import REPOSITORY, Daemon, free_port, our_epmd
from deadlines import wait_for
from portolan_cli import open_to_all, runs_as_nobody
from portoland import Control, Portoland, portoland  # noqa: F401

LINE_MAX = 65536
READING = [["status"], ["names"], ["leases"], ["resolve", "a@localhost"], ["port", "a1"]]
CHANGING = [["lease", "b"], ["lease", "a", "--release"], ["reload"], ["stop"], ["exec", "b", "--", "true"]]


def of_root(test):
    return pytest.mark.skipif(os.geteuid() != 0, reason="runs calls as other users, which takes root")(test)


# --- what is answered ---

def test_every_reply_has_the_members_that_are_documented(portoland):
    """The replies of the page, member by member; numbers and texts of its examples stand for their
    types."""
    server = portoland()
    document = (REPOSITORY / "docs" / "control.md").read_text()

    def documented(command):
        section = re.search(rf"^### `{command}`.*?(?=^###|\Z)", document, re.M | re.S)[0]
        return json.loads(re.search(r"^```json\n(.*?)^```$", section, re.M | re.S)[1].split("\n{")[0])

    with wire.register(server.port, "rabbit", port=5000)[0], server.dial() as control:
        for command, members in {"status": {}, "names": {}, "resolve": {"node": "rabbit"}, "lease": {"node": "emqx@h"},
                                 "leases": {}, "reload": {}}.items():
            assert shape(control.ask(command, **members)) == shape(documented(command)), command
        assert control.ask("release", node="emqx") == {"v": 1, "ok": True}
        assert control.ask("watch") == {"v": 1, "ok": True}


def shape(value):
    """The value with its types in the place of what differs from day to day."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else list
    return bool if isinstance(value, bool) else type(value) if value is not None else type(None)


def test_the_events_have_the_members_that_are_documented(portoland):
    section = re.search(r"^### `watch`.*?^```json\n(.*?)^```$", (REPOSITORY / "docs" / "control.md").read_text(), re.M | re.S)[1]
    documented = {}
    for line in section.splitlines():
        event = json.loads(line)
        documented.setdefault(event["event"], shape(event))
    server = portoland("--set", "node.port_enforce=on", "--set", "node.port_policy=range")
    with server.dial() as control:
        control.ask("watch")
        caller = server.dial()
        port = caller.ask("lease", node="rabbit@s1")["port"]
        caller.ask("lease", node="emqx@s1")
        caller.ask("release", node="emqx@s1")
        with wire.register(server.port, "rabbit", port=port)[0]:
            wire.register(server.port, "stray", port=1)[0].close()
            wire.register(server.port, "hare", port=caller.ask("lease", node="hare")["port"])[0].close()
            taken = socket.create_server(("127.0.0.1", server.port + 1))
            with wire.register(server.port, "emqx-1", port=caller.ask("lease", node="emqx-1")["port"])[0]:
                seen = {}
                for awaited in ("no_front_port", "front_port_given"):
                    while awaited not in seen:
                        event = control.reply()
                        seen[event["event"]] = shape(event)
                    taken.close()
        caller.close()
        while len(seen) < len(documented):
            event = control.reply()
            seen[event["event"]] = shape(event)
    assert seen == documented


def test_a_node_that_is_gone_before_its_answer_came_and_left(portoland):
    """No event tells the end of what no event told the beginning of."""
    server = portoland()
    with server.dial() as watch:
        assert watch.ask("watch")["ok"]
        os.kill(server.pid, signal.SIGSTOP)
        node = wire.connect(server.port)
        node.sendall(wire.alive("rabbit"))
        node.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
        node.close()
        os.kill(server.pid, signal.SIGCONT)
        server.lease("emqx@h")  # later than the node
        assert list(iter(lambda: watch.reply()["event"], "leased")) == ["registered", "unregistered"]
    assert server.says("names")["names"] == []


def test_what_is_said_of_a_node_follows_what_happens(portoland):
    server = portoland()
    with server.dial() as control:
        assert control.ask("resolve", node="rabbit@localhost")["error"]["code"] == "not_found"
        port = control.ask("lease", node="rabbit@localhost")["port"]
        with wire.register(server.port, "rabbit", port=port)[0]:
            held = control.ask("lease", node="rabbit@localhost")
            assert (held["port"], held["held"], held["expires_in_ms"]) == (port, True, None)
            found = control.ask("resolve", node="rabbit")
            assert (found["host"], found["port"], found["source"]) == ("", port, "registered")
            assert control.ask("resolve", node="rabbit@192.0.2.1")["error"]["code"] == "not_found"
            assert control.ask("status")["names"] == 1
        wait_for(lambda: control.ask("names")["names"] == [], 5, "the node to be gone")


@pytest.mark.parametrize("request_line, code", [
    (b'{"v":2,"command":"status"}', "bad_request"), (b'{"command":"status"}', "bad_request"), (b"{}", "bad_request"),
    (b'{"v":1}', "bad_request"), (b'{"v":1,"command":7}', "bad_request"), (b'{"v":1,"command":"dance"}', "unknown_command"),
    (b'{"v":1,"command":"lease"}', "bad_request"), (b'{"v":1,"command":"lease","node":"@h"}', "bad_request"),
    (b'{"v":1,"command":"lease","node":["a"]}', "bad_request"), (b'{"v":1,"command":"port","nodes":"a"}', "bad_request"),
    (b'{"v":1,"command":"port","nodes":[],"base":65536}', "bad_request"),
    (b'{"v":1,"command":"port","nodes":[],"base":"4370"}', "bad_request"),
    (b'{"v":1,"command":"port","nodes":["a",7]}', "bad_request"),
    (b'{"v":1,"command":"release","node":"nobody"}', "not_found")])
def test_a_request_that_cannot_be_is_refused_and_the_next_one_served(portoland, request_line, code):
    with portoland().dial() as control:
        control.say(request_line + b"\n")
        reply = control.reply()
        assert (reply["v"], reply["ok"]) == (1, False) and reply["error"]["code"] == code and reply["error"]["message"]
        assert control.ask("leases")["ok"]


@pytest.mark.parametrize("bytes_", [b"GET / HTTP/1.1\r\n", b"[]\n", b"\n", b'{"v":1,"v":1,"command":"status"}\n', b"\xff\xfe\n",
                                    b"[" * 60000 + b"\n", b"x" * LINE_MAX, b"x" * (4 * LINE_MAX)],
                         ids=["HTTP", "array", "empty", "twice", "bytes", "deep", "endless", "more"])
def test_what_is_no_request_is_told_so_and_left(portoland, bytes_):
    server = portoland()
    with server.dial() as control:
        try:
            control.say(bytes_)
        except BrokenPipeError:
            pass  # it has said so before we had said all
        reply = control.reply()
        assert not reply["ok"] and reply["error"]["code"] == "bad_request"
        assert control.ended()
    assert server.says("status")["ok"]


def test_a_request_may_come_byte_by_byte_and_be_as_long_as_it_may(portoland):
    server = portoland()
    with server.dial() as control:
        for byte in b'{"v":1,"command":"leases"}\n':
            control.say(bytes([byte]))
        assert control.reply()["leases"] == []
        request = b'{"v":1,"command":"leases","x":"' + b"x" * LINE_MAX
        control.say(request[:LINE_MAX - 3] + b'"}\n')
        assert control.reply()["ok"]


def lease_many(server, count):
    """So many leases of long names, so that the list of them is a long reply."""
    with server.dial() as control:
        for batch in range(0, count, 500):
            for number in range(batch, batch + 500):
                control.request("lease", node=f"{'n' * 240}{number}")
            assert all(control.reply()["ok"] for _ in range(500))


def test_a_client_that_says_no_more_gets_its_answer(portoland):
    """As `nc -N` does it, also when the answer is a long one."""
    server = portoland("--set", "node.dist_listen_min=20000", "--set", "node.dist_listen_max=32000")
    lease_many(server, 5000)
    for _ in range(20):
        with server.dial() as control:
            control.request("leases")
            control.conn.shutdown(socket.SHUT_WR)
            reply = control.reply()
            assert reply is not None and len(reply["leases"]) == 5000
            assert control.ended()


def test_requests_in_a_row_are_answered_in_their_order(portoland):
    with portoland().dial() as control:
        requests = [json.dumps({"v": 1, "command": "port", "nodes": [f"n{i}@h"]}).encode() for i in range(2000)]
        control.say(b"\n".join(requests) + b"\n")
        assert [control.reply()["ports"][0]["node"] for _ in requests] == [f"n{i}@h" for i in range(2000)]


def test_a_client_that_asks_for_much_at_once_and_reads_gets_it_all(portoland):
    server = portoland("--set", "node.dist_listen_min=20000", "--set", "node.dist_listen_max=32000")
    lease_many(server, 1000)
    with server.dial() as control:
        control.say(b'{"v":1,"command":"leases"}\n' * 20)
        assert [len(control.reply()["leases"]) for _ in range(20)] == [1000] * 20


def test_under_the_name_epmd_every_question_is_answered(tmp_path):
    """Such a daemon has no leases, and a control socket only where it is told to."""
    path = str(tmp_path / "control")
    with Daemon(our_epmd(), tmp_path, "--set", f"control.socket={path}") as server, Control(path) as control:
        with wire.register(server.port, "rabbit", port=5000)[0]:
            status = control.ask("status")
            assert (status["names"], status["leases"], status["front"]) == (1, 0, None)
            assert [entry["name"] for entry in control.ask("names")["names"]] == ["rabbit"]
        assert control.ask("leases")["leases"] == control.ask("streams")["streams"] == []
        for command in ("lease", "release"):
            assert control.ask(command, node="rabbit")["error"]["code"] == "failed"


# --- who may ---

@pytest.fixture
def for_all(portoland, tmp_path):
    """A daemon of root's that other users can reach."""
    open_to_all(tmp_path)
    if os.geteuid() == 0 and not runs_as_nobody():
        pytest.skip("the build is in a directory that other users may not enter")
    return portoland


@of_root
def test_another_user_may_read_and_change_nothing(for_all):
    server = for_all()
    assert server.lease("a") > 0
    with wire.register(server.port, "a", port=server.leases()["a"][0])[0]:
        for arguments in READING:
            call = server.call(*arguments, user="nobody")
            assert call.returncode == 0, (arguments, call.stderr)
        for arguments in CHANGING:
            call = server.call(*arguments, user="nobody")
            assert (call.returncode, call.stdout) == (5, ""), arguments
            assert "this command requires root, the daemon's own user or the group portolan" in call.stderr
        assert list(server.leases()) == ["a"]


@of_root
def test_the_daemons_own_user_and_root_may_change(for_all, tmp_path):
    home = tmp_path / "nobodys"
    home.mkdir()
    os.chown(home, 65534, 65534)
    server = for_all(directory=home, user="nobody")
    assert server.call("lease", "a", user="nobody").returncode == 0
    assert server.call("lease", "b").returncode == 0
    assert server.call("lease", "c", user="daemon").returncode == 5
    assert server.call("stop", user="nobody").returncode == 0
    assert server.exit_code() == 0


@of_root
def test_the_group_may_change(for_all, tmp_path):
    (tmp_path / "group").write_text(Path("/etc/group").read_text() + "portolan:x:4711:\n")
    mount = 'mount --bind "$0" /etc/group && exec "$@"'
    try:
        server = for_all(before=["unshare", "--mount", "sh", "-c", mount, tmp_path / "group"])
    except AssertionError:
        pytest.skip("no mount namespaces on this machine")
    assert server.call("lease", "a", user="nobody", group="nogroup", extra_groups=[]).returncode == 5
    assert server.call("lease", "a", user="nobody", group="nogroup", extra_groups=[4711]).returncode == 0
    assert server.call("lease", "b", user="nobody", group=4711, extra_groups=[]).returncode == 0


@of_root
def test_the_group_is_looked_up_at_start_and_reload_only(for_all, tmp_path):
    """Where groups come from a server, to ask it for each caller would hold everybody up."""
    group = tmp_path / "group"
    group.write_text(Path("/etc/group").read_text())
    mount = 'mount --bind "$0" /etc/group && exec "$@"'
    try:
        server = for_all(before=["unshare", "--mount", "sh", "-c", mount, group])
    except AssertionError:
        pytest.skip("no mount namespaces on this machine")
    with group.open("a") as file:
        file.write("portolan:x:4711:\n")

    def lease():
        return server.call("lease", "a", user="nobody", group="nogroup", extra_groups=[4711]).returncode
    assert lease() == 5
    assert server.call("reload").returncode == 0
    assert lease() == 0


# --- what no client may do ---

def test_a_client_that_does_not_read_holds_nobody_up(portoland):
    server = portoland("--set", "node.dist_listen_min=20000", "--set", "node.dist_listen_max=32000")
    lease_many(server, 2000)
    with server.dial() as greedy, server.dial() as control:
        greedy.conn.settimeout(0.2)
        with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)):
            for _ in range(5000):
                greedy.request("leases")
                assert control.ask("port", nodes=["a"])["ok"]
        before = rss_kib(server.pid)
        assert control.ask("leases")["ok"]
        assert rss_kib(server.pid) < before + 16 * 1024


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_answered_or_turned_away(control):
    try:
        control.request("status")
        reply = control.reply()
    except ConnectionError:
        return True
    return reply is None or reply["ok"]


def test_out_of_descriptors_it_turns_away_and_does_not_spin(portoland, tmp_path):
    server = portoland(descriptors=40)
    nodes = []
    for number in range(40):  # registered nodes are never given up
        try:
            nodes.append(wire.register(server.port, f"n{number}", port=30000 + number)[0])
        except OSError:
            break
    assert len(nodes) > 15
    used, began = cpu_seconds(server.pid), time.monotonic()
    waiting = [Control(server.socket) for _ in range(5)]
    for control in waiting:
        assert is_answered_or_turned_away(control)
    time.sleep(0.5)  # what it does meanwhile is what is measured
    assert cpu_seconds(server.pid) - used < 0.3 * (time.monotonic() - began) + 0.05
    for control in waiting:
        control.close()
    nodes.pop().close()
    nodes.pop().close()
    wait_for(lambda: server.call("status").returncode == 0, 5, "an answer")
    assert server.says("status")["names"] == len(nodes)
    for node in nodes:
        node.close()


def test_out_of_descriptors_no_range_is_called_full(portoland):
    server = portoland(descriptors=40)
    nodes = []
    with server.dial() as control:
        control.ask("leases")
        for number in range(40):
            try:
                nodes.append(wire.register(server.port, f"n{number}", port=30000 + number)[0])
            except OSError:
                break
        reply = control.ask("lease", node="z")
    for node in nodes:
        node.close()
    assert not reply["ok"] and reply["error"]["code"] == "failed"
    assert "descriptor" in reply["error"]["message"]


# --- the socket ---

def test_a_second_daemon_on_the_socket_is_refused(portoland, tmp_path):
    first = portoland()
    second = Portoland(tmp_path, port=free_port(), sock=first.socket)
    second.launch()
    assert second.exit_code() == 1
    assert second.log == (
        f"portoland: cannot create the control socket {first.socket}: another daemon answers there; stop it, or set "
        "another path with control.socket\n"
    )
    assert first.says("status")["pid"] == first.pid
    with pytest.raises(ConnectionRefusedError):
        wire.connect(second.port)


def test_a_socket_that_was_left_behind_is_replaced(portoland):
    server = portoland()
    server.crash()
    assert Path(server.socket).is_socket()
    assert server.call("status").returncode == 3
    server.start()
    assert server.says("status")["pid"] == server.pid


def refused_at(path):
    """What a daemon says that cannot make its control socket there."""
    server = Portoland(path.parent, port=free_port(), sock=path)
    server.launch()
    assert server.exit_code() == 1
    assert f"cannot create the control socket {path}: " in server.log
    assert "or set another path with control.socket" in server.log
    assert "another daemon" not in server.log or os.stat(path).st_mode & 0o170000 == stat.S_IFSOCK
    with pytest.raises(ConnectionRefusedError):
        wire.connect(server.port)
    return server.log


def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    assert "it is an existing file; move it away" in refused_at(path)
    assert path.read_text() == "data"


@pytest.mark.parametrize("make, said, still", [
    (Path.mkdir, "it is a directory", Path.is_dir),
    (os.mkfifo, "it is a FIFO", Path.is_fifo),
    (lambda path: path.symlink_to("/nonexistent/dangling"), "it is a symbolic link", Path.is_symlink),
    (lambda path: path.symlink_to("/dev/null"), "it is a symbolic link", Path.is_symlink),
], ids=["directory", "fifo", "dangling link", "link"])
def test_whatever_else_is_in_the_place_of_the_socket_is_told_and_left_alone(tmp_path, make, said, still):
    path = tmp_path / "place"
    make(path)
    assert said in refused_at(path)
    assert still(path)


def test_a_socket_of_another_type_is_another_programs(tmp_path):
    path = tmp_path / "place"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        assert "it is a socket of another type" in refused_at(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
            caller.sendto(b"still there", str(path))
        assert other.recv(100) == b"still there"


def test_a_daemon_whose_queue_is_full_is_a_daemon(tmp_path):
    path = tmp_path / "place"
    with contextlib.ExitStack() as held:
        other = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        other.bind(str(path))
        other.listen(0)
        while True:
            caller = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            caller.setblocking(False)
            try:
                caller.connect(str(path))
            except BlockingIOError:
                break
        assert refused_at(path) == (
            f"portoland: cannot create the control socket {path}: another daemon listens there, and its queue is full; "
            "stop it, or set another path with control.socket\n"
        )
        assert other.accept()


@of_root
def test_a_socket_that_may_not_be_connected_to_is_not_taken(tmp_path):
    open_to_all(tmp_path)
    path = tmp_path / "place"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        path.chmod(0o600)
        server = Portoland(tmp_path, port=free_port(), sock=path, user=65534)
        server.launch()
        assert server.exit_code() == 1
        assert server.log == (
            f"portoland: cannot create the control socket {path}: there is a socket that this user may not connect to; "
            "stop the program that listens there, or set another path with control.socket\n"
        )
        assert path.is_socket()


def test_stop_ends_it_and_leaves_nothing_behind(portoland):
    server = portoland()
    with wire.register(server.port, "a", port=25672)[0] as node:
        watch = server.dial()
        watch.ask("watch")
        call = server.call("stop")
        assert (call.returncode, call.stdout) == (0, "stopped\n")
        assert server.exit_code() == 0
        assert wire.read_to_end(node) == b""
    server.logged('info stopping reason="control command"')
    assert not Path(server.socket).exists()
    while (event := watch.reply()) is not None:
        assert event["event"] == "unregistered"
    watch.close()


def test_a_start_that_fails_leaves_no_socket_behind(tmp_path):
    server = Portoland(tmp_path, "--set", "log.to=/nonexistent/log", port=free_port())
    server.launch()
    assert server.exit_code() == 1
    assert "cannot write the log file /nonexistent/log" in server.log
    assert not Path(server.socket).exists()


def test_without_a_socket_it_runs_all_the_same(tmp_path):
    with Portoland(tmp_path, "--set", "control.socket=off") as server:
        assert not Path(server.socket).exists()
        assert wire.look_up(server.port, "a").result == 1
