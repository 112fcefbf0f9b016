"""A TCP proxy that misbehaves between the service and its database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """Pass bytes on. Methods and attributes make it fail.

    Attributes:
        drops: pass nothing on, and keep the connections open, like a broken network.
        refuses: close new connections at once.
        delay: seconds by which each piece is late.
        cuts: break each connection that sends this; None breaks none.
        opened: how many connections there have been.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut: tuple[bytes, ...] | None = None
        self._swallowed: bytes | None = None
        self.spoiled = asyncio.Event()
        self.drops = False
        self.refuses = False
        self.delay = 0.0
        self.cuts: bytes | None = None
        self.opened = 0

    def reset(self) -> None:
        """Break every connection."""
        for writer in self._pairs:
            writer.transport.abort()

    def cut_answer_to(self, *arguments: bytes) -> None:
        """Break the next connection that sends all these, between the database's answer and the client."""
        self._cut = arguments
        self.spoiled.clear()

    def swallow(self, statement: bytes) -> None:
        """Leave the next connection that sends this without an answer for ever."""
        self._swallowed = statement

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.refuses:
                await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        db_reader, db_writer = await asyncio.open_connection(*self._target)
        doomed = asyncio.Event()
        self._pairs |= {writer, db_writer}
        directions = [
            asyncio.create_task(self._pass(reader, db_writer, doomed, to_database=True)),
            asyncio.create_task(self._pass(db_reader, writer, doomed, to_database=False)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            db_writer.transport.abort()
            # An abort is carried out by the loop's next turn, which must come before the loop is closed.
            with contextlib.suppress(OSError):
                await db_writer.wait_closed()
            self._pairs -= {writer, db_writer}

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        doomed: asyncio.Event,
        *,
        to_database: bool,
    ) -> None:
        while piece := await reader.read(65536):
            if to_database and self.cuts is not None and self.cuts in piece:
                return
            if to_database and self._cut is not None and all(part in piece for part in self._cut):
                self._cut = None
                doomed.set()
            elif to_database and self._swallowed is not None and self._swallowed in piece:
                self._swallowed = None
                await asyncio.Event().wait()
            elif doomed.is_set() and not to_database:
                self.spoiled.set()
                return
            if self.delay:
                await asyncio.sleep(self.delay)
            if not self.drops:
                writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def between(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy in front of a database. Yields it and the database's URL through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, url.replace(f":{parts.port}/", f":{port}/")
    finally:
        server.close()
        await proxy.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 1)
