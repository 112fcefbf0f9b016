"""The transport over a Postgres connection of any kind, also behind a transaction-mode pooler: it keeps no
state in a session."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg

from listener.errors import DatabaseError, DatabaseUnavailable

# SQLSTATEs that speak of the connection or the server's state, not of the call: class 08, admin shutdown,
# crash, starting up, too many connections.
_UNAVAILABLE = ("08", "57P01", "57P02", "57P03", "53300")


class PostgresTransport:
    """A small pool of asyncpg connections.

    Args:
        dsn: a `postgresql://` URL.
        connections: the most connections to hold; claim, settlement and heartbeat use one each.
        timeout: seconds after which a call without an answer is given up and its connection dropped.
    """

    def __init__(self, dsn: str, *, connections: int = 3, timeout: float = 10.0) -> None:
        self._dsn = dsn
        self._connections = connections
        self._timeout = timeout
        self._pool: asyncpg.Pool | None = None

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """See `Transport.call`."""
        named = ", ".join(f'"{name}" => ${number}' for number, name in enumerate(arguments, 1))
        return await self.fetchval(f"select listener.{function}({named})", *arguments.values())  # noqa: S608

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The first column of the first row of any query; raises as `call` does."""
        try:
            if self._pool is None:
                self._pool = await self._open()
            connection = await self._pool.acquire(timeout=self._timeout)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise DatabaseUnavailable(f"the database can't be reached ({_reason(error)})") from error
        try:
            return await connection.fetchval(query, *arguments, timeout=self._timeout)
        except asyncpg.PostgresError as error:
            if str(error.sqlstate).startswith(_UNAVAILABLE):
                raise DatabaseUnavailable(f"the database went away ({error})") from error
            raise DatabaseError(str(error), sqlstate=str(error.sqlstate), hint=getattr(error, "hint", None)) from error
        except (OSError, asyncpg.InterfaceError, TimeoutError) as error:
            # TCP alone would notice a silent drop after many minutes: the connection is not used again.
            connection.terminate()
            raise DatabaseUnavailable(f"the database gave no answer ({_reason(error)})") from error
        except asyncio.CancelledError:
            connection.terminate()
            raise
        finally:
            await self._pool.release(connection)

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


async def _keep(_: asyncpg.Connection) -> None:
    """No session state is ever set, so none needs a statement to reset it."""


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
