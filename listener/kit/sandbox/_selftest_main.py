"""Try what a confined process must not do, and print the name of each attempt that succeeds.

Run by path: `python -I -S _selftest_main.py FILE TCP_PORT UDP_PORT`.
"""

from __future__ import annotations

import socket
import sys


def reads() -> None:
    open(sys.argv[1]).close()  # noqa: PTH123 - pathlib would double the start-up time


def writes() -> None:
    open(sys.argv[1] + ".new", "w").close()  # noqa: PTH123


def connects() -> None:
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), 5).close()


def sends() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"x", ("127.0.0.1", int(sys.argv[3])))


if __name__ == "__main__":
    for attempt in (reads, writes, connects, sends):
        try:
            attempt()
            print(attempt.__name__)  # noqa: T201 - read by the parent
        except OSError:
            pass
