"""What a peer can cause again and again fills no disk, and what happens once is in the log."""

import re

import wire
from deadlines import wait_for
from portoland import portoland  # noqa: F401

REFUSALS = 300
BURST = 20  # of refusals


def held_back(server, kind):
    return sum(int(lines) for lines in re.findall(rf"log_lines_held_back kind={kind} lines=(\d+)", server.log))


def test_what_is_held_back_is_counted_when_its_time_is_over(portoland):
    """Also when nothing else happens then."""
    server = portoland()
    for _ in range(REFUSALS):
        wire.ask(server.port, b"\0\1q")
    server.says("status")
    wait_for(lambda: held_back(server, "refused"), 20, "the count of the lines")
    written = len(re.findall(" warn refused ", server.log))
    assert written + held_back(server, "refused") == REFUSALS
    assert written < REFUSALS / 2


def test_names_that_come_and_go_for_ever_do_not_fill_the_disk(portoland):
    """Lines of one kind are not lost to those of another."""
    server = portoland("--set", "log.level=info")
    for number in range(17000):
        conn = wire.connect(server.port, f"127.0.0.{1 + number % 200}")
        conn.sendall(wire.alive("loop%d" % (number % 7)))
        conn.close()
    wire.ask(server.port, b"\0\1q")
    server.logged(" warn refused ")
    server.stop()
    assert held_back(server, "registered") + held_back(server, "unregistered") > 0
    assert len(re.findall(" info registered ", server.log)) < 17000


def test_a_thousand_nodes_that_come_at_once_are_all_in_the_log(portoland):
    server = portoland()
    conns = [wire.register(server.port, f"node_{number}")[0] for number in range(900)]
    wait_for(lambda: len(re.findall(" info registered ", server.log)) == 900, 20, "all to be in the log")
    for conn in conns:
        conn.close()
    wait_for(lambda: len(re.findall(" info unregistered ", server.log)) == 900, 20, "the end of all")
    assert held_back(server, "registered") == 0
