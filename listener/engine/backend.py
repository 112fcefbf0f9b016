"""Which way leads to the database, how the service hears of jobs on it, and why."""

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

# Seconds for a notification from a second session, until it is believed to be lost.
NOTIFICATION_TIMEOUT = 2.0
DEAF = "a transaction-mode pooler passes no notifications"


class Backend:
    """The way to the database: a `Transport` that finds out, when it is opened, what the settings allow.

    A connection to Postgres is preferred to the REST API, and LISTEN to Realtime. Behind a transaction-mode pooler
    nothing is kept in a session, and Realtime tells of jobs, or nothing does.

    Args:
        settings: with DATABASE_URL, or SUPABASE_URL and the service key, or all three.

    Attributes:
        events: what tells of jobs; None leaves them to the sweep.
        pooled: whether a transaction-mode pooler stands between; true as long as that is not known.
        place: where the database is, for a person.

    Raises:
        ConfigError: the settings lead to no database.
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
        """How the service hears of jobs and why so, once it is open."""
        found = "Realtime tells of jobs" if self.events else f"jobs are found every {self._poll:g} s only"
        if self._dsn is None:
            return f"DATABASE_URL is not set, so {found}"
        return f"{DEAF}, so {found}" if self.pooled else "notifications arrive, so LISTEN tells of jobs"

    async def open(self) -> None:
        """Find out what there is, and log it; once.

        Raises:
            DatabaseUnavailable: there was no answer; it may be tried again.
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

    def sources(self, queues: Iterable[str], wakes: Wakeable, metrics: Metrics) -> list[Source]:
        """What tells of jobs of these queues, once it is open; webhooks come beside it."""
        if self.events == "notify" and self._dsn is not None:
            return [PostgresSource(self._dsn, wakes, metrics)]
        if self.events == "realtime" and self._project is not None:
            return [RealtimeSource(*self._project, queues, wakes, metrics)]
        return []

    def problems(self, served: Iterable[Served]) -> list[str]:
        """Sentences on jobs that nothing tells of, and how to mend that."""
        if self.events is None:
            return [
                f"{self.why}; set DATABASE_URL to the session pooler (port 5432 at Supabase) or to the database itself,"
                " or set SUPABASE_URL and SUPABASE_SERVICE_KEY for Realtime"
            ]
        other = {"notify": "realtime", "realtime": "notify"}[self.events]
        return [
            f"{one.table} sends what {self.events} does not hear, so jobs of {one.queue!r} are found by sweeps; run"
            f" `listener attach {one.table} {one.queue.partition('/')[0]} --wake both`"
            for one in served
            if one.wake == other and not (self.events == "realtime" and one.changes)
        ]

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """See `Transport.call`."""
        assert self._transport is not None  # noqa: S101 - nothing is called before it is open
        return await self._transport.call(function, **arguments)

    async def close(self) -> None:
        """See `Transport.close`."""
        if self._transport is not None:
            await self._transport.close()


def _place(dsn: str) -> str:
    parts = urlsplit(dsn)
    return f"Postgres at {parts.hostname or 'the local socket'}:{parts.port or 5432}"
