"""Find out what the sandbox fails to forbid on this machine, by running a process that tries it."""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path

from listener.kit.sandbox.policy import Confinement
from listener.kit.sandbox.process import spawn

PROGRAM = Path(__file__).with_name("_selftest_main.py")


async def open_ways(confined: Confinement | None = None) -> list[str]:
    """Return what stays possible: `read files`, `write files`, `use the network`, `connect to Unix sockets`,
    `change the mode or times of files`.

    Args:
        confined: files that the process may open beside those of the interpreter; None adds none.
    """
    confined = confined or Confinement()
    allowed = Confinement.of_python(PROGRAM, confined.reads, confined.writes)
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        address = f"{folder}/socket"
        unix.bind(address)
        unix.listen()
        secret = Path(folder) / "secret"
        secret.touch()
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        ports = [str(server.getsockname()[1]) for server in (tcp, udp)]
        printed = b""
        command = [sys.executable, "-I", "-S", str(PROGRAM), str(secret), *ports, address]
        async with spawn(command, confined=allowed) as child:
            async for chunk in child.stdout:
                printed += chunk
            await child.wait()
        succeeded = set(printed.decode().split())
        if "sends" in succeeded and not _arrived(udp):
            succeeded.remove("sends")
    attempts_of = {
        "read files": {"reads"},
        "write files": {"writes"},
        "use the network": {"connects", "sends", "makes_vsock"},
        "connect to Unix sockets": {"connects_unix", "sends_unix"},
        "change the mode or times of files": {"changes_mode", "changes_times", "changes_attributes"},
    }
    return [way for way, attempts in attempts_of.items() if attempts & succeeded]


def _arrived(udp: socket.socket) -> bool:
    try:
        return bool(udp.recv(1))
    except BlockingIOError:
        return False
