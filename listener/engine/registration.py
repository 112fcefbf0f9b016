"""Makes this process known to the database, and finds out whether its handlers fit the queues that there are."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from importlib.metadata import version

from listener.app import Handler
from listener.database.model import Served
from listener.database.store import Store


class Registration:
    """What this process serves, as the database said last.

    Args:
        handlers: queue name -> handler.
        timeout: seconds that an attempt may take where its handler sets no limit, or None.

    Attributes:
        served: queue name -> what must be known of it; only queues that are attached.
    """

    def __init__(
        self, store: Store, worker: str, handlers: Mapping[str, Handler], *, timeout: float | None
    ) -> None:
        self._store = store
        self._worker = worker
        self._handlers = handlers
        self._slots = {queue: handler.concurrency for queue, handler in handlers.items()}
        limits = {queue: handler.timeout or timeout for queue, handler in handlers.items()}
        self._limits = {queue: seconds for queue, seconds in limits.items() if seconds}
        self.served: dict[str, Served] = {}

    async def renew(self) -> bool:
        """Register (again); answers whether there are queues that were not there before."""
        found = await self._store.register(
            self._worker, socket.gethostname(), version("supalistener"), self._slots, self._limits
        )
        known, self.served = self.served, {one.queue: one for one in found}
        return bool(self.served.keys() - known.keys())

    def serves(self, queue: str) -> bool:
        """Whether a queue is attached."""
        return queue in self.served

    def tenant_column(self, queue: str) -> str | None:
        """The column that says whose the jobs of a queue are."""
        return self.served[queue].tenant if queue in self.served else None

    def result_column(self, queue: str) -> str | None:
        """The column that takes values which are no mapping."""
        return self.served[queue].result if queue in self.served else None

    @property
    def changes(self) -> dict[str, list[str]]:
        """The tables that only Realtime's postgres_changes can tell of, by queue."""
        return {one.queue: one.changes for one in self.served.values() if one.changes}

    @property
    def unused(self) -> list[str]:
        """The queues that have a handler here, but no table."""
        return sorted(self._handlers.keys() - self.served.keys())

    def misfits(self) -> list[str]:
        """Sentences on handlers that return what their tables have no column for."""
        return [
            problem
            for queue, served in self.served.items()
            if (problem := _misfit(self._handlers[queue], served)) is not None
        ]

    def unattached(self) -> list[str]:
        """Sentences on queues that should have a table."""
        if not self.served and len(self.unused) > 1:
            return [
                f"no table is attached as any of the queues {', '.join(self.unused)}; run `listener attach TABLE QUEUE`"
            ]
        return [
            f"no table is attached as queue {queue!r}, which has a handler; run `listener attach TABLE {queue}`"
            for queue in self.unused
            if not self.served or not self._handlers[queue].optional
        ]


def _misfit(handler: Handler, served: Served) -> str | None:
    unknown = sorted((handler.columns or frozenset()) - set(served.columns))
    if not unknown:
        return None
    return (
        f"the handler of queue {handler.queue!r} returns {', '.join(unknown)}, but {served.table} has no such "
        f"column; its columns are {', '.join(served.columns)}"
    )
