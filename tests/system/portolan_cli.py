"""Calls of `portolan` in an environment that has nothing of the tester's own, and what to expect of
them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from daemon import BUILD, WRAPPER
from deadlines import scaled
from fake_control import FakeControl

REPOSITORY = Path(__file__).resolve().parents[2]
PORTOLAN = str(BUILD / "bin" / "portolan")


def words(*arguments):
    return [*WRAPPER, PORTOLAN, *map(str, arguments)]


def clean_environment(**extra):
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **extra}


def portolan(*arguments, stdin="", seconds=20, env=None, **popen):
    """One finished call; its outputs are text."""
    return subprocess.run(words(*arguments), env=clean_environment(**(env or {})), input=stdin, text=True,
                          capture_output=True, timeout=scaled(seconds), **popen)


def ask(fake, *arguments, **options):
    """A call that asks this fake daemon."""
    return portolan("--socket", fake.path, *arguments, **options)


def check(call, code, stdout=None, complaint=None):
    """The call exited so, printed that, and complained of it."""
    assert call.returncode == code, (call.stdout, call.stderr)
    if stdout is not None:
        assert call.stdout == stdout
    if complaint is None:
        assert call.stderr == ""
    else:
        assert complaint in call.stderr and call.stderr.startswith("portolan: ")


def listed_commands():
    """What `portolan help --json` tells of the commands, by name."""
    return {command["name"]: command for command in json.loads(portolan("help", "--json").stdout)["commands"]}


@pytest.fixture
def control(tmp_path):
    """Starts fake daemons; a call finds the last one by `--socket`."""
    started = []

    def start(replies, **options):
        fake = FakeControl(tmp_path / f"control{len(started)}", replies, **options)
        started.append(fake.__enter__())
        return fake

    yield start
    for fake in started:
        fake.__exit__()


def runs_as_nobody():
    """Whether other users may run what was built; it takes root to find out."""
    try:
        return os.geteuid() == 0 and portolan("version", user="nobody").returncode == 0
    except PermissionError:
        return False


def open_to_all(directory):
    """Lets other users reach what is in a test's directory."""
    for one in [Path(directory), *Path(directory).parents]:
        if not one.stat().st_mode & 0o001:
            one.chmod(one.stat().st_mode | 0o011)
