"""A lease belongs to a user: who may claim it, renew it and give it back."""

import json
import sys
from pathlib import Path

import pytest

import local_attacker
import wire
from deadlines import wait_for
from local_attacker import OTHER_USER, USER, Attacker
from portolan_cli import open_to_all, runs_as_nobody
from portoland import a_range, free_range, portoland  # noqa: F401

pytestmark = pytest.mark.skipif(local_attacker.why_impossible() is not None, reason=str(local_attacker.why_impossible()))

SYSTEM_USER = 1  # daemon(1) on every system
GROUP = 4711
ENFORCED = ["--set", "node.port_policy=range", "--set", "node.port_enforce=on"]


@pytest.fixture
def for_all(portoland, tmp_path):
    """A daemon of root's that other users can reach; those of a group may change things."""
    open_to_all(tmp_path)
    if not runs_as_nobody():
        pytest.skip("the build is in a directory that other users may not enter")
    (tmp_path / "group").write_text(Path("/etc/group").read_text() + f"portolan:x:{GROUP}:\n")
    mount = 'mount --bind "$0" /etc/group && exec "$@"'

    def start(*flags):
        before = ["unshare", "--mount", "sh", "-c", mount, tmp_path / "group"]
        return portoland(*a_range(10, free_range(10)), *flags, before=before)

    return start


def as_member(user):
    """What makes a call one of a user of that group."""
    return {"user": user, "group": user, "extra_groups": [GROUP]}


def registers(server, user, name, port):
    """Whether that user can register the name; it leaves again."""
    with Attacker("publish", server.port, name, port, user=user) as node:
        said = node.said
    wait_for(lambda: name not in server.names(), 10, f"the end of {name}")
    return said == "registered"


def owner_of(server, name):
    entries = server.says("leases")["leases"]
    return [entry["user"] for entry in entries if entry["name"] == name]


# --- claims ---

@pytest.mark.parametrize("flags", [[], ENFORCED], ids=["not enforced", "enforced"])
def test_a_leased_name_is_taken_by_nobody_else(for_all, flags):
    server = for_all(*flags)
    port = server.lease("rabbit")
    assert not registers(server, USER, "rabbit", port)
    assert not registers(server, USER, "rabbit", port + 1)
    server.logged("warn refused what=registration name=rabbit", 'reason="the lease of this name belongs to another user"')
    assert server.leases() == {"rabbit": (port, False)}
    assert wire.register(server.port, "rabbit", port=port)[1].result == 0


def test_a_lease_of_root_is_for_root_and_for_the_users_of_the_system(for_all):
    server = for_all()
    port = server.lease("rabbit")
    assert owner_of(server, "rabbit") == [0]
    assert registers(server, SYSTEM_USER, "rabbit", port), "root starts servers that change their user"
    assert registers(server, USER, "other", port + 1), "a name that nobody has a lease on is anybody's"


def test_a_lease_of_another_user_is_for_that_user_and_for_root(for_all):
    server = for_all()
    call = server.call("lease", "rabbit", **as_member(USER))
    assert call.returncode == 0, call.stderr
    port = server.leases()["rabbit"][0]
    assert owner_of(server, "rabbit") == [USER]
    for other in (OTHER_USER, SYSTEM_USER):
        assert not registers(server, other, "rabbit", port)
    assert registers(server, USER, "rabbit", port)
    assert server.call("lease", "rabbit", **as_member(USER)).returncode == 0
    assert wire.register(server.port, "rabbit", port=port)[1].result == 0


def test_root_can_lease_for_a_user(for_all, tmp_path):
    server = for_all()
    port = server.says("lease", "rabbit", "--user", "daemon")["port"]
    assert owner_of(server, "rabbit") == [SYSTEM_USER]
    assert not registers(server, SYSTEM_USER + 1, "rabbit", port)
    assert registers(server, SYSTEM_USER, "rabbit", port)
    server.says("lease", "rabbit", "--user", str(USER))
    assert registers(server, USER, "rabbit", port)
    call = server.call("exec", "--user", str(USER), "hare@h", "--", "true")
    assert call.returncode == 0 and owner_of(server, "hare") == [USER]
    both = server.call("lease", "rabbit", "--user", "daemon", "--release")
    assert both.returncode == 2 and "--user or --release, not both" in both.stderr
    unknown = server.call("lease", "rabbit", "--user", "no-such-user")
    assert unknown.returncode == 2 and "unknown user 'no-such-user'" in unknown.stderr


