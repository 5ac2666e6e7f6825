#!/usr/bin/python3
"""What a look-up by libportolan costs a C program, beside the same by hand, in the same run.

usage: library.py [--smoke]

The bar: at most 1.5 times the time and the CPU time, for a numeric host and for localhost.
"""

import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUILD = Path(os.environ.get("PORTOLAN_BUILD", Path(__file__).resolve().parents[2] / "build"))
BAR = 1.5


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def register(port, name):
    """A connection that holds the name."""
    body = struct.pack(">BHBBHHH", ord("x"), 25672, 77, 0, 6, 5, len(name)) + name + b"\0\0"
    for _ in range(100):
        try:
            conn = socket.create_connection(("127.0.0.1", port), timeout=10)
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    conn.sendall(struct.pack(">H", len(body)) + body)
    assert conn.recv(16)[:2] == b"v\0"
    return conn


def main():
    rounds, calls = ("5", "100") if "--smoke" in sys.argv else ("25", "1000")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        env = {"PATH": os.environ["PATH"], "HOME": directory, "PORTOLAN_NODE__DATA_DIR": directory}
        server = subprocess.Popen([BUILD / "bin/epmd", "-port", str(port)], env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with register(port, b"rabbit"):
                done = subprocess.run([BUILD / "bench/client_calls", str(port), "rabbit", rounds, calls],
                                      capture_output=True, text=True, check=True, timeout=300)
        finally:
            server.terminate()
            server.wait(timeout=10)
    print("A look-up by a C program, by hand and with libportolan (medians)")
    print(done.stdout, end="")
    ratios = [float(ratio) for ratio in re.findall(r"([\d.]+) x", done.stdout)]
    print(f"{'kept' if max(ratios) <= BAR else 'MISSED'}: at most {max(ratios):.2f} times by hand; the bar is {BAR}")


if __name__ == "__main__":
    main()
