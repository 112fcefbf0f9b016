"""The transport over Postgres connections, direct or through a pooler of any mode."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

from listener.database.postgres import ConnectionPool


class PostgresTransport:
    """A small pool of connections.

    Args:
        dsn: a `postgresql://` URL.
        connections: the most connections, opened when needed. Claim, heartbeat and maintenance use one each, outcomes
            and the dashboard two, progress and slow queues one, so that none waits for another.
        timeout: seconds after which a call without an answer fails and its connection is dropped.
        pooled: whether a transaction-mode pooler is between.
    """

    def __init__(
        self, dsn: str, *, connections: int = 9, timeout: float = 10.0, pooled: bool = False
    ) -> None:
        self._pool = ConnectionPool(dsn, most=connections, timeout=timeout, pooled=pooled)
        self.fetchval: Callable[..., Coroutine[Any, Any, Any]] = self._pool.fetchval

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call a function, as `Transport.call`."""
        return await self.fetchval(_statement(function, *arguments), *arguments.values())

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()


@cache
def _statement(function: str, *names: str) -> str:
    named = ", ".join(f'"{name}" => ${number}' for number, name in enumerate(names, 1))
    return f"select listener.{function}({named})"
