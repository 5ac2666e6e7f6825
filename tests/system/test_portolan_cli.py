"""`portolan` without a daemon: help, usage, `port`, and what epmd alone can tell."""

import json
import os
import re
import shutil
import subprocess

import pytest

from deadlines import scaled
from fake_control import failure, ok
from fake_epmd import FakeEpmd, free_of_epmd  # noqa: F401
from portolan_cli import (  # noqa: F401
    REPOSITORY, ask, check, clean_environment, control, listed_commands, portolan, words)


# --- help, usage, version ---

COMMANDS = ["status", "names", "resolve", "port", "lease", "leases", "exec", "streams", "cluster", "watch", "reload", "stop", "help", "version"]


def test_help_lists_every_command():
    assert list(listed_commands()) == COMMANDS
    call = portolan("help")
    check(call, 0)
    for name, command in listed_commands().items():
        assert f"{name} " in call.stdout and command["summary"] in call.stdout
    assert portolan("--help").stdout == call.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself_with_an_example(command):
    call = portolan(command, "--help")
    check(call, 0)
    assert call.stdout.startswith(f"usage: portolan {command}")
    assert f"\nexample:\n  $ portolan {command}" in call.stdout
    assert "exit codes: 0 success, 1 failure, 2 usage error, 3 no daemon, 4 not found, 5 denied" in call.stdout
    for option in ["--json", "--socket", "--timeout", "--help", *listed_commands()[command]["options"]]:
        assert f"  {option}" in call.stdout
    assert portolan("help", command).stdout == call.stdout
    assert json.loads(portolan("help", command, "--json").stdout)["commands"] == [listed_commands()[command]]
    assert max(map(len, call.stdout.splitlines())) <= 100


def test_version():
    call = portolan("version")
    check(call, 0)
    assert call.stdout.split() == ["portolan", json.loads(portolan("version", "--json").stdout)["version"]]
    assert portolan("--version").stdout == call.stdout


@pytest.mark.parametrize("arguments, complaint", [
    ([], "no command given"),
    (["stauts"], "unknown command 'stauts'; did you mean 'status'?"),
    (["resol"], "did you mean 'resolve'?"),
    (["frobnicate"], "unknown command 'frobnicate'; 'portolan help' lists all commands"),
    (["help", "leeses"], "did you mean 'leases'?"),
    (["status", "--jsn"], "status: unknown option '--jsn'; did you mean '--json'?"),
    (["--bse", "status"], "portolan: unknown option '--bse'"),
    (["port", "n@h", "--bas=1"], "did you mean '--base'?"),
    (["status", "--json=yes"], "--json takes no value"),
    (["status", "--socket"], "--socket needs a value: PATH"),
    (["status", "--timeout", "soon"], "--timeout takes a duration such as 500ms, 5s or 1m, not 'soon'"),
    (["status", "--timeout", "0"], "not '0'"),
    (["status", "more"], "status: unexpected argument 'more'"),
    (["names", "a", "b"], "names: unexpected argument 'b'"),
    (["resolve"], "resolve: too few arguments"),
    (["port"], "port: too few arguments"),
    (["port", "n@h", "--base", "65536"], "--base takes a port from 1 to 65535, not '65536'"),
    (["port", "n@h", "--base", "0"], "not '0'"),
    (["lease"], "lease: too few arguments"),
    (["lease", "@h"], "'@h' is not a valid node name: no name before the @"),
    (["lease", ""], "'' is not a valid node name"),
    (["resolve", "n" * 600], "it has 600 characters"),
    (["exec", "a@h"], "exec: no program given after --"),
    (["exec", "a@h", "--"], "exec: no program given after --"),
    (["exec", "a@h", "ls"], "the program goes after --"),
    (["exec", "a@h", "-detached"], "options of the program go after --"),
    (["exec", "--", "ls"], "exec: too few arguments"),
])
def test_wrong_usage_exits_2_and_says_what_is_wrong(arguments, complaint):
    check(portolan(*arguments), 2, "", complaint)


@pytest.mark.parametrize("arguments", [
    [], ["stauts"], ["help", "leeses"], ["status", "--jsn"], ["status", "x"], ["resolve"], ["resolve", "a@b@c"], ["resolve", "a@"],
    ["port", "--base", "0", "a"], ["lease", "a", "--release", "--user", "root"], ["lease", "a@"], ["exec", "a@b@c", "--", "true"],
    ["exec", "a"], ["cluster"], ["cluster", "join"], ["names", "--cluster", "s1"], ["--timeout", "x", "status"]])
def test_wrong_usage_is_json_where_that_is_asked_for(arguments):
    call = portolan("--json", *arguments, env=NO_SOCKET)
    assert call.returncode == 2
    error = json.loads(call.stdout)["error"]
    assert error["code"] == "usage" and call.stderr.startswith(f"portolan: {error['message']}\n")


