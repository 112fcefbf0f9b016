"""The transport over a Postgres connection of any kind, also behind a transaction-mode pooler: it keeps no
state in a session."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg

from listener.errors import DatabaseError, DatabaseUnavailable

# SQLSTATEs that speak of the connection or of this moment, not of the call: connection, rollback (deadlocks),
# resources (disk, memory, connections), lock timeout, operator (shutdown, statement timeout), system.
_UNAVAILABLE = ("08", "40", "53", "55P03", "57", "58")
# What a connection that breaks raises; InternalClientError when it is ended just as it is to be used.
_BROKEN = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class PostgresTransport:
    """A small pool of asyncpg connections.

    Args:
        dsn: a `postgresql://` URL.
        connections: the most connections to hold, opened when needed. Claim, settlement, progress, heartbeat and
            maintenance use one each, so that none waits behind another.
        timeout: seconds after which a call without an answer is given up and its connection dropped.
    """

    def __init__(self, dsn: str, *, connections: int = 5, timeout: float = 10.0) -> None:
        self._dsn = dsn
        self._connections = connections
        self._timeout = timeout
        self._pool: asyncpg.Pool | None = None

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """See `Transport.call`."""
        named = ", ".join(f'"{name}" => ${number}' for number, name in enumerate(arguments, 1))
        return await self.fetchval(f"select listener.{function}({named})", *arguments.values())

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The first column of the first row of any query; raises as `call` does."""
        try:
            if self._pool is None:
                self._pool = await self._open()
            pool = self._pool
            # A timeout of its own would cost the pool a task for each call.
            async with asyncio.timeout(self._timeout):
                connection = await pool.acquire()
        except (asyncpg.PostgresError, *_BROKEN) as error:
            raise DatabaseUnavailable(f"the database can't be reached ({_reason(error)})") from error
        try:
            return await connection.fetchval(query, *arguments, timeout=self._timeout)
        except asyncpg.PostgresError as error:
            if str(error.sqlstate).startswith(_UNAVAILABLE):
                raise DatabaseUnavailable(f"the database could not answer now ({_message(error)})") from error
            raise DatabaseError(
                _message(error), sqlstate=str(error.sqlstate), hint=getattr(error, "hint", None)
            ) from error
        except _BROKEN as error:
            # TCP alone would notice a silent drop after many minutes: the connection is not used again.
            connection.terminate()
            raise DatabaseUnavailable(f"the database gave no answer ({_reason(error)})") from error
        except (ValueError, RecursionError) as error:
            # Nothing was sent: a value is too large or too deep to be written as JSON.
            raise DatabaseError(f"a value can't be written as JSON ({_reason(error)})") from error
        except asyncio.CancelledError:
            connection.terminate()
            raise
        finally:
            await pool.release(connection)

    async def close(self) -> None:
        """See `Transport.close`."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def _open(self) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._connections,
            max_inactive_connection_lifetime=0,
            init=_prepare,
            reset=_keep,
            timeout=self._timeout,
            server_settings={"application_name": "listener"},
        )


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    # asyncpg asks what an array is, in three statements, when a connection first meets one: now, not in a claim.
    await connection.fetchval("select '{}'::int[]")


async def _keep(_: asyncpg.Connection) -> None:
    """No session state is ever set, so none needs a statement to reset it."""


def _message(error: asyncpg.PostgresError) -> str:
    # Without the detail and hint that its str has; asyncpg's own errors have no other text.
    return error.message or str(error)


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
