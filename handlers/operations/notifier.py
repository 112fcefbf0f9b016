"""How those who follow an operation hear that it has changed. News carry nothing; what has changed is read."""

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

log = structlog.get_logger(__name__)

CHANNEL = "operations"
# Seconds until a follower looks without being told: a connection may be deaf before anybody notices.
LOOK_EVERY = 30.0
CONNECT_TIMEOUT = 10.0

Changed = Callable[[], Awaitable[None]]


class News(Protocol):
    """Where news come from."""

    def of(self, id: str) -> AbstractAsyncContextManager[Changed]:  # noqa: A002
        """For the length of the block: a function that waits until the operation may have changed since the last call.

        What happens between the beginning of the block and the first call counts.
        """
        ...


class Bell:
    """Rings until somebody has heard it."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self, *_: object) -> None:
        self._rung.set()

    async def heard(self) -> None:
        """Wait for the next ring, or for `LOOK_EVERY` seconds."""
        with anyio.move_on_after(LOOK_EVERY):
            await self._rung.wait()
        self._rung = anyio.Event()


class PostgresNews:
    """By LISTEN, on a connection for each follower.

    Args:
        dsn: a `postgresql://` URL, direct or of a session-mode pooler.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @asynccontextmanager
    async def of(self, id: str) -> AsyncIterator[Changed]:  # noqa: A002
        """See `News.of`."""
        bell = Bell()
        wanted = hashlib.md5(id.encode(), usedforsecurity=False).hexdigest()

        def told(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
            if payload == wanted:
                bell.ring()

        async def listen() -> None:
            connection = await asyncpg.connect(self._dsn, timeout=CONNECT_TIMEOUT)
            try:
                closed = anyio.Event()
                connection.add_termination_listener(lambda _: closed.set())
                await connection.add_listener(CHANNEL, told)
                bell.ring()
                await closed.wait()
            finally:
                connection.terminate()

        async with _kept_up(listen, (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            yield bell.heard


class RealtimeNews:
    """By Supabase Realtime, which needs the table in the publication `supabase_realtime`.

    Args:
        url: of the project.
        key: its service key, which is followed when it is changed in `.env`.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = f"{url}/realtime/v1", ServiceKey(url, key)

    @asynccontextmanager
    async def of(self, id: str) -> AsyncIterator[Changed]:  # noqa: A002
        """See `News.of`."""
        bell = Bell()

        async def listen() -> None:
            over = anyio.Event()

            def stands(state: object, _error: object) -> None:
                bell.ring()
                if str(getattr(state, "value", state)) != "SUBSCRIBED":
                    over.set()

            client = AsyncRealtimeClient(self._url, self._key.current(), auto_reconnect=False, max_retries=1)
            try:
                await client.connect()
                channel = client.channel(f"operation:{hashlib.sha256(id.encode()).hexdigest()[:32]}")
                event = RealtimePostgresChangesListenEvent.Update
                channel.on_postgres_changes(
                    event, bell.ring, table="operations", schema="public", filter=f"id=eq.{id}"
                )
                # The channel stands before the server hears the database, and says so a second time then.
                channel.on_system(bell.ring)
                await channel.subscribe(stands)
                await over.wait()
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(2), suppress(Exception):
                    await client.close()

        async with _kept_up(listen, (Exception,)):
            yield bell.heard


@asynccontextmanager
async def _kept_up(
    listen: Callable[[], Awaitable[None]], broken: tuple[type[Exception], ...]
) -> AsyncIterator[None]:
    """Listen for the length of the block, anew whenever it ends."""

    async def run() -> None:
        for delay in delays():
            try:
                await listen()
            except broken as error:
                # Not its text: a connection's address may be in it.
                log.warning(
                    "can't hear of operations now; they are looked at instead", error=type(error).__name__
                )
            await anyio.sleep(delay)

    # No task group: whoever follows may stop in the middle of an `async for`, and be tidied up in another task.
    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
