"""A process that reads media files for the service; `prober` runs in it.

It opens no file: each is handed to it as a descriptor. So it can be started, with all its limits, before anybody
knows what it will read, and one always is ready, for its start takes longer than most files. What a hostile file
does to a process must not reach the files of another job: each serves one block only, and ends with it.
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


class Reader:
    """A reading process; see `reader`. It starts at once, and only who asks it has to wait for that.

    Attributes:
        pid: its process id.
    """

    def __init__(self) -> None:
        self._received = b""
        self._owes = False  # an answer, perhaps to somebody who has left
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            # Without a loop, for it may be started in one and end in another.
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
        """Whether it can still be asked."""
        return not self._owes and self._process.poll() is None

    async def ask(self, file: int, request: dict[str, Any], timeout: float) -> dict[str, Any]:  # noqa: ASYNC109
        """What it finds in a file, or as `error` the end of the sentence `FILE ...`.

        What the file does to the process is charged to the file, and the end of this reader.

        Args:
            file: descriptor of a regular file.
            request: the other arguments of `prober.read`.
            timeout: seconds after which the file counts as unreadable.
        """
        loop = asyncio.get_running_loop()
        self._owes = True
        with anyio.move_on_after(timeout):
            with suppress(ConnectionError):
                socket.send_fds(self._socket, [json.dumps(request).encode()], [file])
                while chunk := await loop.sock_recv(self._socket, _CHUNK):
                    self._received += chunk
                    if chunk.endswith(b"\n"):  # nothing follows an answer
                        answer, self._received = self._received, b""
                        found: dict[str, Any] = json.loads(answer)
                        self._owes = False
                        return found
            code = await to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
            return {"error": f"can't be read: the reader crashed on it ({code})"}
        return {"error": f"could not be read within {timeout:g} s"}

    def close(self) -> None:
        """End the process, which takes some milliseconds."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._socket.close()


_spares: list[Reader] = []


@asynccontextmanager
async def reader() -> AsyncIterator[Reader]:
    """A reading process for the length of the block; then another one is started for the next."""
    own = _spares.pop() if _spares else Reader()
    if not own.is_alive:  # it died with the thread that started it
        own.close()
        own = Reader()
    try:
        yield own
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(own.close)
    if not _spares:
        _spares.append(Reader())


@atexit.register
def _end_spares() -> None:
    # The kernel would end them with this process, but nobody would have waited for them.
    while _spares:
        _spares.pop().close()
