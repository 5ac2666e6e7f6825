"""`make install`, `make install-epmd` and `make uninstall`: what they bring, and that they touch
nothing of others."""

import os
import subprocess
from pathlib import Path

import pytest

from daemon import BUILD, REPOSITORY
from deadlines import scaled
from overlay_system import OURS, STOCK, System, why_impossible

SHARED_NAMES = ["bin/epmd", "share/man/man1/epmd.1", "lib/systemd/system/epmd.service", "lib/systemd/system/epmd.socket"]

pytestmark = pytest.mark.skipif(not (BUILD / "lib" / "libportolan.a").exists(),
                                reason="a build with a sanitizer has no libraries to install")


def make(target, root, prefix="/usr/local"):
    words = ["make", "--no-print-directory", "-C", REPOSITORY, target, f"BUILD={BUILD.resolve()}", f"PREFIX={prefix}",
             f"DESTDIR={root}"]
    return subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=scaled(120))


def made(target, root, prefix="/usr/local"):
    done = make(target, root, prefix)
    assert done.returncode == 0, done.stdout
    return done.stdout


def files(root):
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if not path.is_dir() or path.is_symlink())


def give_to_package(root, package, path, content):
    """A file under `root` that dpkg knows as a package's."""
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").write_text(
        f"Package: {package}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: a test\n")
    (info / f"{package}.list").write_text(f"{path}\n")
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def test_the_name_epmd_is_installed_only_when_asked_for(tmp_path):
    made("install", tmp_path)
    installed = files(tmp_path)
    assert "usr/local/bin/portoland" in installed and "usr/local/lib/systemd/system/portoland.socket" in installed
    assert not [path for path in installed if path in {f"usr/local/{name}" for name in SHARED_NAMES}]
    made("install-epmd", tmp_path)
    assert sorted(set(files(tmp_path)) - set(installed)) == sorted(f"usr/local/{name}" for name in SHARED_NAMES)


def test_uninstall_leaves_nothing(tmp_path):
    made("install-epmd", tmp_path)
    made("uninstall", tmp_path)
    assert files(tmp_path) == []


def test_the_prefix_is_that_of_the_installation(tmp_path):
    """Also where the build before had another one."""
    made("install", tmp_path / "first", "/usr/local")
    made("install", tmp_path / "second", "/opt/portolan")
    assert "prefix=/opt/portolan\n" in (tmp_path / "second/opt/portolan/lib/pkgconfig/portolan.pc").read_text()
    unit = tmp_path / "second/opt/portolan/lib/systemd/system/portoland.service"
    assert "ExecStart=/opt/portolan/bin/portoland " in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", SHARED_NAMES)
@pytest.mark.parametrize("owner", ["a package", "nobody known"])
def test_what_is_there_of_others_is_neither_overwritten_nor_removed(tmp_path, name, owner):
    if owner == "a package":
        file = give_to_package(tmp_path, "erlang-base", f"/usr/{name}", "theirs")
        reason = "it belongs to the package erlang-base"
    else:
        file = tmp_path / "usr" / name
        file.parent.mkdir(parents=True)
        file.write_text("theirs")
        reason = "it is not part of Portolan"
    refused = make("install-epmd", tmp_path, "/usr")
    assert refused.returncode != 0 and f"cannot install {file}: {reason}" in refused.stdout
    assert file.read_text() == "theirs"
    made("install", tmp_path, "/usr")
    assert f"kept {file}: {reason}" in made("uninstall", tmp_path, "/usr")
    assert file.read_text() == "theirs"
    assert not (tmp_path / "usr/bin/portoland").exists()


def test_a_unit_that_dpkg_knows_by_its_old_directory_is_a_packages_too(tmp_path):
    give_to_package(tmp_path, "erlang-base", "/lib/systemd/system/epmd.service", "# Portolan? no, but it says so")
    (tmp_path / "usr/lib/systemd/system").mkdir(parents=True)
    (tmp_path / "usr/lib/systemd/system/epmd.service").write_text("# Portolan? no, but it says so")
    assert "it belongs to the package erlang-base" in make("install-epmd", tmp_path, "/usr").stdout


def test_an_own_package_is_left_to_its_package_manager(tmp_path):
    file = give_to_package(tmp_path, "portolan", "/usr/bin/portoland", "packaged")
    assert "it belongs to the package portolan" in make("install", tmp_path, "/usr").stdout
    assert file.read_text() == "packaged"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes a system")
def test_uninstall_puts_the_stock_epmd_back_first(tmp_path):
    """Else every way to epmd would lead nowhere, and no node of the host would start."""
    if reason := why_impossible(tmp_path):
        pytest.skip(reason)
    with System(tmp_path) as system:
        system.install_ours()
        stock = system.state()
        system.replace()
        assert system.is_replaced()
        words = ["make", "-C", REPOSITORY, "uninstall", f"BUILD={BUILD.resolve()}", "PREFIX=/usr/local"]
        said = system.output(*words)
        assert f"{STOCK} is the stock one again" in said
        assert system.state() == stock
        assert system.run("test", "-e", OURS).returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes a system")
def test_uninstall_elsewhere_leaves_the_diversion_alone(tmp_path):
    if reason := why_impossible(tmp_path):
        pytest.skip(reason)
    with System(tmp_path) as system:
        system.install_ours()
        system.replace()
        system.output("make", "-C", REPOSITORY, "uninstall", f"BUILD={BUILD.resolve()}", "PREFIX=/opt/another")
        assert system.is_replaced()


def test_no_two_units_share_a_state_directory(tmp_path):
    """Each has a user of its own, and systemd gives a directory to the user that started last."""
    made("install-epmd", tmp_path)
    units = (tmp_path / "usr/local/lib/systemd/system").glob("*.service")
    named = [line for unit in units for line in unit.read_text().splitlines() if line.startswith("StateDirectory=")]
    assert len(named) == 2 and len(set(named)) == 2
