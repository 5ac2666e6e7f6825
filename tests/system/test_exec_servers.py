"""`portolan exec` with real servers: on one host h1, whose daemon has the configuration that
portoland(8) gives as its example, a server runs on the port that it was leased, and its tools keep
to theirs.
"""

import contextlib
import os
import re

import pytest

import hosts
from daemon import REPOSITORY, listeners
from deadlines import wait_for
from portolan_cli import PORTOLAN, open_to_all, runs_as_nobody
from portoland import Portoland
from servers import Ejabberd, Rabbit

FIRST, LAST = 6369, 6378
TOOLS = range(6375, 6379)

needs_rabbit = pytest.mark.skipif(Rabbit.SCRIPTS is None, reason="no RabbitMQ: run scripts/deps test")
needs_ejabberd = pytest.mark.skipif(Ejabberd.SCRIPT is None, reason="no ejabberd: run scripts/deps test")


def the_example():
    """The configuration of the manual, word for word."""
    manual = (REPOSITORY / "man" / "portoland.8").read_text()
    found = re.search(r"^\$ cat /etc/portolan/portolan\.conf\n((?:[a-z_.]+ = .*\n)+)", manual, re.MULTILINE)
    assert found, "portoland(8) has no such example"
    return found[1]


class OneHost(contextlib.ExitStack):
    """The host h1, with nothing but its daemon; as servers.Server takes it."""

    def __init__(self, directory, *flags):
        super().__init__()
        self.directory = directory
        self.host = hosts.Host()
        self.callback(self.host.close)
        self.names = directory / "hosts"
        self.names.write_text("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 h1\n")
        (directory / "portolan.conf").write_text(the_example())
        self.daemon = Portoland(directory, "-c", directory / "portolan.conf", *flags, port=4370)
        with self.host.entered():
            self.enter_context(self.daemon)

    def name_of(self, host):
        assert host is self.host
        return "h1"

    def as_host(self, host):
        script = 'mount --bind "$0" /etc/hosts && hostname "$1" && shift && exec "$@"'
        return ["unshare", "-m", "-u", "sh", "-c", script, self.names, self.name_of(host)]

    def exec_words(self, node, *options):
        return [PORTOLAN, "--socket", self.daemon.socket, "exec", *options, node, "--"]

    def run(self, server, *options, **more):
        """The server, under `portolan exec`, when it is up."""
        through = self.exec_words(f"{server.ALIVE}@h1", *options)
        return server(self, self.host, through=through, **more).started()

    def listens(self, port):
        with self.host.entered():
            return bool(listeners(port))

    def registered_ports(self, pattern):
        """The ports on which names of that form ever were registered."""
        found = re.findall(rf" registered name={pattern} port=(\d+)", self.daemon.log)
        return {int(port) for port in found}


@pytest.fixture
def one_host(tmp_path):
    if reason := hosts.why_impossible():
        pytest.skip(reason)
    with contextlib.ExitStack() as built:
        yield lambda *flags: built.enter_context(OneHost(tmp_path, *flags))


ENFORCEMENT = pytest.mark.parametrize("flags", [["--set", f"node.dist_tool_ports={len(TOOLS)}"],
                                                ["--set", "node.port_enforce=off"]], ids=["enforced", "not enforced"])


def leases_with_ports(site):
    """All lines of `portolan leases`, as (name, port, held)."""
    return [(entry["name"], entry["port"], entry["held"]) for entry in site.daemon.says("leases")["leases"]]


@needs_rabbit
@ENFORCEMENT
def test_rabbitmq_runs_on_the_port_it_was_leased(one_host, flags):
    site = one_host(*flags)
    enforced = "node.port_enforce=off" not in flags
    # as the manual has it; where nothing is enforced its tools may be where they like
    settings = f"CTL_DIST_PORT_MIN={TOOLS[0]}\nCTL_DIST_PORT_MAX={TOOLS[-1]}\n" if enforced else ""
    rabbit = site.run(Rabbit, settings=settings)
    assert leases_with_ports(site) == [("rabbit", FIRST, True)]
    assert site.listens(FIRST) and not site.listens(25672)
    assert site.registered_ports("rabbit") == {FIRST}
    assert "lease_ended" not in site.daemon.log and "refused" not in site.daemon.log

    assert rabbit.ctl("eval", "node().") == "rabbit@h1"
    tools = site.registered_ports("rabbitmqcli-[0-9]+-rabbit")
    assert tools and tools <= set(TOOLS if enforced else range(35672, 35683))
    assert leases_with_ports(site) == [("rabbit", FIRST, True)]
    assert "refused" not in site.daemon.log

    rabbit.ctl("stop")
    wait_for(lambda: leases_with_ports(site) == [], 20, "the end of the lease with its node")
    assert site.daemon.lease("rabbit@h1") == FIRST


class RabbitOfItsOwnUser(Rabbit):
    """Its start script changes to a user of the system, as Debian's does where root calls it."""

    USER = "1"

    def configure(self):
        super().configure()
        open_to_all(self.home)
        for path in (self.home, *self.home.iterdir()):
            os.chown(path, int(self.USER), int(self.USER))

    def command(self, *words):
        change = ["setpriv", f"--reuid={self.USER}", f"--regid={self.USER}", "--clear-groups"]
        return [*change, *super().command(*words)]


@needs_rabbit
@pytest.mark.skipif(not runs_as_nobody(), reason="other users may not enter the directory of the build")
def test_root_starts_a_rabbitmq_that_changes_its_user(one_host):
    site = one_host()
    site.run(RabbitOfItsOwnUser)
    lease, = site.daemon.says("leases")["leases"]
    assert (lease["name"], lease["port"], lease["held"], lease["user"]) == ("rabbit", FIRST, True, 1)
    assert "lease_ended" not in site.daemon.log and "refused" not in site.daemon.log


@needs_ejabberd
@ENFORCEMENT
def test_ejabberd_runs_on_the_port_it_was_leased(one_host, flags):
    site = one_host(*flags)
    window = f"FIREWALL_WINDOW={TOOLS[0]}-{TOOLS[-1]}\n"
    ejabberd = site.run(Ejabberd, settings=window)
    assert leases_with_ports(site) == [("ejabberd", FIRST, True)]
    assert "started in the node" not in ejabberd.says("registered_users", "example.org")
    tools = site.registered_ports("[^ ]*-ctl-ejabberd[^ ]*")
    assert tools and tools <= set(TOOLS)
    assert leases_with_ports(site) == [("ejabberd", FIRST, True)]
    assert "refused" not in site.daemon.log and "lease_ended" not in site.daemon.log
