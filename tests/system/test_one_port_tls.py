"""Erlang distribution over TLS, with both sides' certificates checked, through TCP 4370 alone."""

import glob
import subprocess

import pytest

from one_port import code, connect_all, drive, exchange, is_mesh, site  # noqa: F401
from test_one_port import ALONE

CONNECTS = 100

pytestmark = pytest.mark.skipif(
    not glob.glob("/usr/lib/erlang/lib/ssl-*/ebin"), reason="no TLS for Erlang: install erlang-ssl"
)


def openssl(*words):
    subprocess.run(["openssl", "req", "-x509", *map(str, words)], check=True, capture_output=True)


class Authority:
    """Signs a certificate for each host, and writes the files that the nodes there read."""

    NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]

    def __init__(self, directory):
        directory.mkdir()
        self.directory = directory
        self.key, self.cert = directory / "ca.key", directory / "ca.pem"
        openssl(*self.NEW_KEY, "-keyout", self.key, "-out", self.cert, "-subj", "/CN=ca")

    def flags(self, address):
        """What a node of this address is started with. The other side checks what stands behind the
        @ of its name, as a host name also where it is an address.
        """
        key, cert = self.directory / f"{address}.key", self.directory / f"{address}.pem"
        openssl(
            *self.NEW_KEY, "-keyout", key, "-out", cert, "-CA", self.cert, "-CAkey", self.key,
            "-subj", f"/CN={address}", "-addext", f"subjectAltName=DNS:{address}",
            "-addext", "basicConstraints=critical,CA:FALSE",
        )
        options = self.directory / f"{address}.optfile"
        common = f'{{cacertfile,"{self.cert}"}},{{certfile,"{cert}"}},{{keyfile,"{key}"}},{{verify,verify_peer}}'
        options.write_text(
            f"[{{server,[{common},{{fail_if_no_peer_cert,true}}]}},\n {{client,[{common}]}}].\n"
        )
        return ["-ssl_dist_optfile", options]


@pytest.mark.parametrize("proto_dist", ["inet_tls", "inet6_tls"])
def test_a_mesh_over_tls(site, tmp_path, proto_dist):
    site = site(3, proto_dist=proto_dist)
    authority = Authority(tmp_path / "authority")
    starting = [site.node("a", host, *authority.flags(site.address(host))) for host in site.hosts]
    nodes = [node.started() for node in starting]
    connect_all(nodes)
    exchange(nodes)
    streams = [stream for daemon in site.daemons for stream in daemon.ask("streams")["streams"]]
    assert [(stream["tls"], stream["peer"]) for stream in streams] == [(True, None)] * 3
    one, two, _ = nodes
    assert one.evaluate(f"erlang:disconnect_node('{two.name}')") == "true"
    connect_all(nodes)

    stranger = Authority(tmp_path / "stranger").flags(site.address(site.hosts[0]))
    stranger = site.node("stranger", site.hosts[0], *stranger).started()
    assert not stranger.pings(two.name), "its certificate is of another authority"
    assert is_mesh(nodes)


def test_two_nodes_over_tls_share_a_port(site, code, tmp_path):
    """TLS hides even the name of the caller."""
    site = site(3, proto_dist="inet_tls")
    authority = Authority(tmp_path / "authority")
    flags = {
        host: [*authority.flags(site.address(host)), *ALONE, "-pa", code] for host in site.hosts
    }
    starting = [site.node(name, site.hosts[0], *flags[site.hosts[0]]) for name in "ab"]
    starting += [site.node("caller", host, *flags[host]) for host in site.hosts[1:]]
    nodes = [node.started() for node in starting]
    retries = drive(nodes[2:], nodes[:2], CONNECTS // 2, seed=7)
    print(f"TLS: {CONNECTS} connects, {retries} retries")
    assert retries <= CONNECTS // 20
