"""A pooler in transaction mode, as strict as can be: each transaction of a client gets the next of two connections to
the database, so that whatever a client believes to have kept in a session is missing half of the time."""

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
    """A connection that asyncpg has opened, and that speaks for whichever client has the transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.transport: asyncio.WriteTransport = connection._transport
        self.client: asyncio.StreamWriter | None = None
        self.free = asyncio.Event()
        self.free.set()
        self._unread = b""
        self.transport.set_protocol(self)

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
    """Two connections, in turn."""

    def __init__(self, backends: list[asyncpg.Connection]) -> None:
        settings = backends[0].get_settings()
        greeting = [b"R" + struct.pack("!II", 8, 0)]
        for name in ("server_version", "client_encoding", "standard_conforming_strings", "TimeZone"):
            pair = f"{name}\0{getattr(settings, name)}\0".encode()
            greeting.append(b"S" + struct.pack("!I", 4 + len(pair)) + pair)
        self._greeting = b"".join(
            [*greeting, b"K" + struct.pack("!III", 12, 1, 1), b"Z", struct.pack("!I", 5), b"I"]
        )
        self.tasks: set[asyncio.Task[None]] = set()
        self._next: Iterator[_Backend] = itertools.cycle([_Backend(backend) for backend in backends])

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
            self.tasks.discard(task)
            writer.transport.abort()


@asynccontextmanager
async def pooling(url: str) -> AsyncIterator[str]:
    """The URL of a database through a pooler."""
    backends: list[Any] = [await asyncpg.connect(url) for _ in range(2)]
    pooler = Pooler(backends)
    server = await asyncio.start_server(pooler.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield url.replace(f":{urlsplit(url).port}/", f":{port}/") + "?sslmode=disable"
    finally:
        server.close()
        for task in list(pooler.tasks):
            task.cancel()
        await asyncio.gather(*pooler.tasks, return_exceptions=True)
        for backend in backends:
            backend.terminate()
        await asyncio.sleep(0)
