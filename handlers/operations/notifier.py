"""Tell followers of an operation that its row may have changed. A notification carries nothing; the row is read.

The engine's own listeners (`listener.events`) are not used here: they serve the queues of one process on one
connection, probe it and count its reconnects. A follower listens to one row for seconds or minutes, and reads the row
every `POLL_EVERY` seconds anyway, which also covers a connection that is silently dead.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

import anyio
import asyncpg
import structlog
from realtime import AsyncRealtimeClient, RealtimePostgresChangesListenEvent

from listener.kit.backoff import delays
from listener.kit.settings import ServiceKey
from listener.kit.wakeup import Wakeup

log = structlog.get_logger(__name__)

CHANNEL = "operations"
POLL_EVERY = 30.0  # seconds until a follower reads the row without a notification
CONNECT_TIMEOUT = 10.0

Changed = Callable[[], Awaitable[None]]
"""Waits until the operation may have changed since the last call."""


class Notifier(Protocol):
    """Source of notifications about operations."""

    def follow(self, id: str) -> AbstractAsyncContextManager[Changed]:  # noqa: A002
        """Listen to one operation for the length of the block.

        A change between the beginning of the block and the first call of `Changed` is not missed.
        """
        ...


async def changed(wakeup: Wakeup) -> None:
    """Wait for the next notification, or for `POLL_EVERY` seconds."""
    with anyio.move_on_after(POLL_EVERY):
        await wakeup.wait()


class PostgresNotifier:
    """Notifications by LISTEN, on one connection for each follower.

    Args:
        dsn: a `postgresql://` URL, direct or of a session-mode pooler.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @asynccontextmanager
    async def follow(self, id: str) -> AsyncIterator[Changed]:  # noqa: A002
        """Listen to one operation; see `Notifier.follow`."""
        wakeup = Wakeup()
        expected = hashlib.md5(id.encode(), usedforsecurity=False).hexdigest()

        def notified(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
            if payload == expected:
                wakeup.set()

        async def listen() -> None:
            connection = await asyncpg.connect(self._dsn, timeout=CONNECT_TIMEOUT)
            try:
                closed = anyio.Event()
                connection.add_termination_listener(lambda _: closed.set())
                await connection.add_listener(CHANNEL, notified)
                wakeup.set()
                await closed.wait()
            finally:
                connection.terminate()

        errors = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
        async with _reconnecting(listen, errors):
            yield lambda: changed(wakeup)


class RealtimeNotifier:
    """Notifications by Supabase Realtime; the table must be in the publication `supabase_realtime`.

    Args:
        url: of the project.
        key: its service key; a change of the key in `.env` is followed.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = f"{url}/realtime/v1", ServiceKey(url, key)

    @asynccontextmanager
    async def follow(self, id: str) -> AsyncIterator[Changed]:  # noqa: A002
        """Listen to one operation; see `Notifier.follow`."""
        wakeup = Wakeup()

        def notified(_: object) -> None:
            wakeup.set()

        async def listen() -> None:
            over = anyio.Event()

            def state_changed(state: object, _error: object) -> None:
                wakeup.set()
                if str(getattr(state, "value", state)) != "SUBSCRIBED":
                    over.set()

            client = AsyncRealtimeClient(self._url, self._key.current(), auto_reconnect=False, max_retries=1)
            try:
                await client.connect()
                channel = client.channel(f"operation:{hashlib.sha256(id.encode()).hexdigest()[:32]}")
                event = RealtimePostgresChangesListenEvent.Update
                channel.on_postgres_changes(
                    event, notified, table="operations", schema="public", filter=f"id=eq.{id}"
                )
                # The channel is joined before the server listens to the database; a system message says when it does.
                channel.on_system(notified)
                await channel.subscribe(state_changed)
                await over.wait()
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(2), suppress(Exception):
                    await client.close()

        async with _reconnecting(listen, (Exception,)):
            yield lambda: changed(wakeup)


@asynccontextmanager
async def _reconnecting(
    listen: Callable[[], Awaitable[None]], errors: tuple[type[Exception], ...]
) -> AsyncIterator[None]:
    """Run `listen` for the length of the block, again with backoff whenever it ends."""

    async def run() -> None:
        for delay in delays():
            try:
                await listen()
            except errors as error:
                # Without its text, because that may contain the connection's password.
                log.warning("notifications of operations failed; they are polled", error=type(error).__name__)
            await anyio.sleep(delay)

    # Not a task group: a caller may leave its `async for` early, and the generator is then closed in another task.
    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
