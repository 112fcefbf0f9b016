"""Try what a confined process must not do, and print the name of each attempt that succeeds.

Run by path: `python -I -S _selftest_main.py FILE TCP_PORT UDP_PORT UNIX_SOCKET`.
"""

from __future__ import annotations

import errno
import os
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


def connects_unix() -> None:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(sys.argv[4])


def sends_unix() -> None:
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with first, second:
        try:
            first.sendto(b"x", sys.argv[4])
        except ConnectionRefusedError:
            raise
        except OSError as error:
            if (
                error.errno != errno.EPROTOTYPE
            ):  # the socket exists, and could be reached if it were a datagram socket
                raise


def makes_vsock() -> None:
    socket.socket(getattr(socket, "AF_VSOCK", 40)).close()


def changes_mode() -> None:
    os.chmod(sys.argv[1], 0o644)  # noqa: PTH101


def changes_times() -> None:
    os.utime(sys.argv[1])


def changes_attributes() -> None:
    os.setxattr(sys.argv[1], "user.listener", b"x")


if __name__ == "__main__":
    attempts = (reads, writes, connects, sends, connects_unix, sends_unix, makes_vsock)
    for attempt in (*attempts, changes_mode, changes_times, changes_attributes):
        try:
            attempt()
            print(attempt.__name__)  # noqa: T201 - read by the parent
        except (OSError, AttributeError):  # not every system has all of them
            pass
