"""A pool of Postgres connections, direct or through a pooler of any mode: no state is kept in a session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from listener.database.decoding import decode
from listener.errors import DatabaseError, DatabaseUnavailable, ErrorKind, kind_of, refusal
from listener.log import reason_of

POOLER_PORT = 6543  # Supabase's poolers in transaction mode
# The errors of a connection that breaks; InternalClientError if it is closed while a statement begins.
CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


def is_pooler(dsn: str) -> bool:
    """Return whether the address is certainly a pooler in transaction mode, so that no notification need be tried."""
    parts = urlsplit(dsn)
    return parts.port == POOLER_PORT and (parts.hostname or "").endswith((".supabase.com", ".supabase.co"))


class UnpreparedConnection(asyncpg.Connection):
    """A connection that leaves no prepared statement in its session, for use through a pooler of any mode.

    asyncpg describes a statement and runs it in two steps. They are one transaction here, because a pooler may send
    each transaction to another connection of the server.
    """

    async def fetch(self, *query: Any, **options: Any) -> Any:
        async with self._one_transaction():
            return await super().fetch(*query, **options)

    async def fetchrow(self, *query: Any, **options: Any) -> Any:
        async with self._one_transaction():
            return await super().fetchrow(*query, **options)

    async def fetchval(self, *query: Any, **options: Any) -> Any:
        async with self._one_transaction():
            return await super().fetchval(*query, **options)

    async def execute(self, query: str, *arguments: Any, **options: Any) -> str:
        async with self._one_transaction() if arguments else nullcontext():
            return await super().execute(query, *arguments, **options)

    def _one_transaction(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self.is_in_transaction() else transaction(self)


async def connect(dsn: str, name: str, timeout: float) -> asyncpg.Connection:  # noqa: ASYNC109
    """Open a connection that works through a pooler of any mode.

    Args:
        dsn: a `postgresql://` URL.
        name: of the session in `pg_stat_activity`.
        timeout: seconds after which TimeoutError is raised.
    """
    return await asyncpg.connect(
        dsn,
        timeout=timeout,
        server_settings={"application_name": name},
        statement_cache_size=0,
        connection_class=UnpreparedConnection,
    )


class ConnectionPool:
    """A small pool of asyncpg connections, which raises DatabaseUnavailable and DatabaseError.

    Args:
        dsn: a `postgresql://` URL.
        most: the most connections, opened when needed.
        timeout: seconds after which a statement without an answer fails and its connection is dropped.
        pooled: whether a transaction-mode pooler is between. It may run each transaction on another connection, so
            statements are prepared again in each transaction.
    """

    def __init__(self, dsn: str, *, most: int = 5, timeout: float = 10.0, pooled: bool = False) -> None:
        self._dsn = dsn
        self._most = most
        self._timeout = timeout
        self._pooled = pooled
        self._pool: asyncpg.Pool | None = None
        # Last in, first out, and beside asyncpg's pool, because a call would otherwise spend most of its client time in
        # that pool's bookkeeping.
        self._idle: list[PoolConnectionProxy] = []
        self._wanted = 0

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """Run a query, and return the first column of the first row; jsonb as JSON types.

        Raises:
            DatabaseUnavailable: the database did not answer; the query may or may not have been carried out.
            DatabaseError: the database refused it, and nothing was changed.
        """
        if self._pooled:
            async with (
                self.connection() as connection,
                asyncio.timeout(self._timeout),
                transaction(connection),
            ):
                return await connection.fetchval(query, *arguments)
        # The same as `connection`, without its generator, because every job waits for this.
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
        """Take one connection for several statements. Errors inside the block are converted as by `fetchval`."""
        connection = await self._take()
        try:
            yield connection
        except BaseException as error:
            self._raise_ours(error, connection)
            raise
        finally:
            await self._give_back(connection)

    def _raise_ours(self, error: BaseException, connection: PoolConnectionProxy) -> None:
        """Raise DatabaseUnavailable or DatabaseError instead of an error of asyncpg, and drop a connection that may be
        broken.
        """
        match error:
            case asyncpg.PostgresError():
                raise refusal(_message(error), str(error.sqlstate), getattr(error, "hint", None)) from error
            case _ if isinstance(error, CONNECTION_ERRORS):
                # TCP alone notices a silent drop after many minutes. The idle connections are most likely broken, too.
                for dead in (connection, *self._idle):
                    _drop(dead)
                self._idle.clear()
                kind: ErrorKind = "slow" if isinstance(error, TimeoutError) else "absent"
                raise DatabaseUnavailable(
                    f"the database did not answer ({reason_of(error)})", kind=kind
                ) from error
            case ValueError() | RecursionError():
                # Nothing was sent, because a value is too large or too deeply nested for JSON.
                raise DatabaseError(f"a value can't be written as JSON ({reason_of(error)})") from error
            case asyncio.CancelledError():
                _drop(connection)

    async def close(self) -> None:
        """Close all connections, without waiting for statements that run."""
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
            sqlstate = str(getattr(error, "sqlstate", None) or "")
            raise DatabaseUnavailable(
                f"the database can't be reached ({reason_of(error)})",
                kind="misconfigured" if kind_of(sqlstate) == "misconfigured" else "absent",
                sqlstate=sqlstate,
            ) from error

    async def _acquire(self) -> PoolConnectionProxy:
        if self._pool is None:
            self._pool = await self._open()
        self._wanted += 1
        try:
            # asyncpg's own `timeout` would cost a task for each call.
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
            with suppress(asyncpg.InterfaceError):  # its pool was closed, and the connection with it
                await self._pool.release(connection)

    async def _open(self) -> asyncpg.Pool:
        pool: asyncpg.Pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._most,
            max_inactive_connection_lifetime=0,
            init=self._prepare,
            reset=_no_reset,
            timeout=self._timeout,
            server_settings={"application_name": "listener"},
            statement_cache_size=0 if self._pooled else 100,
        )
        return pool

    async def _prepare(self, connection: asyncpg.Connection) -> None:
        try:
            async with transaction(connection) if self._pooled else nullcontext():
                await connection.set_type_codec(
                    "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=decode
                )
                # asyncpg looks up the type of arrays when a connection first uses one: now, instead of in a claim.
                await connection.fetchval("select '{}'::int[]")
        except asyncio.CancelledError:
            # asyncpg would close it gracefully, and wait for the server forever.
            connection.terminate()
            raise


@asynccontextmanager
async def transaction(connection: asyncpg.Connection | PoolConnectionProxy) -> AsyncIterator[None]:
    """Open a transaction that is not rolled back when it is cancelled, because a rollback on a dead connection would
    wait forever. The connection must be dropped then, as `ConnectionPool` does.
    """
    begun = connection.transaction()
    await begun.start()
    try:
        yield
    except Exception:
        with suppress(asyncpg.InterfaceError):  # the connection is closed, so there is nothing to roll back
            await begun.rollback()
        raise
    await begun.commit()


async def _no_reset(_: asyncpg.Connection) -> None:
    """Do nothing, because no session state is ever set; asyncpg would send a statement."""


def _is_open(connection: PoolConnectionProxy) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # the pool was closed and has released it
        return False


def _drop(connection: PoolConnectionProxy) -> None:
    with suppress(asyncpg.InterfaceError):  # the pool was closed and has released it
        connection.terminate()


def _message(error: asyncpg.PostgresError) -> str:
    # Not its str, which includes detail and hint. Errors of asyncpg itself have no message.
    return error.message or str(error)
