"""epmd's protocol as bytes: builders for requests, readers for replies.

A request is a 2-byte length and that many bytes, the first being the operation. Integers are
big-endian. The builders take wrong values gladly (a name as raw bytes, a length that lies), for
that is what tests are for.
"""

import socket
import struct

import deadlines

ALIVE2, PORT_PLEASE2, NAMES, DUMP, KILL, STOP = b"x", b"z", b"n", b"d", b"k", b"s"
NORMAL_NODE, HIDDEN_NODE, C_NODE = 77, 72, 104
LONGEST_REQUEST = 3057
REFUSED_CREATION = 99


def frame(payload, announced=None):
    """`payload` behind its length, or behind another length if `announced` says so."""
    return struct.pack(">H", len(payload) if announced is None else announced) + payload


def alive_payload(
    name,
    port=40000,
    node_type=NORMAL_NODE,
    protocol=0,
    highest=6,
    lowest=5,
    extra=b"",
    name_length=None,
    extra_length=None,
    after=b"",
):
    name = name.encode() if isinstance(name, str) else name
    return (
        ALIVE2
        + struct.pack(">HBBHH", port, node_type, protocol, highest, lowest)
        + struct.pack(">H", len(name) if name_length is None else name_length)
        + name
        + struct.pack(">H", len(extra) if extra_length is None else extra_length)
        + extra
        + after
    )


def alive(name, **fields):
    return frame(alive_payload(name, **fields))


def port_please(name):
    return frame(PORT_PLEASE2 + (name.encode() if isinstance(name, str) else name))


def names():
    return frame(NAMES)


def dump():
    return frame(DUMP)


def kill():
    return frame(KILL)


def stop(name):
    return frame(STOP + (name.encode() if isinstance(name, str) else name))


class Registered:
    """The answer to ALIVE2: 118 `v` with a 32-bit creation, or 121 `y` with a 16-bit one."""

    def __init__(self, reply):
        form = {118: ">BBI", 121: ">BBH"}[reply[0]]
        self.opcode, self.result, self.creation = struct.unpack(form, reply)

    @staticmethod
    def size(opcode):
        return {118: 6, 121: 4}.get(opcode, 1)


class Found:
    """The answer to PORT_PLEASE2."""

    def __init__(self, reply):
        self.result = reply[1]
        if self.result != 0:
            return
        (self.port, self.type, self.protocol, self.highest, self.lowest, nlen) = struct.unpack(
            ">HBBHHH", reply[2:12]
        )
        self.name = reply[12 : 12 + nlen]
        (elen,) = struct.unpack(">H", reply[12 + nlen : 14 + nlen])
        self.extra = reply[14 + nlen : 14 + nlen + elen]


def connect(port, host="127.0.0.1", seconds=5, receive_buffer=None):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    conn = socket.socket(family, socket.SOCK_STREAM)
    if receive_buffer is not None:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    conn.settimeout(deadlines.scaled(seconds))
    try:
        conn.connect((host, port))
    except OSError:
        conn.close()
        raise
    return conn


def read_exactly(conn, size):
    """`size` bytes, or fewer if the other side closed."""
    data = b""
    while len(data) < size:
        piece = conn.recv(size - len(data))
        if not piece:
            break
        data += piece
    return data


def read_to_end(conn):
    pieces = []
    while piece := conn.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def ask(port, request, host="127.0.0.1", seconds=5):
    """One request on a connection of its own; all that comes until the server closes."""
    with connect(port, host, seconds) as conn:
        conn.sendall(request)
        return read_to_end(conn)


def register(daemon_port, name, host="127.0.0.1", seconds=5, **fields):
    """Registers `name`; returns the connection that holds it, and the answer."""
    conn = connect(daemon_port, host, seconds)
    conn.sendall(alive(name, **fields))
    first = read_exactly(conn, 1)
    if not first:
        conn.close()
        raise ConnectionError(f"registration of {name!r} was closed without a reply")
    return conn, Registered(first + read_exactly(conn, Registered.size(first[0]) - 1))


def look_up(port, name, host="127.0.0.1", seconds=5):
    return Found(ask(port, port_please(name), host, seconds))


def list_names(port, host="127.0.0.1", seconds=5):
    """The daemon's port as it says, and the (name, port) pairs in the order it lists them."""
    reply = ask(port, names(), host, seconds)
    (own_port,) = struct.unpack(">I", reply[:4])
    pairs = []
    for line in reply[4:].decode().splitlines():
        _, name, _, _, node_port = line.split(" ")
        pairs.append((name, int(node_port)))
    return own_port, pairs