def test_a_name_that_is_not_utf8_is_no_node():
    call = subprocess.run(words("lease", os.fsdecode(b"\xff@h")), env=clean_environment(), capture_output=True, timeout=scaled(20))
    assert call.returncode == 2 and b"not UTF-8" in call.stderr and b"\xff" not in call.stderr


# --- port ---

def test_port_prints_a_line_for_each_node():
    check(portolan("port", "emqx-1@192.168.0.12", "emqx@s1", "remsh1@s1"), 0,
          "emqx-1@192.168.0.12 4371\nemqx@s1 4370\nremsh1@s1 0\n")
    check(portolan("port", "--base", "5370", "emqx-1@192.168.0.12"), 0, "emqx-1@192.168.0.12 5371\n")


def test_port_reads_names_where_a_dash_stands():
    check(portolan("port", "a1@h", "-", "a4@h", stdin="a2@h\n\n  a3@h \r\n-\n"), 0,
          "a1@h 4371\na2@h 4372\na3@h 4373\n- 4370\na4@h 4374\n")
    check(portolan("port", "-", stdin="no line end 7"), 0, "no line end 7 4377\n")
    check(portolan("port", "-"), 0, "")


def test_port_goes_on_after_a_name_without_a_port():
    call = portolan("port", "n59999@h", "a1@h", "--base", "10000")
    check(call, 1, "a1@h 10001\n", "no port for n59999@h: base 10000 + offset 59999 = 69999, above 65535")


def test_port_as_json():
    call = portolan("port", 'q"\\\n1@h', "n59999@h", "日1@h", "remsh@h", "--json", "--base=10000")
    assert call.returncode == 1
    reply = json.loads(call.stdout)
    error = reply["ports"][1].pop("error")
    assert "base 10000 + offset 59999 = 69999, above 65535" in error
    assert reply == ok(base=10000, ports=[
        {"node": 'q"\\\n1@h', "port": 10001}, {"node": "n59999@h", "port": None}, {"node": "日1@h", "port": 10001},
        {"node": "remsh@h", "port": 0}])
    assert json.loads(portolan("port", "-", "--json").stdout) == ok(base=4370, ports=[])


# --- names and resolve, without a daemon ---

NO_SOCKET = {"PORTOLAN_CONTROL__SOCKET": "/nonexistent/portolan.sock"}


def test_names_of_a_host_come_from_its_epmd():
    with FakeEpmd({"rabbit": 25672, "a b": 7}) as epmd:
        table = "NAME     PORT\nrabbit  25672\na b         7\n"
        check(portolan("names", "127.0.0.1", env={**epmd.env, **NO_SOCKET}), 0, table)
        check(portolan("names", env={**epmd.env, **NO_SOCKET}), 0, table,
              "no daemon listens at /nonexistent/portolan.sock; asking epmd")
        assert json.loads(portolan("names", "127.0.0.1", "--json", env=epmd.env).stdout) == \
            ok(host="127.0.0.1", epmd_port=epmd.port,
               names=[{"name": "rabbit", "port": 25672}, {"name": "a b", "port": 7}])
    with FakeEpmd({}) as epmd:
        check(portolan("names", "127.0.0.1", env=epmd.env), 0, "", "no nodes registered at 127.0.0.1")


def test_names_of_a_host_without_epmd(free_of_epmd):
    call = portolan("names", "127.0.0.1", "--json", env=free_of_epmd)
    check(call, 3, None, "cannot ")
    assert json.loads(call.stdout)["error"]["code"] == "no_daemon"


def test_resolve_asks_the_daemon_of_this_host_first(control):
    fake = control({"resolve": ok(node="rabbit@127.0.0.1", host="127.0.0.1", port=25672, source="registered")})
    check(ask(fake, "resolve", "rabbit@127.0.0.1"), 0, "127.0.0.1:25672  (registered)\n")
    reply = json.loads(ask(fake, "resolve", "rabbit@127.0.0.1", "--json").stdout)
    assert reply == ok(node="rabbit@127.0.0.1", host="127.0.0.1", port=25672, source="registered")


@pytest.mark.parametrize("port, member, remark", [
    (4370, {"member": "emqx@s1"}, "(registered at emqx@s1; on its host 6369)"),
    (6369, {"member": "emqx@s1"}, "(registered at emqx@s1; from other hosts 4370)"),
    (6369, {}, "(registered; from other hosts 4370)")])
def test_resolve_shows_both_ports_of_a_node_behind_its_daemon(control, port, member, remark):
    found = ok(node="rabbit@192.0.2.1", host="192.0.2.1", port=port, own_port=6369, front_port=4370, source="registered", **member)
    fake = control({"resolve": found})
    check(ask(fake, "resolve", "rabbit@192.0.2.1"), 0, f"192.0.2.1:{port}  {remark}\n")
    assert json.loads(ask(fake, "resolve", "rabbit@192.0.2.1", "--json").stdout) == found


