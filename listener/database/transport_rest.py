"""The transport over Supabase's REST API, which needs only the project's address and secret key.

It calls `public.listener_<verb>`, which `listener.expose` makes for the role service_role. A claim without an answer is
not repeated: the database gives back its jobs, because the next heartbeats do not name them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from listener.backoff import delays
from listener.database.rest import KeyRefused, Rest
from listener.errors import DatabaseError, DatabaseUnavailable

# Calling these twice has the same effect as calling them once.
_REPEATABLE = frozenset(
    {"schema_version", "register", "unregister", "heartbeat", "stats", "overview", "jobs", "job", "backlog"}
)
_MAX_TRIES = 3

_OTHER_KEY = "SUPABASE_SERVICE_KEY must hold the project's secret or service_role key."


class RestTransport:
    """Call the verbs as functions of the REST API.

    Args:
        url: the project's address.
        key: its secret or service_role key, replaced when the settings name another one (`listener.service_key`).
        timeout: seconds after which a call without an answer fails; the API itself ends each call after 8 seconds.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 10.0) -> None:
        self._rest = Rest(url, key, timeout=timeout)
        self._retry_seconds = timeout / 2

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call a function, as `Transport.call`. Calls that may be repeated are retried within half of the timeout."""
        written = {name: _written(value) for name, value in arguments.items()}
        end = time.monotonic() + self._retry_seconds
        for tries, delay in enumerate(delays(), 1):
            try:
                return await self._call(function, written)
            except KeyRefused:
                raise
            except DatabaseUnavailable:
                if function not in _REPEATABLE or tries == _MAX_TRIES or time.monotonic() + delay > end:
                    raise
            await asyncio.sleep(delay)
        raise AssertionError("delays never end")

    async def close(self) -> None:
        """Close all connections."""
        await self._rest.close()

    async def _call(self, function: str, arguments: Mapping[str, Any]) -> Any:
        try:
            return await self._rest.execute(lambda api: api.rpc(f"listener_{function}", dict(arguments)))
        except KeyRefused as error:
            raise KeyRefused(f"{error}; {_OTHER_KEY}") from error
        except DatabaseError as error:
            if error.sqlstate == "42501" and f"listener_{function}" in str(error):
                error.hint = _OTHER_KEY
            raise


def _written(value: Any) -> Any:
    return f"{value.total_seconds():f} seconds" if isinstance(value, timedelta) else value
