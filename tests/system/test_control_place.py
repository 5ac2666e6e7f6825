"""Where the control socket is when nothing names it: for a user without a runtime directory, as in
containers, under cron and after su."""

import os
import random
import shutil
import socket
from pathlib import Path

import pytest

import portolan_cli
from portoland import Portoland

pytestmark = pytest.mark.skipif(not portolan_cli.runs_as_nobody(), reason="other users cannot run the programs from here")


class OfUser:
    """A user that nobody else has, whose place in /tmp goes with the test."""

    def __init__(self, directory):
        self.uid = random.randrange(300_000, 60_000_000)
        self.directory = directory
        os.chown(directory, self.uid, self.uid)
        self.place = Path(f"/tmp/portolan-{self.uid}")
        self.identity = {"user": self.uid, "group": self.uid, "extra_groups": []}

    def daemon(self, *flags, **env):
        server = Portoland(self.directory, *flags, user=self.uid, env=env)
        del server.env["PORTOLAN_CONTROL__SOCKET"]
        return server

    def call(self, *arguments, **env):
        return portolan_cli.portolan(*arguments, env=env, **self.identity)


@pytest.fixture
def someone(tmp_path_factory):
    directory = tmp_path_factory.mktemp("user")
    portolan_cli.open_to_all(directory)
    user = OfUser(directory)
    yield user
    shutil.rmtree(user.place, ignore_errors=True)


def test_without_a_runtime_directory_daemon_and_tools_meet_in_tmp(someone):
    with someone.daemon() as server:
        assert someone.call("status").returncode == 0
        server.logged("control_socket", f"path={someone.place}/portolan.sock")
        assert someone.place.stat().st_mode & 0o022 == 0
        server.stop()
    assert not (someone.place / "portolan.sock").exists()


def test_a_runtime_directory_of_the_tool_alone_does_not_part_them(someone, tmp_path):
    """A daemon that cron started, and a login session that asks it."""
    with someone.daemon():
        assert someone.call("status", XDG_RUNTIME_DIR=str(tmp_path)).returncode == 0


def test_a_runtime_directory_is_preferred(someone):
    with someone.daemon(XDG_RUNTIME_DIR=str(someone.directory)):
        assert (someone.directory / "portolan.sock").is_socket()
        assert not someone.place.exists()
        assert someone.call("status", XDG_RUNTIME_DIR=str(someone.directory)).returncode == 0


@pytest.mark.parametrize("trap", ["another user's directory", "a link", "a directory for all"])
def test_a_place_that_others_prepared_is_used_by_nobody(someone, trap, tmp_path):
    """Any user can make that directory first. The daemon runs all the same, and the tools do not
    believe what is there."""
    if trap == "a link":
        tmp_path.chmod(0o777)
        someone.place.symlink_to(tmp_path)
    else:
        someone.place.mkdir()
        os.chown(someone.place, *([65534, 65534] if trap == "another user's directory" else [someone.uid, someone.uid]))
        someone.place.chmod(0o755 if trap == "another user's directory" else 0o777)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as impostor:
            impostor.bind(f"{someone.place}/portolan.sock")
            impostor.listen()
            with someone.daemon() as server:
                server.logged("warn", "no_control_socket", f"path={someone.place}/portolan.sock", "cure=")
                call = someone.call("status")
                assert "/tmp" not in call.stderr
                assert call.returncode != 0 or str(server.pid) not in call.stdout
    finally:
        if someone.place.is_symlink():
            someone.place.unlink()
