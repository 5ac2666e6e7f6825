"""Attacks at the control socket, by a user who may only read."""

import contextlib
import json
import socket
import select
import time

from attack import Attack, root_is_served
from attacks_names import churn, names_of_root


def dial(lab):
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    conn.settimeout(10)
    conn.connect(lab.socket)
    return conn


def line(command, **members):
    return json.dumps({"v": 1, "command": command, **members}).encode() + b"\n"


def flood(lab, ready, connections, request):
    """Sends requests without end on some connections, and reads what comes."""
    conns = []
    for _ in range(connections):
        with contextlib.suppress(OSError):
            conns.append(dial(lab))
    for conn in conns:
        conn.setblocking(False)
    ready()
    while True:
        if not conns:
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                conns.append(dial(lab))
                conns[-1].setblocking(False)
            continue
        readable, writable, _ = select.select(conns, conns, [], 1)
        for conn in set(readable) | set(writable):
            try:
                if conn in readable and conn.recv(1 << 18) == b"":
                    raise ConnectionError
                if conn in writable:
                    conn.send(request)
            except BlockingIOError:
                continue
            except OSError:
                conn.close()
                conns.remove(conn)


def pipelined_status(lab, ready):
    flood(lab, ready, 8, line("status") * 100)


def all_names(lab, ready):
    flood(lab, ready, 8, line("names"))


def many_ports(lab, ready):
    nodes = [f"node-{number}@192.168.0.12" for number in range(1500)]
    flood(lab, ready, 60, line("port", nodes=nodes))


def deaf_watcher(lab, ready):
    """Watches and reads nothing, while names come and go."""
    conns = [dial(lab) for _ in range(20)]
    for conn in conns:
        conn.sendall(line("watch"))
    churn(lab, ready)


def readers_that_read_nothing(lab, ready):
    conns = []
    for _ in range(200):
        with contextlib.suppress(OSError):
            conn = dial(lab)
            conn.setblocking(False)
            conns.append(conn)
    ready()
    while True:
        for conn in list(conns):
            try:
                conn.send(line("names") * 20)
            except BlockingIOError:
                pass
            except OSError:
                conns.remove(conn)
        time.sleep(0.01)


def memory_is_bounded(lab):
    """What docs/control.md allows all clients together, and some for the names themselves."""
    mib = lab.memory_kib() / 1024
    return f"{mib:.0f} MiB of memory" if mib > 80 else root_is_served(lab)


ATTACKS = [
    Attack("pipelined-status", "8 connections with pipelined status, 14,000 names", pipelined_status, prepare=names_of_root,
           check=root_is_served),
    Attack("all-names", "8 connections that list 14,000 names without end", all_names, prepare=names_of_root, check=root_is_served),
    Attack("many-ports", "60 connections that ask for the ports of 1,500 nodes each time", many_ports, check=root_is_served),
    Attack("deaf-watcher", "20 that watch and read nothing, while names come and go", deaf_watcher, prepare=names_of_root,
           check=root_is_served),
    Attack("deaf-readers", "200 that ask for 14,000 names and read nothing", readers_that_read_nothing, prepare=names_of_root,
           check=memory_is_bounded),
]
