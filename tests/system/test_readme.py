"""README.md and docs/tour.md do what they say, and the documents name targets and files that exist.

The ```console blocks of a page are one session, in the order of the page: a line after `$ ` is
typed, and what stands below it, down to the next `$ `, is what is printed. ```sh blocks are for
people: they install things or never end.
"""

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

import erl
import hosts
from daemon import BUILD, REPOSITORY, environment, is_free
from deadlines import scaled, wait_for

README = "README.md"
TOUR = "docs/tour.md"
PAGES = [README, TOUR, "docs/install.md"]
README_LINES = 200  # what one reads in five minutes
# the ports of the pages, where no network namespace can be had
PORTS = [4369, *range(4370, 4375), *range(6369, 6379)]
STEP_SECONDS = 60

# What differs from run to run.
MASKS = [(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME"), (r"at port \d+", "at port PORT"), (r"\bport=\d+", "port=PORT"),
         (r"creation=\d+", "creation=N"), (r"process=\d+", "process=PID"), (r"fd = \d+", "fd = FD"),
         (r"process \d+", "process PID"), (r"^up +\d+s", "up 0s"), (r" +\d+  \d+s$", " CREATION SINCE"),
         (r"127\.0\.0\.1:\d{5}", "127.0.0.1:PORT"),
         (r"localhost:\d{5}", "localhost:PORT"), (r"^(\w+) +\d{5}  normal", r"\1 PORT normal"), (r"port \d{5}:", "port PORT:"),
         (r"longest turn [0-9.]+ ms", "longest turn 0.4 ms"),
         (r"leased for (1m|\d\ds)", "leased for 1m"), (r"\S*/build/portolan", "/build/portolan"),
         (r"^(\w+\.\w+) +(\S+) +", r"\1 \2 ")]


def text_of(page):
    return (REPOSITORY / page).read_text()


def blocks(page, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def steps(page):
    """(command, what it prints) for all console blocks."""
    return [tuple(step.partition("\n")[::2]) for block in blocks(page, "console")
            for step in re.split(r"^\$ ", block, flags=re.M)[1:]]


def masked(text):
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text, flags=re.MULTILINE)
    return text.strip()


class Shell:
    """One interactive session: commands go in by stdin, and a mark tells where the output of each
    ends."""

    def __init__(self, directory, env):
        self.process = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=directory, env=env, text=True)

    def type(self, command):
        mark = f"--- {os.urandom(8).hex()} ---"
        # a node would read the commands that follow
        self.process.stdin.write(f"{{ {command}\n}} </dev/null\necho '{mark}'\n")
        self.process.stdin.flush()
        deadline = threading.Timer(scaled(STEP_SECONDS), self.process.kill)
        deadline.start()
        printed = ""
        for line in self.process.stdout:
            if line.rstrip("\n") == mark:
                deadline.cancel()
                return printed
            printed += line
        raise AssertionError(f"the shell ended, or was ended after {scaled(STEP_SECONDS):g} s, at: {command}\n{printed}")

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def started_in(home):
    """What a page left running, where it was cut off: processes whose home is the test's."""
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file:
                if f"HOME={home}".encode() in file.read().split(b"\0"):
                    yield int(path.split("/")[2])
        except OSError:
            continue


def programs_running(home):
    """The daemons and nodes of the test that have not ended: their names."""
    return [name for pid in started_in(home) if (name := executable(pid)) in ("portoland", "epmd", "beam.smp")]


