"""RabbitMQ and ejabberd become clusters of two hosts through TCP 4370 alone."""

import concurrent.futures
import contextlib
import subprocess

import pytest

from daemon import holder_of
from deadlines import scaled, wait_for
from one_port import FRONT, site  # noqa: F401
from servers import Ejabberd, Rabbit


def started(server, site):
    """One on each host, starting at the same time."""
    return [one.started() for one in [server(site, host) for host in site.hosts]]


def none_took_the_front_port(site):
    for host, daemon in zip(site.hosts, site.daemons):
        with host.entered():
            assert holder_of(FRONT) == daemon.process.pid


def logs_of(rabbit):
    return "".join(path.read_text(errors="replace") for path in rabbit.home.glob("log/*.log"))


def both_run(rabbit):
    """Asked while it heals, which restarts it, it may have no answer."""
    with contextlib.suppress(AssertionError):
        running = rabbit.ctl("eval", "lists:sort(rabbit_nodes:all_running()).")
        return running == "[rabbit@s1,rabbit@s2]"
    return False


@contextlib.contextmanager
def channel(rabbit):
    """A channel of an AMQP connection that stays on the host."""
    pika = pytest.importorskip("pika", reason="no AMQP client: install python3-pika")
    with rabbit.host.entered():
        connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1"))
    with contextlib.closing(connection):
        opened = connection.channel()
        opened.confirm_delivery()
        yield opened


@pytest.mark.skipif(Rabbit.SCRIPTS is None, reason="no RabbitMQ: run scripts/deps test")
def test_two_rabbits_become_a_cluster_and_share_a_queue(site):
    site = site(2)
    one, two = started(Rabbit, site)
    for command in (["stop_app"], ["join_cluster", one.name], ["start_app"]):
        two.ctl(*command)
    # the command line of each host asks the node of the other, both at once
    running = ["eval", "lists:sort(rabbit_nodes:all_running())."]
    with concurrent.futures.ThreadPoolExecutor() as calls:
        asked = [calls.submit(a.ctl, "-n", b.name, *running) for a, b in ((one, two), (two, one))]
    assert [call.result() for call in asked] == ["[rabbit@s1,rabbit@s2]"] * 2

    with channel(one) as here, channel(two) as there:
        here.queue_declare("letters", durable=True)
        here.basic_publish("", "letters", b"over one port", mandatory=True)
        listed = two.ctl("-q", "list_queues", "--no-table-headers", "name", "messages", "pid")
        assert listed.startswith("letters\t1\t<rabbit@s1.")
        assert there.basic_get("letters", auto_ack=True)[2] == b"over one port"
        there.basic_publish("", "letters", b"and back", mandatory=True)
        assert here.basic_get("letters", auto_ack=True)[2] == b"and back"

    assert one.ctl("eval", "nodes().") == f"[{two.name}]"
    none_took_the_front_port(site)


@pytest.mark.skipif(Rabbit.SCRIPTS is None, reason="no RabbitMQ: run scripts/deps test")
def test_rabbitmqctl_with_a_wrong_cookie_says_so(site):
    """It lists the names of the other host, and tries the port that it finds there."""
    site = site(2)
    one = Rabbit(site, site.hosts[0]).started()
    two = Rabbit(site, site.hosts[1]).started()
    with two.host.entered():
        call = subprocess.run(
            two.words("rabbitmqctl", "-n", one.name, "--erlang-cookie", "WRONG", "status"),
            env=two.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=scaled(120))
    said = call.stdout + call.stderr
    assert call.returncode != 0
    assert "epmd reports node 'rabbit' uses port 4370" in said, said
    assert "TCP connection succeeded but Erlang distribution failed" in said, said
    assert "not running at all" not in said


@pytest.mark.skipif(Rabbit.SCRIPTS is None, reason="no RabbitMQ: run scripts/deps test")
def test_rabbits_that_heal_are_a_cluster_again_after_their_daemon_was_killed(site):
    site = site(2)
    one, two = started(Rabbit, site)
    for command in (["stop_app"], ["join_cluster", one.name], ["start_app"]):
        two.ctl(*command)
    site.daemons[0].crash()
    site.daemons[0].start()
    # it is cut: else this would try nothing
    wait_for(lambda: "node rabbit@s2 down" in logs_of(one), 30, lambda: logs_of(one))
    wait_for(lambda: both_run(one) and both_run(two), 90, lambda: logs_of(one) + logs_of(two))
    none_took_the_front_port(site)


@pytest.mark.skipif(Ejabberd.SCRIPT is None, reason="no ejabberd: run scripts/deps test")
def test_two_ejabberds_become_a_cluster_and_share_their_users(site):
    site = site(2)
    one, two = started(Ejabberd, site)
    two.says("join_cluster", one.name)
    for server in (one, two):
        assert set(server.says("list_cluster").split()) == {"ejabberd@s1", "ejabberd@s2"}
    one.says("register", "alice", "example.org", "secret")
    assert two.says("registered_users", "example.org") == "alice"
    none_took_the_front_port(site)
