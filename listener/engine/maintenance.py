"""The duties that no job asks for: find what was missed, forget what is old, and publish the fleet's numbers."""

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

log = structlog.get_logger(__name__)

RECONCILE_EVERY = 300.0
PRUNE_EVERY = 3600.0
STATS_FRESH = 10.0


class Maintenance:
    """Reconciles at start, when asked, and every few minutes; prunes every hour.

    Args:
        register: makes this process known (again); answers what is wrong with its queues.
        found: called after a reconcile that found jobs.
    """

    def __init__(
        self,
        store: Store,
        worker: str,
        metrics: Metrics,
        status: Status,
        *,
        register: Callable[[], Awaitable[list[str]]],
        found: Callable[[], None],
    ) -> None:
        self._store = store
        self._worker = worker
        self._metrics = metrics
        self._status = status
        self._register = register
        self._found = found
        self._asked = anyio.Event()
        self._asked.set()
        self._stats_at = float("-inf")

    def reconcile_soon(self) -> None:
        """Events may have been missed: look now."""
        self._asked.set()

    async def run(self) -> None:
        """Keep at it until cancelled."""
        prune_at = time.monotonic() + PRUNE_EVERY * random.random()  # noqa: S311 - a fleet should not prune as one
        while True:
            with anyio.move_on_after(RECONCILE_EVERY * (0.9 + 0.2 * random.random())):  # noqa: S311
                await self._asked.wait()
            self._asked = anyio.Event()
            try:
                await self._reconcile()
                if time.monotonic() >= prune_at:
                    prune_at = time.monotonic() + PRUNE_EVERY
                    while await self._store.prune() > 0:
                        pass
            except (DatabaseUnavailable, DatabaseError) as error:
                log.warning("maintenance has to wait", error=str(error))

    async def _reconcile(self) -> None:
        problems: list[str] = []
        more = True
        while more:
            more, problems = False, await self._register()
            for part in await self._store.reconcile():
                for queue, number in part.get("queues", {}).items():
                    log.warning("jobs were found that no trigger had captured", queue=queue, jobs=number)
                    self._metrics.queue(queue).missed["reconcile"].inc(number)
                    self._found()
                if part.get("problem"):
                    problems.append(part["problem"])
                more = more or bool(part.get("more"))
        for problem in problems:
            if problem not in self._status.problems:
                log.warning(problem)
        self._status.problems = problems

    async def publish_stats(self) -> None:
        """Refresh the fleet's numbers when they are not fresh; there are none while another process shows them."""
        if time.monotonic() - self._stats_at < STATS_FRESH:
            return
        self._stats_at = time.monotonic()
        try:
            self._metrics.publish(await self._store.stats(self._worker))
        except (DatabaseUnavailable, DatabaseError) as error:
            self._metrics.publish(None)
            log.warning("the fleet's numbers can't be read", error=str(error))
