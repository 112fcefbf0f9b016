"""Work that no job asks for: find missed jobs, delete old history, publish the numbers of all workers."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable

import anyio
import structlog

from listener.database.store import Store
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.metrics import Metrics
from listener.status import Status
from listener.wakeup import Wakeup

log = structlog.get_logger(__name__)

# Seconds.
RECONCILE_INTERVAL = 300.0
PRUNE_INTERVAL = 3600.0
STATS_MAX_AGE = 10.0


class Maintenance:
    """Reconcile at the start, every few minutes and when asked; prune every hour.

    Args:
        reconcile: set to reconcile now.
        register: registers this process (again) and returns the problems of its queues.
        on_found: called after a reconcile that found jobs.
    """

    def __init__(
        self,
        store: Store,
        worker: str,
        metrics: Metrics,
        status: Status,
        *,
        reconcile: Wakeup,
        register: Callable[[], Awaitable[list[str]]],
        on_found: Callable[[], None],
    ) -> None:
        self._store = store
        self._worker = worker
        self._metrics = metrics
        self._status = status
        self._asked = reconcile
        self._register = register
        self._on_found = on_found
        self._stats_at = float("-inf")

    async def run(self) -> None:
        """Reconcile and prune until cancelled."""
        # Random, because many processes that start together should not prune together.
        prune_at = time.monotonic() + PRUNE_INTERVAL * random.random()  # noqa: S311
        self._asked.set()
        while True:
            with anyio.move_on_after(RECONCILE_INTERVAL * (0.9 + 0.2 * random.random())):  # noqa: S311
                await self._asked.wait()
            try:
                await self._reconcile()
                if time.monotonic() >= prune_at:
                    prune_at = time.monotonic() + PRUNE_INTERVAL
                    while await self._store.prune() > 0:
                        pass
            except (DatabaseUnavailable, DatabaseError) as error:
                log.warning("maintenance postponed", error=str(error))

    async def _reconcile(self) -> None:
        problems: list[str] = []
        more = True
        while more:
            more, problems = False, await self._register()
            for part in await self._store.reconcile():
                for queue, number in part.get("queues", {}).items():
                    log.warning("reconcile found jobs that no trigger had captured", queue=queue, jobs=number)
                    self._metrics.queue(queue).missed["reconcile"].inc(number)
                    self._on_found()
                if part.get("problem"):
                    problems.append(part["problem"])
                more = more or bool(part.get("more"))
        for problem in problems:
            if problem not in self._status.problems:
                log.warning(problem)
        self._status.problems = problems

    async def publish_stats(self) -> None:
        """Refresh the numbers of all workers if they are old. Two processes publish them; the others have
        none.
        """
        if time.monotonic() - self._stats_at < STATS_MAX_AGE:
            return
        self._stats_at = time.monotonic()
        try:
            self._metrics.publish(await self._store.stats(self._worker))
        except (DatabaseUnavailable, DatabaseError) as error:
            self._metrics.publish(None)
            log.warning("numbers of all workers not read", error=str(error))
