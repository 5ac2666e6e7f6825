"""docs/one-port.md: its firewalls are put up on two hosts, and nodes that are started as it says
connect through them."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from daemon import REPOSITORY
from deadlines import scaled, wait_for
from members import nft
from one_port import FRONT, connect_all, exchange, site  # noqa: F401

PAGE = (REPOSITORY / "docs" / "one-port.md").read_text()


def block(kind):
    """The one block of this kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S)
    return found


def in_private(directory, settings, script, **options):
    """Words that run a script with a copy of /etc/SETTINGS in its place, and nothing in /run."""
    copy = directory / settings
    if not copy.exists():
        shutil.copytree(Path("/etc") / settings, copy)
    private = f'mount --bind "$0" /etc/{settings} && mount -t tmpfs none /run && exec sh -ec "$1"'
    return ["unshare", "-m", "sh", "-c", private, str(copy), script]


def run_here(host, words, **options):
    with host.entered():
        done = subprocess.run(words, capture_output=True, text=True, timeout=scaled(60), **options)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@contextlib.contextmanager
def nftables(host, directory):
    nft(host, block("nft"))
    yield


@contextlib.contextmanager
def ufw(host, directory):
    nft(host, "delete table inet wall")
    run_here(host, in_private(directory, "ufw", block("ufw")))
    yield


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow
own="*"/><allow user="*"/></policy></busconfig>
"""


@contextlib.contextmanager
def firewalld(host, directory):
    """The daemon itself, on a bus of its own: it takes its rules away when it ends."""
    with contextlib.ExitStack() as running:
        place = Path(running.enter_context(tempfile.TemporaryDirectory()))  # a socket's path is short
        (place / "bus.conf").write_text(BUS.format(path=place / "bus"))
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={place / 'bus'}"}
        nft(host, "delete table inet wall")

        def start(*words):
            with host.entered():
                process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            running.callback(process.wait)
            running.callback(process.terminate)

        start("dbus-daemon", f"--config-file={place / 'bus.conf'}", "--nofork", "--nopidfile")
        wait_for((place / "bus").exists, 10, "the bus")
        log = f"--log-file={place / 'log'}"
        start(*in_private(directory, "firewalld", f"exec firewalld --nofork --nopid {log}"))
        is_up = ["firewall-cmd", "--state"]
        wait_for(lambda: subprocess.run(is_up, env=env, capture_output=True).returncode == 0, 20, "firewalld")
        run_here(host, in_private(directory, "firewalld", block("firewalld")), env=env)
        yield


FIREWALLS = {"nft": nftables, "ufw": ufw, "firewall-cmd": firewalld}


@pytest.mark.parametrize("tool", FIREWALLS)
def test_nodes_connect_through_the_firewall_of_the_page_and_nothing_else_does(site, tmp_path, tool):
    for program in {tool, "dbus-daemon"} if tool == "firewall-cmd" else {tool}:
        if not shutil.which(program):
            pytest.skip(f"no `{program}` on this machine")
    site = site(2)
    here, there = site.hosts
    for number, host in enumerate(site.hosts, 1):
        host.ip("addr", "add", f"10.79.0.{number}/24", "dev", "wire")  # another network on the same wire
    with contextlib.ExitStack() as up:
        for host in site.hosts:
            directory = tmp_path / f"firewall-{site.name_of(host)}"
            directory.mkdir()
            up.enter_context(FIREWALLS[tool](host, directory))
        nodes = site.nodes()
        connect_all(nodes)
        exchange(nodes)
        for address in (here.address, here.address6):
            there.connect(FRONT, address).close()
        for port, address in ((nodes[0].listening_port, here.address), (FRONT, "10.79.0.1")):
            with pytest.raises(OSError):
                there.connect(port, address, seconds=0.5)
        assert site.streams() == 1


def test_the_objects_for_kubernetes_fit_each_other():
    """Read as YAML; whether a cluster takes them is not tried."""
    yaml = pytest.importorskip("yaml", reason="no YAML: install python3-yaml")
    service, policy, pods = yaml.safe_load_all(block("yaml"))
    assert [part["kind"] for part in (service, policy, pods)] == ["Service", "NetworkPolicy", "StatefulSet"]
    template = pods["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == pods["spec"]["selector"]["matchLabels"]
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    (rule,) = policy["spec"]["ingress"]
    assert [peer["podSelector"]["matchLabels"] for peer in rule["from"]] == [labels]
    (sidecar,), (server,) = template["spec"]["initContainers"], template["spec"]["containers"]
    ports = [service["spec"]["ports"][0]["port"], rule["ports"][0]["port"], sidecar["ports"][0]["containerPort"]]
    assert ports == [FRONT] * 3 and sidecar["restartPolicy"] == "Always"
    environment = {variable["name"]: variable.get("value") for variable in server["env"]}
    assert environment["ERL_EPMD_PORT"] == str(FRONT)
    assert pods["spec"]["serviceName"] == service["metadata"]["name"]
    assert environment["RABBITMQ_NODENAME"].endswith(service["metadata"]["name"])
