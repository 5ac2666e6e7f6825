"""What `portolan exec` tells servers of their port, what it refuses, and what it warns of, against
a fake daemon."""

import os
import subprocess

import pytest

from deadlines import scaled
from fake_control import ok
from portolan_cli import ask, check, clean_environment, control, words  # noqa: F401

LEASE = ok(node="rabbit@s1", port=6369, held=False, expires_in_ms=60000, epmd_port=4370, last_port=6378)
FLAGS = "-kernel inet_dist_listen_min 6369 inet_dist_listen_max 6369"


def environment_of(call):
    """What a program that is `env` has."""
    assert call.returncode == 0, call.stderr
    return dict(line.split("=", 1) for line in call.stdout.splitlines())


# --- what it sets ---

@pytest.mark.parametrize("node, long", [
    ("rabbit@s1", False), ("rabbit@s1.example.org", True), ("rabbit@192.0.2.1", True), ("rabbit@::1", True),
    ("rabbit", False), ("a.b@s1", False)])
def test_each_server_is_told_by_its_own_variables(control, node, long):
    found = environment_of(ask(control({"lease": LEASE}), "exec", node, "--", "env"))
    for variable in [*clean_environment(), "_", "PWD", "SHLVL"]:
        found.pop(variable, None)
    assert found == {
        "ERL_EPMD_PORT": "4370", "ERL_AFLAGS": FLAGS, "ERL_ZFLAGS": FLAGS,
        "RABBITMQ_DIST_PORT": "6369", "RABBITMQ_NODENAME": node, "RABBITMQ_USE_LONGNAME": "true" if long else "false",
        "RELEASE_NODE": node, "RELEASE_DISTRIBUTION": "name" if long else "sname", "PORTOLAN_EXEC_NODE": node}


def test_flags_stand_first_and_last(control):
    found = environment_of(ask(control({"lease": LEASE}), "exec", "--private", "rabbit@s1", "--", "env",
                               env={"ERL_AFLAGS": "-a 1", "ERL_ZFLAGS": "-z 1", "ERL_FLAGS": "-f 1"}))
    own = f"{FLAGS} inet_dist_use_interface {{127,0,0,1}}"
    assert (found["ERL_AFLAGS"], found["ERL_ZFLAGS"], found["ERL_FLAGS"]) == (f"{own} -a 1", f"-z 1 {own}", "-f 1")


@pytest.mark.parametrize("already, expected", [
    ({"RABBITMQ_NODENAME": "rabbit@s1", "RABBITMQ_DIST_PORT": "25672", "ERL_EPMD_PORT": "1"},
     {"RABBITMQ_NODENAME": "rabbit@s1", "RABBITMQ_DIST_PORT": "6369", "ERL_EPMD_PORT": "4370"}),
    ({"RABBITMQ_NODENAME": "rabbit", "RELEASE_NODE": ""}, {"RABBITMQ_NODENAME": "rabbit@s1", "RELEASE_NODE": "rabbit@s1"}),
    ({"RABBITMQ_USE_LONGNAME": "true", "RELEASE_DISTRIBUTION": "name"},
     {"RABBITMQ_USE_LONGNAME": "true", "RELEASE_DISTRIBUTION": "name"}),
    ({"RABBITMQ_USE_LONGNAME": "false"}, {"RABBITMQ_USE_LONGNAME": "false"})])
def test_what_agrees_with_the_node_is_kept(control, already, expected):
    found = environment_of(ask(control({"lease": LEASE}), "exec", "rabbit@s1", "--", "env", env=already))
    assert {variable: found[variable] for variable in expected} == expected


def test_a_node_without_a_host_is_at_that_which_its_server_is_told_of(control):
    found = environment_of(ask(control({"lease": LEASE}), "exec", "rabbit", "--", "env",
                               env={"RABBITMQ_NODENAME": "rabbit@s1.example.org"}))
    assert (found["RABBITMQ_NODENAME"], found["RABBITMQ_USE_LONGNAME"]) == ("rabbit@s1.example.org", "true")
    assert (found["RELEASE_NODE"], found["RELEASE_DISTRIBUTION"]) == ("rabbit", "sname")


def test_exec_within_exec_is_for_its_own_node(control):
    fake = control({"lease": LEASE})
    inner = words("--socket", fake.path, "exec", "hare@s2.example.org", "--", "env")
    found = environment_of(ask(fake, "exec", "rabbit@s1", "--", *inner))
    assert (found["RABBITMQ_NODENAME"], found["RABBITMQ_USE_LONGNAME"]) == ("hare@s2.example.org", "true")
    assert (found["RELEASE_NODE"], found["RELEASE_DISTRIBUTION"]) == ("hare@s2.example.org", "name")
    assert fake.said("lease") == [{"node": "rabbit@s1"}, {"node": "hare@s2.example.org"}]


