"""What a confined process can do on this machine although it should not, found by letting one try."""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path

from listener.kit.sandbox import process
from listener.kit.sandbox.policy import PYTHON, Confinement

# Run as `python -c ATTEMPTS FILE TCP_PORT UDP_PORT`; prints what went well.
ATTEMPTS = """
import socket, sys
def reads():
    open(sys.argv[1]).close()
def writes():
    open(sys.argv[1] + ".new", "w").close()
def connects():
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), 5).close()
def sends():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(sys.argv[3])))
for attempt in reads, writes, connects, sends:
    try:
        attempt()
        print(attempt.__name__)
    except OSError:
        pass
"""


async def ways(confined: Confinement | None = None) -> list[str]:
    """What is possible: `read files`, `write files`, `use the network`, each as the rest of a sentence.

    Args:
        confined: beside what an interpreter needs; None for nothing.
    """
    confined = confined or Confinement()
    shown = Confinement((*map(Path, PYTHON), *confined.reads), confined.writes)
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        secret = Path(folder) / "secret"
        secret.touch()
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        ports = [str(server.getsockname()[1]) for server in (tcp, udp)]
        told = b""
        command = [sys.executable, "-I", "-S", "-c", ATTEMPTS, str(secret), *ports]
        async with process.spawn(command, confined=shown) as child:
            async for chunk in child.stdout:
                told += chunk
            await child.wait()
        done = set(told.decode().split())
        if "sends" in done and not _arrived(udp):
            done.remove("sends")
    found = {
        "read files": {"reads"},
        "write files": {"writes"},
        "use the network": {"connects", "sends"},
    }
    return [way for way, attempts in found.items() if attempts & done]


def _arrived(udp: socket.socket) -> bool:
    try:
        return bool(udp.recv(1))
    except BlockingIOError:
        return False
