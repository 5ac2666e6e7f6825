"""`portolan port` and Erlang agree on ekka's rule, name by name.

The expected ports come from Erlang's own regular expressions, which are written here after the
words of the rule: cut the name at the first '@'; if what is left begins with "remsh", the port is
0; else its trailing ASCII digits as a number of any length, modulo 60,000, and the base; no digits
count as 0.
"""

import random
import shutil
import subprocess
import time

import pytest

from deadlines import scaled
from portolan_cli import clean_environment, portolan, words

ORACLE = r"""
-module(oracle).
-export([main/3]).

main(NamesFile, PortsFile, Base) ->
    {ok, Text} = file:read_file(NamesFile),
    Names = binary:split(Text, <<"\n">>, [global, trim]),
    ok = file:write_file(PortsFile, [[integer_to_list(port(Name, Base)), $\n] || Name <- Names]).

port(Name, Base) ->
    {match, [Alive]} = re:run(Name, "^([^@]*)", [{capture, [1], binary}]),
    case re:run(Alive, "^remsh") of
        {match, _} -> 0;
        nomatch -> Base + offset(Alive) rem 60000
    end.

offset(Alive) ->
    case re:run(Alive, "([0-9]+)$", [dollar_endonly, {capture, [1], list}]) of
        {match, [Digits]} -> list_to_integer(Digits);
        nomatch -> 0
    end.
"""

BY_HAND = [  # on base 4370
    ("emqx@s1.emqx.io", 4370), ("emqx-1@192.168.0.12", 4371), ("emqx1", 4371), ("emqx", 4370),
    ("a1@b2@c3", 4371), ("a@b2", 4370), ("@h", 4370), ("@", 4370), ("@9", 4370), ("", 4370), ("7", 4377), ("42@h", 4412),
    ("remsh", 0), ("remsh@h", 0), ("remsh1@h", 0), ("remshell1@h", 0), ("remsh_emqx12@h", 0), ("xremsh1@h", 4371),
    ("rems1@h", 4371), ("Remsh1@h", 4371), (" remsh1@h", 4371), ("h1@remsh", 4371),
    ("n123456789012345678901234567890@h", 4370 + 123456789012345678901234567890 % 60000),
    ("n" + "9" * 500 + "@h", 4370 + int("9" * 500) % 60000), ("n" + "0" * 500 + "5@h", 4375),
    ("n00012@h", 4382), ("n0@h", 4370), ("n59999@h", 64369), ("n60000@h", 4370), ("n60001@h", 4371),
    ("n119999@h", 64369), ("n4294967296@h", 4370 + 4294967296 % 60000),
    ("n18446744073709551616@h", 4370 + 18446744073709551616 % 60000),
    ("n١٢@h", 4370), ("n１２@h", 4370), ("n²@h", 4370), ("n1٢3@h", 4373), ("node1.5@h", 4375), ("node5.@h", 4370),
    ("node1.example@h", 4370), ("n1-@h", 4370), ("n-1@h", 4371), ("n+1@h", 4371), ("n1 @h", 4370), ("1n@h", 4370),
    ("n1x2@h", 4372), ("größe3@h", 4373), ("日本8@h", 4378)]


@pytest.mark.parametrize("node, port", BY_HAND, ids=lambda value: str(value)[:40])
def test_a_name_has_the_port_of_the_rule(node, port):
    call = portolan("port", "--", node)
    assert (call.returncode, call.stdout, call.stderr) == (0, f"{node} {port}\n", "")


@pytest.mark.parametrize("node, base, port", [
    ("n535@h", 65000, 65535), ("n@h", 65535, 65535), ("n@h", 1, 1), (f"n{65535 - 4370 - 60000}@h", 4370, 5535),
    ("n59999@h", 5536, 65535), ("remsh59999@h", 65535, 0), ("n1@h", 5370, 5371)])
def test_the_base_counts(node, base, port):
    call = portolan("port", node, "--base", base)
    assert (call.returncode, call.stdout, call.stderr) == (0, f"{node} {port}\n", "")


@pytest.mark.parametrize("node, base, offset", [
    ("n536@h", 65000, 536), ("n59999@h", 5537, 59999), ("n1@h", 65535, 1), ("n119999@h", 65000, 59999)])
def test_over_65535_is_an_error_with_the_numbers_in_it(node, base, offset):
    call = portolan("port", node, "--base", base)
    assert (call.returncode, call.stdout) == (1, "")
    assert f"no port for {node}: base {base} + offset {offset} = {base + offset}, above 65535" in call.stderr
    assert portolan("port", node, "--base", 65535 - offset).returncode == 0


# --- thousands of names ---

PIECES = ["n", "emqx", "rabbit", "remsh", "rems", "-", "_", ".", "@", "@", "@h", "@192.168.0.12", "é", "日", "٣", "１", "²",
          " ", "+", "'", '"', "\\", "\t", "\x0b", "\x7f", "x", "9", "0", "00", "60000", "59999", "65535"]


def random_name(choice):
    pieces = []
    for _ in range(choice.randrange(1, 7)):
        if choice.random() < 0.4:
            pieces.append(str(choice.randrange(10 ** choice.choice((1, 3, 5, 6, 12, 40)))))
        else:
            pieces.append(choice.choice(PIECES))
    # blanks at the ends are not the name's where names are read a line each
    return "".join(pieces).strip(" \t") or "n"


def expected_ports(directory, names, base):
    """What Erlang says: one run, with the names and the answers in files."""
    (directory / "oracle.erl").write_text(ORACLE)
    (directory / "names").write_text("".join(name + "\n" for name in names))
    run = f'{{ok, oracle}} = c:c("oracle.erl"), oracle:main("names", "ports", {base}), halt().'
    subprocess.run(["erl", "-noshell", "-eval", run], cwd=directory, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, env=clean_environment(HOME=str(directory)), timeout=scaled(60))
    return [int(line) for line in (directory / "ports").read_text().splitlines()]


@pytest.mark.skipif(shutil.which("erl") is None, reason="no Erlang on this machine")
def test_ten_thousand_names_have_the_ports_that_erlang_computes(tmp_path):
    seed = random.randrange(2 ** 32)
    choice = random.Random(seed)
    names = [random_name(choice) for _ in range(10000)]
    expected = expected_ports(tmp_path, names, 4370)
    call = portolan("port", "-", stdin="".join(name + "\n" for name in names))
    assert call.returncode == 0
    ours = [int(line.rpartition(" ")[2]) for line in call.stdout.split("\n")[:-1]]
    assert len(ours) == len(expected) == len(names)
    different = [(name, port, want) for name, port, want in zip(names, ours, expected) if port != want]
    assert different == [], f"seed {seed}"
    assert len(set(ours)) > 1000 and ours.count(0) > 100, "the names are too much alike to prove anything"


def test_the_speed_of_reading_names(tmp_path, capsys):
    count = 1_000_000
    with open(tmp_path / "names", "w") as names:
        names.writelines(f"emqx-{i}@192.168.0.12\n" for i in range(count))
    with open(tmp_path / "names") as names, open(tmp_path / "ports", "w") as ports:
        start = time.monotonic()
        subprocess.run(words("port", "-"), env=clean_environment(), stdin=names, stdout=ports, check=True,
                       timeout=scaled(120))
        seconds = time.monotonic() - start
    lines = (tmp_path / "ports").read_text().splitlines()
    assert len(lines) == count and lines[-1] == "emqx-999999@192.168.0.12 44369"
    with capsys.disabled():
        print(f"\nportolan port -: {count / seconds / 1e6:.1f} million names a second")
