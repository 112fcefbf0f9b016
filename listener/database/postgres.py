"""Postgres connections of any kind, also behind a transaction-mode pooler: nothing is kept in a session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from listener.errors import DatabaseError, DatabaseUnavailable, refusal
from listener.log import reason_of

POOLER_PORT = 6543  # of Supabase's poolers in transaction mode
# What a connection that breaks raises; InternalClientError when it is ended just as it is to be used.
CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


def is_pooler(dsn: str) -> bool:
    """Whether it is surely a pooler in transaction mode, which need not be tried."""
    parts = urlsplit(dsn)
    return parts.port == POOLER_PORT and (parts.hostname or "").endswith((".supabase.com", ".supabase.co"))


class ConnectionPool:
    """A small pool of asyncpg connections, whose errors are ours.

    Args:
        dsn: a `postgresql://` URL.
        most: the most connections to hold, opened when needed.
        timeout: seconds after which a statement without an answer is given up and its connection dropped.
        pooled: whether a transaction-mode pooler stands between, which gives each transaction any connection of its
            own: statements are then prepared anew in the transaction that runs them.
    """

    def __init__(self, dsn: str, *, most: int = 5, timeout: float = 10.0, pooled: bool = False) -> None:
        self._dsn = dsn
        self._most = most
        self._timeout = timeout
        self._pooled = pooled
        self._pool: asyncpg.Pool | None = None
        # Used last, used next: what a call would wait for the pool's own bookkeeping, twice, is most of its time here.
        self._idle: list[PoolConnectionProxy] = []
        self._wanted = 0

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The first column of the first row of any query; jsonb is what it holds.

        Raises:
            DatabaseUnavailable: there was no answer; the query may or may not have been carried out.
            DatabaseError: the database refused it, and nothing was changed.
        """
        if self._pooled:
            async with (
                self.connection() as connection,
                asyncio.timeout(self._timeout),
                transaction(connection),
            ):
                return await connection.fetchval(query, *arguments)
        # As `connection` does, without its generator: every job waits for this.
        connection = await self._take()
        try:
            return await connection.fetchval(query, *arguments, timeout=self._timeout)
        except BaseException as error:
            self._raise_ours(error, connection)
            raise
        finally:
            await self._give_back(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PoolConnectionProxy]:
        """One connection for several statements; what is raised inside becomes as `fetchval` says."""
        connection = await self._take()
        try:
            yield connection
        except BaseException as error:
            self._raise_ours(error, connection)
            raise
        finally:
            await self._give_back(connection)

    def _raise_ours(self, error: BaseException, connection: PoolConnectionProxy) -> None:
        """Raise what an error means, if it is one of the database; drop a connection that may not be good any more."""
        match error:
            case asyncpg.PostgresError():
                raise refusal(_message(error), str(error.sqlstate), getattr(error, "hint", None)) from error
            case _ if isinstance(error, CONNECTION_ERRORS):
                # TCP alone would notice a silent drop after many minutes: the connection is not used again, and
                # neither are the idle ones, which most likely died with it.
                for dead in (connection, *self._idle):
                    _drop(dead)
                self._idle.clear()
                raise DatabaseUnavailable(f"the database gave no answer ({reason_of(error)})") from error
            case ValueError() | RecursionError():
                # Nothing was sent: a value is too large or too deep to be written as JSON.
                raise DatabaseError(f"a value can't be written as JSON ({reason_of(error)})") from error
            case asyncio.CancelledError():
                _drop(connection)

    async def close(self) -> None:
        """Drop every connection."""
        if self._pool is not None:
            self._idle.clear()
            self._pool.terminate()
            self._pool = None

    async def _take(self) -> PoolConnectionProxy:
        while self._idle:
            connection = self._idle.pop()
            if _is_open(connection):
                return connection
            await self._release(connection)
        try:
            return await self._acquire()
        except CONNECTION_ERRORS as error:
            raise DatabaseUnavailable(f"the database can't be reached ({reason_of(error)})") from error

    async def _acquire(self) -> PoolConnectionProxy:
        if self._pool is None:
            self._pool = await self._open()
        self._wanted += 1
        try:
            # A timeout of its own would cost the pool a task for each call.
            async with asyncio.timeout(self._timeout):
                return await self._pool.acquire()
        finally:
            self._wanted -= 1

    async def _give_back(self, connection: PoolConnectionProxy) -> None:
        if self._wanted or not _is_open(connection):
            await self._release(connection)
        else:
            self._idle.append(connection)

    async def _release(self, connection: PoolConnectionProxy) -> None:
        if self._pool is not None:
            with suppress(asyncpg.InterfaceError):  # it was of a pool that was closed, and itself with that
                await self._pool.release(connection)

    async def _open(self) -> asyncpg.Pool:
        pool: asyncpg.Pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._most,
            max_inactive_connection_lifetime=0,
            init=self._prepare,
            reset=_keep,
            timeout=self._timeout,
            server_settings={"application_name": "listener"},
            statement_cache_size=0 if self._pooled else 100,
        )
        return pool

    async def _prepare(self, connection: asyncpg.Connection) -> None:
        try:
            async with transaction(connection) if self._pooled else nullcontext():
                await connection.set_type_codec(
                    "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
                )
                # asyncpg asks what an array is when a connection first meets one: now, not in a claim.
                await connection.fetchval("select '{}'::int[]")
        except asyncio.CancelledError:
            # asyncpg would close it in good order, and wait for that without end.
            connection.terminate()
            raise


@asynccontextmanager
async def transaction(connection: asyncpg.Connection | PoolConnectionProxy) -> AsyncIterator[None]:
    """A transaction that is not rolled back when it is cancelled: on a dead connection that would wait without end. The
    connection must be dropped then, as `ConnectionPool` does.
    """
    begun = connection.transaction()
    await begun.start()
    try:
        yield
    except Exception:
        with suppress(asyncpg.InterfaceError):  # its connection is closed, and nothing is left to roll back
            await begun.rollback()
        raise
    await begun.commit()


async def _keep(_: asyncpg.Connection) -> None:
    """No session state is ever set, so none needs a statement to reset it."""


def _is_open(connection: PoolConnectionProxy) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has let go of it already, because it is closed
        return False


def _drop(connection: PoolConnectionProxy) -> None:
    with suppress(asyncpg.InterfaceError):  # the pool has let go of it already, because it is closed
        connection.terminate()


def _message(error: asyncpg.PostgresError) -> str:
    # Without the detail and hint that its str has; asyncpg's own errors have no other text.
    return error.message or str(error)
