"""Register this process in the database, and check that its handlers fit the attached tables."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from importlib.metadata import version

from listener.app import Handler
from listener.database.model import Served
from listener.database.store import Store


def new_worker_id() -> str:
    """Return an id that no process had before; the pid alone is 1 in every container."""
    return f"worker-{os.getpid()}-{time.time_ns() // 1_000_000}-{secrets.token_hex(3)}"


class Registration:
    """The queues that this process serves, as of its last registration.

    Args:
        handlers: queue name -> handler.
        timeout: seconds that an attempt may take if its handler sets no timeout, or None.

    Attributes:
        served: queue name -> its table; only queues that are attached.
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
        """Register (again), and return whether queues were attached since the last time."""
        found = await self._store.register(
            self._worker, socket.gethostname(), version("supalistener"), self._slots, self._limits
        )
        known, self.served = self.served, {one.queue: one for one in found}
        return bool(self.served.keys() - known.keys())

    def serves(self, queue: str) -> bool:
        """Whether a queue is attached."""
        return queue in self.served

    def tenant_column(self, queue: str) -> str | None:
        """The column that names the user whose job a row of this queue is."""
        return self.served[queue].tenant if queue in self.served else None

    def result_column(self, queue: str) -> str | None:
        """The column for a result that is no mapping."""
        return self.served[queue].result if queue in self.served else None

    @property
    def changes(self) -> dict[str, list[str]]:
        """Queue name -> schema and table, for tables that only Realtime's postgres_changes announces."""
        return {one.queue: one.changes for one in self.served.values() if one.changes}

    @property
    def unused(self) -> list[str]:
        """The queues that have a handler, but no table."""
        return sorted(self._handlers.keys() - self.served.keys())

    def misfits(self) -> list[str]:
        """Sentences about handlers that return columns which their table does not have."""
        return [
            problem
            for queue, served in self.served.items()
            if (problem := _misfit(self._handlers[queue], served)) is not None
        ]

    def unattached(self) -> list[str]:
        """Sentences about queues that should have a table, but have none."""
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
