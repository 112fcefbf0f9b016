"""Run the process that reads media files for the service; its program is `_probe_main.py`.

It opens no file: each is passed to it as a descriptor. Therefore it can be started, with all its limits, before its
files are known, and one is always kept ready, because its start takes longer than reading most files. A hostile file
may take over its process, which must not reach the files of another job: each process serves one block, and ends
with it.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from listener.kit.sandbox.policy import Confinement
from listener.kit.sandbox.process import environment, sandboxed

PROGRAM = Path(__file__).with_name("_probe_main.py")
LIMITS = {"RLIMIT_AS": 2 * 1024**3, "RLIMIT_CPU": 600, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
_CHUNK = 65536


class ProbeProcess:
    """A process that reads media files. The constructor does not wait for its start; the first `ask` does.

    Attributes:
        pid: its process id.
    """

    def __init__(self) -> None:
        self._received = b""
        self._owes_answer = False  # also after its caller was cancelled
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            # Without an event loop, because it may start in one and end in another.
            self._process = subprocess.Popen(
                sandboxed([sys.executable, "-I", str(PROGRAM)], LIMITS, Confinement.of_python(PROGRAM)),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
            )
        self.pid: int = self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can read another file."""
        return not self._owes_answer and self._process.poll() is None

    async def ask(self, file: int, request: dict[str, Any], timeout: float) -> dict[str, Any]:  # noqa: ASYNC109
        """Return what a file holds, or as `error` the end of the sentence `FILE ...`.

        A file that crashes or hangs the process gets an error, and the process is not used again.

        Args:
            file: descriptor of a regular file.
            request: the other arguments of `_probe_main.read`.
            timeout: seconds after which the file counts as unreadable.
        """
        loop = asyncio.get_running_loop()
        self._owes_answer = True
        with anyio.move_on_after(timeout):
            with suppress(ConnectionError):
                socket.send_fds(self._socket, [json.dumps(request).encode()], [file])
                while chunk := await loop.sock_recv(self._socket, _CHUNK):
                    self._received += chunk
                    if chunk.endswith(b"\n"):  # nothing follows it until the next request
                        answer, self._received = self._received, b""
                        found: dict[str, Any] = json.loads(answer)
                        self._owes_answer = False
                        return found
            code = await to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
            return {"error": f"can't be read: the reader crashed on it ({code})"}
        return {"error": f"could not be read within {timeout:g} s"}

    def close(self) -> None:
        """Kill the process, which takes some milliseconds."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._socket.close()


_spares: list[ProbeProcess] = []


@asynccontextmanager
async def probing() -> AsyncIterator[ProbeProcess]:
    """Yield a process for the length of the block; afterwards a spare one is started for the next block."""
    own = _spares.pop() if _spares else ProbeProcess()
    if not own.is_alive:  # it died with the thread that started it
        own.close()
        own = ProbeProcess()
    try:
        yield own
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(own.close)
    if not _spares:
        _spares.append(ProbeProcess())


@atexit.register
def _end_spares() -> None:
    # The kernel would kill them with this process, but nothing would have waited for them.
    while _spares:
        _spares.pop().close()
