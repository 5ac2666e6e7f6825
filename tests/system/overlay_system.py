"""A Debian system to change, made for a test: this machine under an overlay, in a mount namespace
with a network and processes of its own. What the test does there is gone with it."""

import glob
import os
import shutil
import subprocess
from pathlib import Path

from daemon import BUILD, REPOSITORY, our_epmd, run
from deadlines import scaled

SCRIPT = REPOSITORY / "scripts" / "replace-epmd"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STOCK = next(iter(sorted(glob.glob("/usr/lib/erlang/erts-*/bin/epmd"))), None)
OURS = "/usr/local/bin/portoland"
WAYS = ("/usr/bin/epmd", "/usr/lib/erlang/bin/epmd", STOCK)
OUR_VERSION = "epmd (Portolan)"

# $1: the test's own directory, which is as it is in both; the others ($2 ...) can be read there
PREPARE = """
set -eu
own=$1
mount -t tmpfs tmpfs "$own/layers"
cd "$own/layers"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
mount --rbind /dev root/dev
mount -t proc proc root/proc
for directory in "$@"; do
    mkdir -p "root$directory"
    mount --bind "$directory" "root$directory"
    [ "$directory" = "$own" ] || mount -o remount,bind,ro "root$directory"
done
ip link set lo up
exec chroot root sh -c 'echo ready; exec cat >/dev/null'
"""


class System:
    """The system to change. Its first process waits for the end of its input; with it all others
    end."""

    def __init__(self, directory):
        self.directory = Path(directory)
        (self.directory / "layers").mkdir()
        words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--",
                 "sh", "-c", PREPARE, "sh", self.directory, REPOSITORY, BUILD.resolve()]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env={"PATH": PATH, "LC_ALL": "C"})
        if self.process.stdout.readline() != "ready\n":
            _, problem = self.process.communicate(timeout=scaled(10))
            raise OSError(problem.strip() or "unshare ended without a word")
        first = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0]
        self.enter = ["nsenter", "--target", first, "--mount", "--net", "--pid", "--root", "--wd", "--"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.communicate(timeout=scaled(10))

    def run(self, *words, path=PATH, **options):
        environment = {"PATH": path, "HOME": str(self.directory), "LC_ALL": "C.UTF-8", "ERL_CRASH_DUMP": "/dev/null",
                       "PORTOLAN_NODE__DATA_DIR": str(self.directory / "state")}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        return subprocess.run([*self.enter, *map(str, words)], env=environment, stdin=subprocess.DEVNULL,
                              timeout=scaled(60), **options)

    def output(self, *words, **options):
        done = self.run(*words, **options)
        assert done.returncode == 0, f"{words}: {done.stdout}"
        return done.stdout

    def replace(self, *flags):
        return self.output(SCRIPT, *flags)

    def refusal(self, *flags, **options):
        done = self.run(SCRIPT, *flags, **options)
        assert done.returncode == 1, done.stdout
        return done.stdout

    def install_ours(self):
        self.output("install", "-D", Path(our_epmd()).resolve(), OURS)

    def version(self, path):
        return self.run(path, "--version").stdout

    def is_replaced(self):
        return [self.version(way).startswith(OUR_VERSION) for way in WAYS] == [True] * len(WAYS)

    def running(self):
        """The programs of the epmds that run; the dead that nobody has buried have none."""
        return self.output("sh", "-c", "for pid in $(pgrep -x epmd); do readlink /proc/$pid/exe || true; done").splitlines()

    def state(self):
        """All that the script may change: files with their content, rights, owner and age, links,
        diversions."""
        listing = self.output("find", "/usr/lib/erlang", "-name", "epmd*", "-printf", "%p %l %m %u %g %s %T@\\n")
        sums = self.output("sh", "-c", "sha256sum /usr/lib/erlang/erts-*/bin/epmd*")
        return sorted(listing.splitlines()), sums, self.output("dpkg-divert", "--list")

    def write(self, path, text):
        """A program of the test's own."""
        self.output("sh", "-c", 'mkdir -p "$(dirname "$1")"; printf %s "$2" >"$1"; chmod 755 "$1"', "sh", path, text)

    def dpkg_installs(self, name, path, content):
        """A package with one file, which takes that over from erlang-base as an upgrade would."""
        tree = self.directory / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 99\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
            "Replaces: erlang-base\nDescription: one file\n")
        file = tree / path.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_text(content)
        file.chmod(0o755)
        self.output("dpkg-deb", "--root-owner-group", "--build", tree, tree.with_suffix(".deb"))
        self.output("dpkg", "--install", tree.with_suffix(".deb"))


def why_impossible(directory):
    if os.geteuid() != 0:
        return "only root makes mount namespaces"
    for program in ("dpkg-divert", "unshare", "nsenter", "ip", "erl"):
        if shutil.which(program) is None:
            return f"no `{program}` on this machine"
    if STOCK is None or Path(STOCK).is_symlink():
        return "no stock epmd in its place on this machine"
    if run(our_epmd(), "--version", directory=directory).returncode != 0:
        return "our epmd does not run"
    probe = Path(directory) / "probe"
    probe.mkdir()
    try:
        System(probe).close()
    except OSError as problem:
        return f"no mount namespace with overlays: {problem}"
    return None
