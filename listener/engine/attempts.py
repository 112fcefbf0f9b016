"""Start attempts, attend each until it is settled, and stop them at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import structlog

from listener.app import Handler
from listener.database.model import Delivery, StopReason
from listener.database.store import Store
from listener.engine.executor import Attempt
from listener.engine.registration import Registration
from listener.engine.settlement import Settlement
from listener.job import Job
from listener.metrics import Metrics
from listener.wakeup import Wakeup

log = structlog.get_logger(__name__)


class Attempts:
    """The attempts of this process, from their claim until the database knows their outcome.

    They are kept by fence, because an attempt whose job was restarted here may still run beside the new one. Each
    runs in a plain asyncio task: a task of an anyio task group takes ten times as long to start, and a job waits for
    that.

    Args:
        timeout: seconds that an attempt may take if its handler sets no timeout, or None.
        notify: what `Settlement` calls with progress and outcomes for browsers.
        on_failure: called with an internal error that ended an attempt; its job stays in `held`.

    Attributes:
        temp_dir: the folder for the jobs' scratch folders; None is the system's.
    """

    def __init__(
        self,
        worker: str,
        handlers: Mapping[str, Handler],
        store: Store,
        registration: Registration,
        metrics: Metrics,
        *,
        timeout: float | None,
        notify: Callable[[Delivery, str, Mapping[str, Any]], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._handlers = handlers
        self._registration = registration
        self._metrics = metrics
        self._timeout = timeout
        self._on_failure = on_failure
        self._settlement = Settlement(store, metrics, on_lost=self.stop, notify=notify)
        self._threads = anyio.CapacityLimiter(sum(handler.concurrency for handler in handlers.values()))
        self._log = log.bind(worker=worker)
        self._running: dict[int, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = Wakeup()
        self._stops_at_once = False
        self.temp_dir: Path | None = None

    def start(self, delivery: Delivery, free: Callable[[str], None]) -> None:
        """Start an attempt at a claimed job.

        Args:
            delivery: the job.
            free: called with its queue when its handler has returned.
        """
        handler = self._handlers[delivery.queue]
        attempt = Attempt(
            delivery,
            handler,
            Job(delivery, self._settlement, log=self._log, temp_dir=self.temp_dir),
            self._settlement,
            self._metrics.queue(delivery.queue),
            self._threads,
            timeout=handler.timeout or self._timeout,
            result_column=self._registration.result_column(delivery.queue),
        )
        self._running[delivery.fence] = attempt
        task = asyncio.create_task(self._attend(attempt, free), name=attempt.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, attempt: Attempt, free: Callable[[str], None]) -> None:
        try:
            try:
                outcome = await attempt.run()
            finally:
                free(attempt.delivery.queue)
            await attempt.settle(outcome)
        except Exception as error:
            self._on_failure(error)
        else:
            del self._running[attempt.delivery.fence]
            self._changed.set()

    # What runs.

    def __len__(self) -> int:
        return len(self._running)

    def held(self) -> list[Delivery]:
        """The jobs whose leases this process must keep: their outcome is not settled yet."""
        return [attempt.delivery for attempt in self._running.values()]

    def names(self) -> list[str]:
        """Queue and key of each job. Any thread may call it."""
        return [attempt.name for attempt in list(self._running.values())]

    def stop(self, fence: int, reason: StopReason) -> bool:
        """Stop one attempt; false if it does not run here."""
        attempt = self._running.get(fence)
        if attempt:
            attempt.stop(reason)
        return attempt is not None

    # The life of the process.

    async def run(self) -> None:
        """Write the outcomes and progress of attempts until cancelled."""
        await self._settlement.run()

    def stop_at_once(self) -> None:
        """Make `drain` skip its grace period, now or when it begins."""
        self._stops_at_once = True
        self._changed.set()

    async def drain(self, *, grace: float, settle_within: float) -> None:
        """Let the attempts end by themselves for a while, then stop them.

        Args:
            grace: seconds until they are stopped.
            settle_within: seconds after that to write their outcomes. The limit is there because the process must end
                even if the database is away; the jobs run again when their leases end.
        """
        if self._running:
            log.info("shutting down", running=len(self._running), grace=grace)
        with anyio.move_on_after(grace):
            while self._running and not self._stops_at_once:
                await self._changed.wait()
        self._stop_all()
        with anyio.move_on_after(settle_within):
            while self._running:
                await self._changed.wait()

    async def close(self) -> None:
        """Stop the attempts that are left without settling them, and wait until their handlers have returned."""
        self._settlement.close()
        self._stop_all()
        with anyio.CancelScope(shield=True):
            while self._tasks:
                await asyncio.wait(self._tasks)

    def _stop_all(self) -> None:
        for attempt in list(self._running.values()):
            attempt.stop("shutdown")