def test_resolve_shows_the_port_of_a_node_that_has_no_other(control):
    found = ok(node="rabbit@192.0.2.1", host="192.0.2.1", port=6369, own_port=6369, front_port=None, source="registered", member="emqx@s1")
    fake = control({"resolve": found})
    check(ask(fake, "resolve", "rabbit@192.0.2.1"), 0, "192.0.2.1:6369  (registered at emqx@s1)\n")
    assert json.loads(ask(fake, "resolve", "rabbit@192.0.2.1", "--json").stdout) == found


def test_resolve_asks_the_epmd_of_the_host_then(control):
    fake = control({"resolve": failure("not_found", "not here")})
    with FakeEpmd({"rabbit": 25672}) as epmd:
        check(ask(fake, "resolve", "rabbit@127.0.0.1", env=epmd.env), 0, "127.0.0.1:25672  (epmd at 127.0.0.1)\n")
        reply = json.loads(portolan("resolve", "rabbit@127.0.0.1", "--json", env={**epmd.env, **NO_SOCKET}).stdout)
        assert reply.pop("note", "") is not None
        assert reply == ok(node="rabbit@127.0.0.1", host="127.0.0.1", port=25672, source="epmd", epmd="127.0.0.1")


def test_the_daemon_of_this_host_has_not_the_last_word_on_nodes_of_others(control):
    """That the host cannot be asked is not that the node is not there."""
    fake = control({"resolve": failure("not_found", "not here")})
    with FakeEpmd({}) as epmd:
        check(ask(fake, "resolve", "rabbit@127.0.0.1", env=epmd.env), 4, "", "not here")
        check(ask(fake, "resolve", "rabbit@localhost", env={"ERL_EPMD_PORT": "1"}), 4, "", "not here")
        call = ask(fake, "resolve", "rabbit@192.0.2.1", "--json", "--timeout", "500ms", env=epmd.env)
        assert call.returncode != 4 and json.loads(call.stdout)["error"]["code"] in {"timed_out", "no_daemon"}
        assert "not here" in call.stderr


def test_what_all_ports_of_a_host_have_in_common_is_said_once(control):
    fake = control({"resolve": failure("not_found", "not here")})
    call = ask(fake, "resolve", "a@no-such-host.invalid")
    assert call.stderr.count("the host no-such-host.invalid") == 1


def test_resolve_derives_what_nobody_knows_if_asked_to(free_of_epmd):
    env = {**free_of_epmd, **NO_SOCKET}
    check(portolan("resolve", "emqx-1@127.0.0.1", env=env), 3, "", "cannot resolve")
    call = portolan("resolve", "emqx-1@127.0.0.1", "--derive", env=env)
    assert (call.returncode, call.stdout) == (0, "127.0.0.1:4371  (derived from the name; unknown to epmd)\n")
    reply = json.loads(portolan("resolve", "emqx-1@127.0.0.1", "--derive", "--json", env=env).stdout)
    assert (reply["port"], reply["source"]) == (4371, "derived") and "epmd" not in reply


def test_resolve_derives_nothing_for_a_host_without_address():
    call = portolan("resolve", "emqx-1@no-such-host.invalid", "--derive", env=NO_SOCKET)
    check(call, 4, "", "no-such-host.invalid")


def test_resolve_tells_known_from_unknown():
    with FakeEpmd({"rabbit": 25672}) as epmd:
        env = {**epmd.env, **NO_SOCKET}
        check(portolan("resolve", "rabbit@127.0.0.1", env=env), 0)
        check(portolan("resolve", "emqx@127.0.0.1", env=env), 4, "", "cannot resolve")
        check(portolan("resolve", "remsh1@127.0.0.1", "--derive", env=env), 1, "", "cannot resolve")


# --- the manual page ---

MANUAL = REPOSITORY / "man/portolan.1"


def test_the_manual_has_every_command_and_option():
    text = MANUAL.read_text()
    for name, command in listed_commands().items():
        assert f".It Cm {name}\n" in text or f".It Cm {name} " in text
        for option in ["--socket", "--timeout", "--json", "--help", "--version", *command["options"]]:
            assert f"Fl {option[1:]}" in text


def test_the_synopsis_of_the_manual_has_the_options_of_each_command():
    synopsis = MANUAL.read_text().split(".Sh SYNOPSIS\n")[1].split(".Sh ")[0]
    forms = {f"\n{form}".split("\n.Cm ")[1].split()[0]: form for form in synopsis.split(".Nm\n") if "\n.Cm " in f"\n{form}"}
    for name, command in listed_commands().items():
        told = {f"-{option}" for option in re.findall(r" (-[a-z][a-z0-9-]*)", forms[name])}
        assert told == set(command["options"]), name


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc on this machine")
def test_the_manual_is_clean():
    call = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MANUAL], capture_output=True, text=True)
    assert (call.returncode, call.stdout) == (0, "")
