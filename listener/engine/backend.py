"""Choose the transport to the database and the event source: Postgres or the REST API, LISTEN or Realtime."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import structlog

from listener.config import Settings
from listener.database.model import Served
from listener.database.postgres import is_pooler
from listener.database.transport import Transport
from listener.database.transport_postgres import PostgresTransport
from listener.database.transport_rest import RestTransport
from listener.events import PostgresSource, RealtimeSource, Source, Wakeable
from listener.events.postgres import notification_time
from listener.metrics import Metrics, SourceName

log = structlog.get_logger(__name__)

# Seconds after which a notification from a second session counts as lost.
NOTIFICATION_TIMEOUT = 2.0
NO_NOTIFICATIONS = "a transaction-mode pooler passes no notifications"


class Backend:
    """A `Transport` that chooses, when it is opened, the best one that the settings allow, and the event source.

    A connection to Postgres is preferred to the REST API, and LISTEN to Realtime. Through a transaction-mode pooler
    LISTEN does not work: then Realtime announces jobs, or nothing does and sweeps find them.

    Args:
        settings: with DATABASE_URL, or SUPABASE_URL and the service key, or all three.

    Attributes:
        events: the event source; None if only sweeps find jobs.
        pooled: whether a transaction-mode pooler is between; true until `open` has found out.
        place: the database's address without secrets, for logs.

    Raises:
        ConfigError: the settings name no database.
    """

    def __init__(self, settings: Settings) -> None:
        settings.require_database()
        self._dsn = settings.database_url.get_secret_value() if settings.database_url else None
        self._poll = settings.poll_interval
        self._project = settings.project
        self._transport: Transport | None = None
        self.events: SourceName | None = "realtime" if self._project else None
        self.pooled = self._dsn is not None
        self.place = _place(self._dsn) if self._dsn else f"the REST API of {settings.supabase_url}"

    @property
    def why(self) -> str:
        """The event source that was chosen and why, once it is open."""
        found = "Realtime announces jobs" if self.events else f"jobs are found every {self._poll:g} s only"
        if self._dsn is None:
            return f"DATABASE_URL is not set, so {found}"
        return (
            f"{NO_NOTIFICATIONS}, so {found}"
            if self.pooled
            else "notifications arrive, so LISTEN announces jobs"
        )

    async def open(self) -> None:
        """Choose the transport and the event source, and log the choice. Does nothing if that was done before.

        Raises:
            DatabaseUnavailable: the database did not answer; the call may be repeated.
        """
        if self._transport is not None:
            return
        if self._dsn is not None:
            self.pooled = (
                is_pooler(self._dsn) or await notification_time(self._dsn, NOTIFICATION_TIMEOUT) is None
            )
            self._transport = PostgresTransport(self._dsn, pooled=self.pooled)
            self.events = self.events if self.pooled else "notify"
        elif self._project is not None:
            self._transport = RestTransport(*self._project)
        log.info("connection chosen", database=self.place, why=self.why)

    def sources(self, queues: Iterable[str], wakeable: Wakeable, metrics: Metrics) -> list[Source]:
        """Make the event source for these queues, if there is one, once it is open. Webhooks come in addition."""
        if self.events == "notify" and self._dsn is not None:
            return [PostgresSource(self._dsn, wakeable, metrics)]
        if self.events == "realtime" and self._project is not None:
            return [RealtimeSource(*self._project, queues, wakeable, metrics)]
        return []

    def problems(self, served: Iterable[Served]) -> list[str]:
        """Sentences about jobs that no event announces, and how to mend that."""
        if self.events is None:
            return [
                f"{self.why}; set DATABASE_URL to the session pooler (port 5432 at Supabase) or to the database itself,"
                " or set SUPABASE_URL and SUPABASE_SERVICE_KEY for Realtime"
            ]
        other = {"notify": "realtime", "realtime": "notify"}[self.events]
        return [
            f"{one.table} sends no events that {self.events} receives, so only sweeps find jobs of {one.queue!r}; run"
            f" `listener attach {one.table} {one.queue.partition('/')[0]} --wake both`"
            for one in served
            if one.wake == other and not (self.events == "realtime" and one.changes)
        ]

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call a function, as `Transport.call`."""
        assert self._transport is not None  # noqa: S101 - the engine opens it first
        return await self._transport.call(function, **arguments)

    async def close(self) -> None:
        """Close the transport."""
        if self._transport is not None:
            await self._transport.close()


def _place(dsn: str) -> str:
    parts = urlsplit(dsn)
    return f"Postgres at {parts.hostname or 'the local socket'}:{parts.port or 5432}"