def test_a_node_may_move_within_the_range(control):
    found = environment_of(ask(control({"lease": LEASE}), "exec", "--range", "rabbit@s1", "--", "env"))
    flags = "-kernel inet_dist_listen_min 6369 inet_dist_listen_max 6378"
    assert (found["ERL_AFLAGS"], found["ERL_ZFLAGS"], found["RABBITMQ_DIST_PORT"]) == (flags, flags, "6369")


# --- what it refuses ---

def test_a_port_of_the_rule_has_no_range(control):
    fake = control({"lease": {**LEASE, "port": 4370, "last_port": None}, "release": ok()})
    call = ask(fake, "exec", "--range", "rabbit@s1", "--", "env")
    check(call, 1, "", "cannot start the program with --range: port 4370 of rabbit@s1 is outside the daemon's range")
    assert fake.said("release") == [{"node": "rabbit@s1"}]


@pytest.mark.parametrize("already", [
    {"RABBITMQ_NODENAME": "bunny@s1"}, {"RABBITMQ_NODENAME": "rabbit@s2"}, {"RELEASE_NODE": "app"},
    {"RELEASE_NODE": "rabbi"}, {"RABBITMQ_NODENAME": "rabbit2@s1"}])
def test_no_other_node_is_started_than_the_lease_is_for(control, already):
    fake = control({"lease": LEASE})
    call = ask(fake, "exec", "rabbit@s1", "--", "env", env=already)
    (variable, node), = already.items()
    check(call, 2, "", f"cannot start rabbit@s1: {variable} is set to another node, {node}; unset it")
    assert fake.requests == []


@pytest.mark.parametrize("node, already, complaint", [
    ("a@s1.example.org", {"RABBITMQ_USE_LONGNAME": "false"}, "RABBITMQ_USE_LONGNAME is false, and that host takes long"),
    ("a@s1.example.org", {"RELEASE_DISTRIBUTION": "sname"}, "RELEASE_DISTRIBUTION is sname, and that host takes long"),
    ("a@s1", {"RELEASE_DISTRIBUTION": "none"}, "RELEASE_DISTRIBUTION is none, and the server would have no name"),
    ("a", {"RABBITMQ_NODENAME": "a@s1.example.org", "RABBITMQ_USE_LONGNAME": "false"}, "that host takes long names")])
def test_no_node_is_started_whose_name_cannot_be(control, node, already, complaint):
    fake = control({"lease": LEASE})
    check(ask(fake, "exec", node, "--", "env", env=already), 2, "", complaint)
    assert fake.requests == []


# --- what it cannot override, and warns of ---

def warnings_of(control, program, directory, *arguments, env=None, node="rabbit@s1"):
    """What exec says before a program of that name runs, which it does in any case."""
    path = directory / program
    path.write_text("#!/bin/sh\necho it runs\n")
    path.chmod(0o755)
    call = ask(control({"lease": LEASE}), "exec", node, "--", path, *arguments, env=env)
    assert (call.returncode, call.stdout) == (0, "it runs\n"), call.stderr
    return call.stderr


@pytest.mark.parametrize("line, warned", [
    ("RABBITMQ_DIST_PORT=25672", "sets RABBITMQ_DIST_PORT to 25672, which overrides the leased port 6369"),
    ("export RABBITMQ_NODENAME='bunny@s1' # mine", "sets RABBITMQ_NODENAME to bunny@s1, which overrides rabbit@s1"),
    ('  ERL_EPMD_PORT="4369"', "sets ERL_EPMD_PORT to 4369, which overrides the leased port 4370"),
    ("ERL_EPMD_PORT=4370\nexport ERL_EPMD_PORT=4371", "sets ERL_EPMD_PORT to 4371"),
    ("RABBITMQ_DIST_PORT=$((5672+1))", "sets RABBITMQ_DIST_PORT to $((5672+1))"),
    ("RABBITMQ_DIST_PORT=6369\nERL_EPMD_PORT=4370\nRABBITMQ_NODENAME=rabbit@s1", None),
    ("RABBITMQ_NODENAME=rabbit", None),
    ("# RABBITMQ_DIST_PORT=25672", None),
    ("DIST_PORT=25672\nNODENAME=bunny@s1", None),  # these lose to the environment
    ("XRABBITMQ_DIST_PORT=25672\nRABBITMQ_DIST_PORTS=25672", None),
    ("ERL_EPMD_PORT=${ERL_EPMD_PORT:-4369}", None),
    ("RABBITMQ_DIST_PORT=", None),
    ("", None)])
