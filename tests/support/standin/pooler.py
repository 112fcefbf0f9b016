"""Play a pooler in transaction mode.

Each transaction of a client gets the next of two connections to the database. A client that relies on the state of a
session fails in half of its transactions.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

READY, IDLE = b"Z", b"I"


class _Backend(asyncio.Protocol):
    """A connection that asyncpg has opened, used by the client whose transaction it is."""

    def __init__(self, connection: Any) -> None:
        self.client: asyncio.StreamWriter | None = None
        self.free = asyncio.Event()
        self.use(connection)

    def use(self, connection: Any) -> None:
        """Speak through this connection from now on."""
        self.connection = connection
        self.transport: asyncio.WriteTransport = connection._transport
        self._unread = b""
        self.transport.set_protocol(self)
        self.client = None
        self.free.set()

    def data_received(self, data: bytes) -> None:
        if self.client is not None:
            self.client.write(data)
        self._unread += data
        while len(self._unread) >= 5:
            length = 1 + struct.unpack("!I", self._unread[1:5])[0]
            if len(self._unread) < length:
                return
            message, self._unread = self._unread[:length], self._unread[length:]
            if message[:1] == READY and message[5:6] == IDLE:
                self.client = None
                self.free.set()


class Pooler:
    """Two connections, used in turn."""

    def __init__(self, url: str, backends: list[Any]) -> None:
        self._url = url
        settings = backends[0].get_settings()
        greeting = [b"R" + struct.pack("!II", 8, 0)]
        for name in ("server_version", "client_encoding", "standard_conforming_strings", "TimeZone"):
            pair = f"{name}\0{getattr(settings, name)}\0".encode()
            greeting.append(b"S" + struct.pack("!I", 4 + len(pair)) + pair)
        self._greeting = b"".join(
            [*greeting, b"K" + struct.pack("!III", 12, 1, 1), b"Z", struct.pack("!I", 5), b"I"]
        )
        self.tasks: set[asyncio.Task[None]] = set()
        self.mending: list[asyncio.Task[None]] = []
        self.backends = [_Backend(backend) for backend in backends]
        self._next: Iterator[_Backend] = itertools.cycle(self.backends)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it goes."""
        backend: _Backend | None = None
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            await reader.readexactly(length - 4)
            writer.write(self._greeting)
            while head := await reader.readexactly(5):
                message = head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
                if head[:1] == b"X":
                    break
                if backend is None or backend.client is not writer:
                    backend = next(self._next)
                    while not backend.free.is_set():
                        await backend.free.wait()
                    backend.free.clear()
                    backend.client = writer
                backend.transport.write(message)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self.tasks.discard(task)
            if backend is not None and backend.client is writer and not task.cancelling():
                self.mending.append(asyncio.create_task(self._mend(backend)))

    async def _mend(self, backend: _Backend) -> None:
        """Replace the connection of a client that left in the middle of a transaction."""
        backend.connection.terminate()
        backend.use(await asyncpg.connect(self._url))


@asynccontextmanager
async def pooling(url: str) -> AsyncIterator[str]:
    """Run a pooler. Yields the URL of a database through it."""
    backends: list[Any] = [await asyncpg.connect(url) for _ in range(2)]
    pooler = Pooler(url, backends)
    server = await asyncio.start_server(pooler.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield url.replace(f":{urlsplit(url).port}/", f":{port}/") + "?sslmode=disable"
    finally:
        server.close()
        for task in list(pooler.tasks):
            task.cancel()
        await asyncio.gather(*pooler.tasks, return_exceptions=True)
        await asyncio.gather(*pooler.mending)
        for backend in pooler.backends:
            backend.connection.terminate()
        await asyncio.sleep(0)