def test_a_program_that_changes_its_user_can_have_a_lease_from_root(for_all):
    """As docs/leases.md says it."""
    server = for_all()
    node = [sys.executable, "-B", local_attacker.__file__, "publish", server.port, "app", 40000]
    change = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    for options, said in (([], "refused"), (["--user", str(USER)], "registered")):
        call = server.call("exec", *options, "app@s1", "--", *change, *node)
        assert call.stdout == f"{said}\n", call.stderr


def test_a_helper_of_another_user_is_none(for_all):
    server = for_all(*ENFORCED)
    port = server.says("lease", "rabbit", "--user", str(USER))["port"]
    for name in ("rabbit_prelaunch_1", "epmd-starter-1"):
        assert registers(server, USER, name, port)
        assert not registers(server, OTHER_USER, name, port)


def test_the_owner_of_a_lease_outlives_the_daemon(for_all):
    server = for_all()
    port = server.says("lease", "rabbit", "--user", str(USER))["port"]
    with Attacker("publish", server.port, "rabbit", port) as node:
        assert node.said == "registered"
        server.crash()
    server.start()
    assert owner_of(server, "rabbit") == [USER]
    assert not registers(server, OTHER_USER, "rabbit", port)
    assert registers(server, USER, "rabbit", port)


def test_where_no_user_can_be_told_no_lease_is_claimed_unless_that_is_switched_off(portoland):
    without = [sys.executable, str(Path(local_attacker.__file__).parent / "without_netlink.py")]
    server = portoland(before=without)
    port = server.lease("rabbit")
    conn, answer = wire.register(server.port, "rabbit", port=port)
    conn.close()
    assert answer.result != 0
    server.logged("warn refused what=registration name=rabbit", "the owner of this registration is unknown", "front.check_owner")
    server.stop()
    server.flags += ["--set", "front.check_owner=off"]
    server.start()
    assert server.leases() == {"rabbit": (port, False)}
    assert wire.register(server.port, "rabbit", port=port)[1].result == 0


# --- renewals and releases ---

def test_only_its_user_and_root_renew_a_lease_or_give_it_back(for_all):
    server = for_all()
    assert server.call("lease", "rabbit", **as_member(USER)).returncode == 0
    for arguments in (["lease", "rabbit"], ["lease", "rabbit", "--release"], ["exec", "rabbit@h", "--", "true"]):
        call = server.call(*arguments, **as_member(OTHER_USER))
        assert call.returncode == 5, call.stderr
        assert f"the port of rabbit is leased to user {USER}" in call.stderr
    assert server.call("lease", "rabbit", **as_member(USER)).returncode == 0
    assert server.call("lease", "rabbit").returncode == 0
    assert owner_of(server, "rabbit") == [USER], "root renews it for its owner"
    assert server.call("lease", "rabbit", "--release").returncode == 0
    assert server.call("lease", "rabbit", **as_member(OTHER_USER)).returncode == 0
    assert server.call("lease", "rabbit", "--release", **as_member(OTHER_USER)).returncode == 0


def test_a_registered_name_is_its_users_as_well(for_all):
    server = for_all()
    with Attacker("publish", server.port, "rabbit", 40000) as node:
        assert node.said == "registered" and owner_of(server, "rabbit") == [USER]
        assert server.call("lease", "rabbit", **as_member(OTHER_USER)).returncode == 5
        assert server.call("lease", "rabbit", **as_member(USER)).returncode == 0
        assert server.call("lease", "rabbit").returncode == 0


def test_only_root_leases_for_others(for_all):
    server = for_all()
    for user in ("root", str(OTHER_USER)):
        call = server.call("lease", "rabbit", "--user", user, **as_member(USER))
        assert call.returncode == 5 and "for another user" in call.stderr
    assert server.call("lease", "rabbit", "--user", str(USER), **as_member(USER)).returncode == 0
    with server.dial() as control:
        for user in (-1, "root", 2**32 - 1, 2**40, 1.5):
            reply = control.ask("lease", node="hare", user=user)
            assert reply["error"]["code"] == "bad_request", json.dumps(reply)
