"""The completion scripts load, and offer the commands and options that `portolan help` tells of."""

import os
import shutil
import subprocess

import pytest

from deadlines import scaled
from fake_control import ok
from portolan_cli import PORTOLAN, REPOSITORY, clean_environment, control, listed_commands  # noqa: F401

BASH_SCRIPT = REPOSITORY / "scripts/completion/portolan.bash"
ZSH_SCRIPT = REPOSITORY / "scripts/completion/_portolan"
GLOBALS = {"--socket", "--timeout", "--json", "--help"}


def shell(program, script, *arguments, **env):
    """The lines that a script prints in a shell where `portolan` is the one under test."""
    env = clean_environment(PATH=f"{os.path.dirname(PORTOLAN)}:{os.environ['PATH']}", **env)
    call = subprocess.run([*program, "-c", script, *map(str, arguments)], env=env, capture_output=True, text=True,
                          timeout=scaled(20))
    assert (call.returncode, call.stderr) == (0, "")
    return call.stdout.splitlines()


def bash_offers(*words, **env):
    """What bash offers for the last of the words."""
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _portolan; printf "%s\\n" "${COMPREPLY[@]}"'
    return set(shell(["bash", "--norc", "--noprofile"], script, "bash", BASH_SCRIPT, "portolan", *words, **env)) - {""}


def test_bash_completes_with_our_function():
    assert shell(["bash"], 'source "$1"; complete -p portolan', "bash", BASH_SCRIPT) == \
        ["complete -F _portolan portolan"]


def test_bash_offers_every_command():
    commands = set(listed_commands())
    assert bash_offers("") == bash_offers("help", "") == bash_offers("--timeout", "1s", "") == commands
    assert bash_offers("le") == {"lease", "leases"}


def test_bash_offers_every_option():
    assert bash_offers("-") == GLOBALS | {"--version"}
    for name, command in listed_commands().items():
        assert bash_offers(name, "-") - {"--"} == GLOBALS | set(command["options"])


def test_bash_offers_the_names_of_the_daemon(control):  # noqa: F811
    names = [{"name": name, "port": 1, "type": "normal", "creation": 1, "since_s": 1} for name in ("rabbit", "emqx")]
    env = {"PORTOLAN_CONTROL__SOCKET": control({"names": ok(names=names)}).path}
    for command in ("resolve", "port", "lease", "exec"):
        assert bash_offers(command, "", **env) == {"rabbit", "emqx"}
    assert bash_offers("lease", "r", **env) == {"rabbit"}
    assert bash_offers("lease", "", PORTOLAN_CONTROL__SOCKET="/nonexistent", ERL_EPMD_PORT="1") == set()


def test_bash_offers_programs_behind_the_dashes(tmp_path):
    assert "portolan" in bash_offers("exec", "rabbit@s1", "--", "portol")
    (tmp_path / "file").touch()
    assert bash_offers("exec", "rabbit@s1", "--", "cat", f"{tmp_path}/f") == {f"{tmp_path}/file"}


def test_zsh_names_every_command_and_option():
    text = ZSH_SCRIPT.read_text()
    assert text.startswith("#compdef portolan\n")
    for name, command in listed_commands().items():
        assert f"{name}:{command['summary']}" in text
        for option in command["options"]:
            assert f"'{option}" in text
    for option in GLOBALS:
        assert option in text


def test_zsh_loads_it():
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("no zsh on this machine")
    script = f"fpath=({ZSH_SCRIPT.parent} $fpath); autoload -Uz compinit; compinit -D -u; " \
             "autoload +X _portolan; print $_comps[portolan]"
    assert shell([zsh, "-f"], script) == ["_portolan"]
