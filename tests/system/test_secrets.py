"""Secrets stay with the daemon, and files that others put in its way are refused at once."""

import os
import re
import socket
import subprocess

import pytest

import wire
from certificates import certificate
from daemon import environment, free_port
from deadlines import scaled
from portoland import PROGRAM, portoland  # noqa: F401

COOKIE = "VERYSECRETCOOKIE"
TURNED = "rab\u202etib"


def start_fails(tmp_path, *flags, **env):
    """What a daemon says that does not start; it must say so at once."""
    call = subprocess.run([PROGRAM, "--set", f"node.dist_base_port={free_port()}", *flags], env=environment(tmp_path, **env),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(10))
    assert call.returncode != 0
    return call.stderr


@pytest.mark.parametrize("way", ["argument", "PORTOLAN_NODE__COOKIE", "EMQX_NODE__COOKIE"])
def test_a_cookie_is_not_to_be_seen_in_proc(portoland, way):
    if way == "argument":
        server = portoland("--set", f"node.cookie={COOKIE}")
    else:
        server = portoland(env={way: COOKIE})
    assert server.says("cluster", "status")["ok"]  # it has the cookie
    for file in ("cmdline", "environ"):
        with open(f"/proc/{server.pid}/{file}", "rb") as shown:
            assert COOKIE.encode() not in shown.read()
    assert server.call("reload").returncode == 0  # and still has it
    assert server.says("cluster", "status")["ok"]


def put(path, kind):
    if kind == "FIFO":
        os.mkfifo(path, 0o600)
    elif kind == "link":
        path.with_suffix(".elsewhere").write_text("cookie")
        os.chmod(path.with_suffix(".elsewhere"), 0o600)
        path.symlink_to(path.with_suffix(".elsewhere"))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))


@pytest.mark.parametrize("kind", ["FIFO", "link", "device", "socket"])
def test_a_cookie_file_that_others_put_there_is_refused_at_once(tmp_path, kind):
    tmp_path.chmod(0o777)
    put(tmp_path / "cookie", kind)
    assert "cannot read the cookie" in start_fails(tmp_path, "--set", f"node.cookie_file={tmp_path}/cookie")


def test_a_link_to_a_cookie_in_a_directory_of_ones_own_is_followed(portoland, tmp_path):
    """As secrets are mounted in Kubernetes."""
    tmp_path.chmod(0o755)
    put(tmp_path / "cookie", "link")
    assert portoland("--set", f"node.cookie_file={tmp_path}/cookie").says("cluster", "status")["ok"]


@pytest.mark.parametrize("key", ["cacertfile", "certfile", "keyfile"])
def test_a_fifo_in_the_place_of_a_certificate_is_refused_at_once(tmp_path, key):
    files = certificate(tmp_path, "me", "127.0.0.1")
    os.mkfifo(tmp_path / "fifo")
    files[f"cluster__tls__{key}"] = tmp_path / "fifo"
    flags = [word for name, path in files.items() for word in ("--set", f"{name.replace('__', '.')}={path}")]
    assert "not a regular file" in start_fails(tmp_path, *flags)


def test_a_key_that_others_may_read_is_refused(tmp_path):
    files = certificate(tmp_path, "me", "127.0.0.1")
    os.chmod(files["cluster__tls__keyfile"], 0o644)
    flags = [word for name, path in files.items() for word in ("--set", f"{name.replace('__', '.')}={path}")]
    assert "users other than its owner may read" in start_fails(tmp_path, *flags)


@pytest.mark.parametrize("kind", ["FIFO", "link", "device", "socket"])
@pytest.mark.parametrize("file", ["ports", "creations", "ports.lock", "creations.new"])
def test_a_state_file_that_others_put_there_holds_nothing_up(portoland, tmp_path, kind, file):
    stem, dot, end = file.partition(".")
    first = portoland()
    first.stop()
    path = tmp_path / f"{stem}-{first.port}{dot}{end}"
    path.unlink(missing_ok=True)
    put(path, kind)
    server = portoland(port=first.port)
    assert wire.register(server.port, "old", highest=5)[1].result == 0
    assert server.lease("rabbit@h")
    if end != "new":
        assert "state_not_kept" in server.log


def test_nothing_that_people_read_is_turned_around(portoland):
    server = portoland()
    with wire.register(server.port, TURNED)[0]:
        line = server.logged(" info registered ")
        assert r"rab\u202etib" in line
        call = server.call("names")
        assert r"rab\u202etib" in call.stdout and "\u202e" not in call.stdout
        assert server.says("names")["names"][0]["name"] == TURNED
    assert "\u202e" not in server.log
    assert not re.search("[\u200b-\u200f\u2028-\u202e]", server.log)