def executable(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return None


@contextlib.contextmanager
def a_host_of_its_own():
    """A network where the ports of the pages are free: its own one, or that of this machine."""
    if hosts.why_impossible() is None:
        host = hosts.Host()
        with host.entered():
            yield
        host.close()
    elif all(is_free(port) for port in PORTS):
        yield
    else:
        pytest.skip("the ports of the pages are taken, and there is no network namespace to have them in")


@pytest.fixture
def shell(tmp_path):
    """A shell in a folder that looks like a checkout after `make`."""
    (tmp_path / "build").mkdir()
    for name in ("bin", "lib"):
        (tmp_path / "build" / name).symlink_to(BUILD.resolve() / name)
    for name in ("docs", "include"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    with a_host_of_its_own():
        typed = Shell(tmp_path, environment(tmp_path, ERL_CRASH_DUMP="/dev/null",
                                            PORTOLAN_CONTROL__SOCKET=tmp_path / "build" / "portolan.sock"))
    yield typed
    typed.end()
    for pid in started_in(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(erl.missing() is not None, reason=str(erl.missing()))
@pytest.mark.parametrize("page, least", [(README, 15), (TOUR, 40)])
def test_a_session_prints_what_its_page_says(shell, tmp_path, page, least):
    # with a sanitizer there are no libraries
    built = (BUILD / "lib" / "libportolan.a").exists() and shutil.which("cc")
    played = 0
    for command, expected in steps(page):
        if not built and ("libportolan" in command or command.startswith("build/resolve")):
            continue
        printed = shell.type(command)
        assert masked(printed) == masked(expected), f"$ {command}\n{printed}"
        played += 1
    assert played >= least
    wait_for(lambda: programs_running(tmp_path) == [], 10)


def test_the_tour_runs_every_command():
    commands = {word for command, _ in steps(TOUR) for word in re.findall(r"portolan (\w+)", command)}
    listed = subprocess.run([BUILD / "bin" / "portolan", "help", "--json"], capture_output=True, text=True, check=True).stdout
    known = {command["name"] for command in json.loads(listed)["commands"]}
    # a cluster takes several hosts: test_cluster_hosts.py has its transcript
    assert known - commands <= {"help", "cluster"} and commands <= known


def test_the_example_in_c_is_one(tmp_path):
    if not shutil.which("cc"):
        pytest.skip("no C compiler on this machine")
    includes, _, body = blocks(TOUR, "c")[0].partition("\n\n")
    (tmp_path / "page.c").write_text(f"{includes}\n#include <stdio.h>\nint main(void) {{\n{body}}}\n")
    subprocess.run(["cc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{REPOSITORY / 'include'}", tmp_path / "page.c"],
                   check=True)


def test_the_readme_is_read_in_five_minutes():
    assert len(text_of(README).splitlines()) <= README_LINES


def test_the_readme_names_the_command_that_tests_a_change():
    assert "\nmake check " in text_of(README) and "\nmake check\n" in text_of(".ci/run")


@pytest.mark.parametrize("page, some", [(README, {"run", "check", "bench", "install"}),
                                        ("docs/install.md", {"install", "install-epmd", "uninstall"})])
def test_every_target_that_is_named_is_there(page, some):
    code = "\n".join(blocks(page, "sh") + re.findall(r"`[^`\n]+`", text_of(page)))
    words = {word for target in re.findall(r"\bmake ((?:[a-z][a-z-]*\b(?!=) ?)*)", code) for word in target.split()}
    assert some <= words
    makefile = (REPOSITORY / "Makefile").read_text()
    assert {word for word in words if not re.search(rf"^{word}:", makefile, re.M)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page):
    text = text_of(page)
    named = re.findall(r"(?<![\w/])(?:src|man|docs|tests|scripts|etc|include)/[\w./-]*\w", text)
    linked = [(REPOSITORY / page).parent / path for path in re.findall(r"\]\(([^)#:]+)[^)]*\)", text)]
    paths = {REPOSITORY / path for path in named} | set(linked)
    assert paths and {str(path) for path in paths if not path.exists()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_heading_that_is_linked_to_is_there(page):
    text = text_of(page)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}
    assert {name for name in re.findall(r"\]\(#([^)]+)\)", text)} <= anchors


@pytest.mark.parametrize("script", ["deps", "replace-epmd"])
def test_scripts_of_the_page_can_be_run(script):
    done = subprocess.run([REPOSITORY / "scripts" / script, "--help"], capture_output=True, text=True, timeout=scaled(10))
    assert done.returncode == 0 and done.stdout.startswith("usage: ")


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc on this machine")
@pytest.mark.parametrize("page", ["epmd.1", "portoland.8"])
def test_the_manual_names_every_flag(page):
    text = subprocess.run(["mandoc", "-T", "utf8", REPOSITORY / "man" / page], capture_output=True, text=True, check=True).stdout
    plain = re.sub(r".\x08", "", text)
    help_text = subprocess.run([BUILD / "bin" / "epmd", "--help"], capture_output=True, text=True, check=True).stdout
    flags = re.findall(r"^    (-[\w-]+)", help_text, re.M)
    assert len(flags) > 14
    assert [flag for flag in flags if flag not in plain] == []