def test_settings_of_rabbitmq_that_win(control, tmp_path, line, warned):
    settings = tmp_path / "rabbitmq-env.conf"
    settings.write_text(line)
    env = {"RABBITMQ_CONF_ENV_FILE": str(settings)}
    said = warnings_of(control, "rabbitmq-server", tmp_path, env=env)
    if warned:
        assert said.startswith(f"portolan: {settings} {warned}") and said.count("\n") == 1, said
    else:
        assert said == ""
    assert warnings_of(control, "rabbit-server", tmp_path, env=env) == "", "of a program that does not read them"


def test_settings_that_cannot_be_read_are_no_reason_to_wait_or_to_fail(control, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path / "missing", tmp_path, "/dev/zero"):
        assert warnings_of(control, "rabbitmq-server", tmp_path, env={"RABBITMQ_CONF_ENV_FILE": str(path)}) == ""


@pytest.mark.parametrize("option", [["--config-dir", "{}"], ["-d", "{}"], ["--ctl-config", "{}/ejabberdctl.cfg"],
                                    ["-c", "{}/ejabberdctl.cfg"]])
def test_settings_of_ejabberd_that_win(control, tmp_path, option):
    settings = tmp_path / "ejabberdctl.cfg"
    settings.write_text("export ERL_DIST_PORT=5210\nERLANG_NODE=ejabberd@localhost\n")
    options = [word.format(tmp_path) for word in option]
    said = warnings_of(control, "ejabberdctl", tmp_path, *options, "start", node="ejabberd@s1")
    assert [line.split(", ")[0] for line in said.splitlines()] == [
        f"portolan: {settings} sets ERL_DIST_PORT to 5210", f"portolan: {settings} sets ERLANG_NODE to ejabberd@localhost"]
    said = warnings_of(control, "ejabberdctl", tmp_path, *options, "--node", "ejabberd@s1", "start", node="ejabberd@s1")
    assert "ERL_DIST_PORT" in said and "ERLANG_NODE" not in said


def test_a_port_in_the_environment_that_wins(control, tmp_path):
    said = warnings_of(control, "my_release", tmp_path, env={"ERL_DIST_PORT": "6376"})
    assert said.startswith("portolan: ERL_DIST_PORT is set to 6376: ") and "the leased port 6369" in said
    assert warnings_of(control, "my_release", tmp_path, env={"ERL_DIST_PORT": "6369"}) == ""


def test_emqx_chooses_by_itself(control, tmp_path):
    said = warnings_of(control, "emqx", tmp_path, node="emqx@s1")
    assert said.startswith("portolan: emqx chooses its own port") and "the lease of emqx@s1" in said
    for way in ({"WITH_EPMD": "1"}, {"EPMD_ARGS": "-start_epmd true -proto_dist inet_tcp"}):
        assert warnings_of(control, "emqx", tmp_path, env=way, node="emqx@s1") == ""


def test_files_in_their_usual_places_are_read(control, tmp_path):
    """In a mount namespace whose /etc is the test's own."""
    if os.geteuid() != 0:
        pytest.skip("takes root")
    for place, line in (("rabbitmq/rabbitmq-env.conf", "RABBITMQ_DIST_PORT=1"), ("ejabberd/ejabberdctl.cfg", "ERL_DIST_PORT=2")):
        file = tmp_path / "etc" / place
        file.parent.mkdir(parents=True)
        file.write_text(f"{line}\n")
    fake = control({"lease": LEASE})
    for program, place, variable, port in (("rabbitmq-server", "rabbitmq/rabbitmq-env.conf", "RABBITMQ_DIST_PORT", 1),
                                           ("ejabberdctl", "ejabberd/ejabberdctl.cfg", "ERL_DIST_PORT", 2)):
        path = tmp_path / program
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        script = 'mount --bind "$0" /etc && exec "$@"'
        call = subprocess.run(["unshare", "-m", "sh", "-c", script, tmp_path / "etc",
                               *words("--socket", fake.path, "exec", "rabbit@s1", "--", path)],
                              env=clean_environment(), text=True, capture_output=True, timeout=scaled(10))
        assert (call.returncode, call.stderr) == (0, (
            f"portolan: /etc/{place} sets {variable} to {port}, which overrides the leased port 6369: the server will "
            "listen there, and the lease will not be used; remove the line\n"
        ))
