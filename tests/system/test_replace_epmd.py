"""scripts/replace-epmd, as root of a Debian system that is made for the test (overlay_system)."""

import glob
import os
import shutil
from pathlib import Path

import pytest


from deadlines import wait_for
from overlay_system import OUR_VERSION, OURS, PATH, SCRIPT, STOCK, System, why_impossible


@pytest.fixture(scope="module", autouse=True)
def possible(tmp_path_factory):
    if reason := why_impossible(tmp_path_factory.mktemp("possible")):
        print(f"replace-epmd is not tested: {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="module", autouse=True)
def machine_is_left_alone(possible):
    def seen():
        paths = [*glob.glob("/usr/lib/erlang/erts-*/bin/epmd*"), *glob.glob("/usr/bin/e*"), "/var/lib/dpkg/diversions"]
        return {path: os.lstat(path).st_mtime_ns for path in paths}, os.path.lexists(OURS)

    before = seen()
    yield
    assert seen() == before


@pytest.fixture
def bare(tmp_path):
    """A system without ours."""
    system = System(tmp_path)
    yield system
    system.close()


@pytest.fixture
def system(bare):
    bare.install_ours()
    return bare


def test_every_way_to_epmd_leads_to_ours_and_the_stock_one_is_kept(system):
    stock = Path(STOCK).read_bytes()
    system.replace()
    assert system.is_replaced()
    assert system.output("cat", STOCK + ".stock", text=False) == stock
    assert system.output("dpkg", "--verify", "erlang-base") == ""


def test_undo_restores_everything(system):
    before = system.state()
    system.replace()
    assert system.state() != before
    system.replace("--undo")
    assert system.state() == before


def test_twice_in_a_row_is_harmless(system):
    before = system.state()
    system.replace()
    replaced = system.state()
    assert "nothing to do" in system.replace()
    assert system.state() == replaced
    system.replace("--undo")
    assert "nothing to undo" in system.replace("--undo")
    assert system.state() == before


def test_a_dry_run_says_all_and_does_nothing(system):
    before = system.state()
    said = system.replace("--dry-run")
    assert f"would run: dpkg-divert --local --divert {STOCK}.stock --no-rename --add {STOCK}" in said
    assert system.state() == before
    system.replace()
    replaced = system.state()
    assert f"would run: mv -fT {STOCK}.stock {STOCK}" in system.replace("--undo", "--dry-run")
    assert system.state() == replaced


def test_a_node_starts_ours(system):
    system.replace()
    assert system.output("erl", "-sname", "a@localhost", "-noshell", "-eval", "erlang:display(ok), halt().") == "ok\n"
    assert system.running() == [OURS]
    assert "old/unused name <a>" in system.output("epmd", "-dump")


def test_an_upgrade_leaves_ours_in_place_and_undo_brings_the_new_stock_one(system):
    system.replace()
    system.dpkg_installs("erlang-base-upgraded", STOCK, "#!/bin/sh\necho upgraded\n")
    assert system.is_replaced()
    system.replace()
    assert system.is_replaced()
    system.replace("--undo")
    assert system.version("/usr/bin/epmd") == "upgraded\n"
    assert system.output("dpkg-divert", "--list", "*epmd*") == ""


def test_another_version_of_otp_is_taken_up_when_the_script_is_run_again(system):
    another = "/usr/lib/erlang/erts-99/bin/epmd"
    system.replace()
    system.dpkg_installs("erlang-base-99", another, "#!/bin/sh\necho stock\n")
    assert system.version(another) == "stock\n"
    system.replace()
    assert system.version(another).startswith(OUR_VERSION)
    system.output("dpkg", "--purge", "erlang-base-99")
    assert "a version that is gone: removed" in system.replace()
    assert system.run("test", "-e", "/usr/lib/erlang/erts-99").returncode == 1
    assert another not in system.output("dpkg-divert", "--list")
    assert system.is_replaced()


def test_a_running_stock_epmd_keeps_its_names_and_the_advice_changes_over_without_losing_any(system):
    system.output("erl", "-sname", "a@localhost", "-noinput", "-detached")
    wait_for(lambda: "name a at" in system.run("/usr/bin/epmd", "-names").stdout, 20, "the node")
    said = system.replace()
    assert len(system.running()) == 1 and OURS not in system.running()
    assert "name a at" in system.output("epmd", "-names")
    advice = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    assert len(advice) == 1 and advice[0].startswith("kill ")
    system.output("sh", "-c", advice[0])
    wait_for(lambda: "name a at" in system.run("epmd", "-names").stdout, 10, "the node to register again")
    assert system.running() == [OURS]
    assert "an epmd is running" not in system.replace()


def test_another_root_is_changed_and_not_this_one(system):
    """The other root is this one again, seen through another path: so its programs run there."""
    system.output("mkdir", "-p", system.directory / "root")
    before = system.state()
    system.output("mount", "--rbind", "/", system.directory / "root")
    system.replace("--root", f"{system.directory}/root/")
    assert system.is_replaced()
    assert system.output("readlink", STOCK) == OURS + "\n"
    system.replace("--undo", "--root", system.directory / "root")
    assert system.state() == before


@pytest.mark.parametrize("broken", ["ln", "mv"])
def test_a_step_that_fails_takes_back_those_before_it(system, broken):
    before = system.state()
    tool = shutil.which(broken, path=PATH)
    system.write(system.directory / "bin" / broken,
                 f'#!/bin/sh\ncase "$*" in *.new*) echo disk full >&2; exit 1 ;; esac\nexec {tool} "$@"\n')
    said = system.refusal(path=f"{system.directory}/bin:{PATH}")
    assert "cannot" in said and "disk full" in said
    assert system.state() == before


def test_ours_that_does_not_run_in_its_new_place_is_taken_back(system):
    before = system.state()
    system.write("/usr/local/bin/half", "#!/bin/sh\ncase $0 in /usr/lib/*) exit 1 ;; esac\necho '(Portolan)'\n")
    assert "cannot run /usr/local/bin/half" in system.refusal("--epmd", "/usr/local/bin/half")
    assert system.state() == before


@pytest.mark.parametrize("flags", [(), ("--undo",)], ids=["replaced", "undone"])
@pytest.mark.parametrize("left", ["diverted", "stock kept", "link made"])
def test_what_was_cut_off_half_way_is_finished_or_undone(system, left, flags):
    before = system.state()
    system.output("dpkg-divert", "--local", "--divert", STOCK + ".stock", "--no-rename", "--add", STOCK)
    if left != "diverted":
        system.output("ln", STOCK, STOCK + ".stock")
    if left == "link made":
        system.output("ln", "-s", OURS, STOCK + ".new")
    system.replace(*flags)
    if flags:
        assert system.state() == before
    else:
        assert system.is_replaced()
        system.replace("--undo")
        assert system.state() == before


def test_ours_must_be_installed(bare):
    before = bare.state()
    assert "cannot use /usr/local/bin/portoland: it is not there; run 'make install' first" in bare.refusal()
    assert bare.state() == before


def test_the_stock_one_must_be_there(system):
    system.output("rm", STOCK)
    assert "is missing; run apt-get install --reinstall erlang-base" in system.refusal()
    system.output("cp", "/dev/null", "/var/lib/dpkg/info/erlang-base.list")
    assert "install erlang-base first" in system.refusal()


def test_the_stock_one_is_not_taken_for_ours(system):
    before = system.state()
    assert "is not Portolan's" in system.refusal("--epmd", "/usr/bin/epmd")
    assert system.state() == before


def test_a_diversion_of_somebody_else_is_left_alone(system):
    system.output("dpkg-divert", "--local", "--divert", STOCK + ".mine", "--rename", "--add", STOCK)
    before = system.state()
    assert f"it is diverted to {STOCK}.mine already" in system.refusal()
    assert "nothing to undo" in system.replace("--undo")
    assert system.state() == before


def test_a_file_that_has_the_name_already_is_left_alone(system):
    system.write(STOCK + ".stock", "mine")
    before = system.state()
    assert f"cannot keep the stock epmd as {STOCK}.stock" in system.refusal()
    assert system.state() == before


def test_only_root_may(system):
    """The script is read by the shell of root, for its directory may be closed to others."""
    said = system.run("setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", SCRIPT.read_text())
    assert (said.returncode, said.stdout) == (1, "replace-epmd: cannot change the system: this needs root; run it with sudo\n")


@pytest.mark.parametrize("flags", [("--foo",), ("--root",), ("--epmd",), ("--root", "/nowhere"), ("--epmd", "epmd")], ids=str)
def test_a_wrong_call_is_refused_with_a_reason(system, flags):
    assert system.refusal(*flags).startswith("replace-epmd: cannot ")
