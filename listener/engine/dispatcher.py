"""Decides when to claim, and how much: never more than can start at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

import anyio
import structlog

from listener.app import Handler
from listener.backoff import delays
from listener.database.model import Claim, Delivery
from listener.database.store import Store
from listener.engine.leases import Leases
from listener.engine.slots import Slots
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.metrics import Metrics, SourceName
from listener.status import Status

log = structlog.get_logger(__name__)

# Slots that come free within this time are filled by one claim.
GATHER = 0.003
LOCKED_PAUSE = 0.5
REVISIT = 10.0
LEARN_PAUSE = 0.25
# Later than any event takes: what is found after so many seconds, without an event since it was due, was missed.
MISSED_AFTER = 2.0


class Dispatcher:
    """Turns wakes and free slots into claims.

    Args:
        handlers: queue name -> handler; their concurrency is the slots of each queue.
        most: the most jobs to run at once in all.
        poll: seconds between sweeps.
        start: called with each claimed delivery.
        serves: whether a queue is attached; others are not asked for.
        announced: whether there is anything that should tell of jobs, so that a late find is worth counting.
        unknown: called when the database no longer knows this process.
    """

    def __init__(
        self,
        store: Store,
        worker: str,
        handlers: Mapping[str, Handler],
        leases: Leases,
        metrics: Metrics,
        status: Status,
        *,
        most: int | None,
        poll: float,
        start: Callable[[Delivery], None],
        serves: Callable[[str], bool],
        announced: Callable[[], bool],
        unknown: Callable[[], None],
    ) -> None:
        self._store = store
        self._worker = worker
        self._lanes = Slots({queue: handler.concurrency for queue, handler in handlers.items()}, most, serves)
        for queue, lane in self._lanes.items():
            gauges = metrics.queue(queue).slots
            gauges["used"].set_function(partial(getattr, lane, "used"))
            gauges["free"].set_function(partial(getattr, lane, "free"))
        self._leases = leases
        self._metrics = metrics
        self._status = status
        self._poll = poll
        self._start = start
        self._announced = announced
        self._unknown = unknown
        self._awake = asyncio.Event()
        self._sweep_at = 0.0
        self._lease_ends = 0.0
        self._revisit = False

    def wake(self, queue: str | None, source: SourceName) -> None:
        """Something may have to be claimed from a queue, or from all."""
        self._awake.set()
        for name in self._lanes if queue is None else [queue]:
            if lane := self._lanes.get(name):
                lane.woken_by = source if lane.woken_by is None or source != "sweep" else lane.woken_by
        # Counted when what it wakes is on its way.
        asyncio.get_running_loop().call_soon(self._note, queue, source)

    def _note(self, queue: str | None, source: SourceName) -> None:
        for name in self._lanes if queue is None else [queue]:
            if lane := self._lanes.get(name):
                if source != "sweep":
                    lane.hear()
                self._metrics.queue(name).events[source].inc()

    def sweep_soon(self) -> None:
        """Look at all queues now."""
        self._sweep_at = anyio.current_time()
        self._awake.set()

    def hears_again(self) -> None:
        """Events come again, and some were missed: look for their jobs now."""
        for lane in self._lanes.values():
            lane.end_gap()
        self.sweep_soon()

    def free(self, queue: str) -> None:
        """A handler has returned."""
        lane = self._lanes[queue]
        lane.used -= 1
        if lane.woken_by:
            self._awake.set()

    async def run(self) -> None:
        """Claim until cancelled."""
        backoff = delays()
        loop = asyncio.get_running_loop()
        while True:
            alarm = loop.call_at(self._sweep_at, self._awake.set)
            try:
                await self._awake.wait()
            finally:
                alarm.cancel()
            self._awake.clear()
            try:
                if loop.time() >= self._sweep_at:
                    await self._sweep()
                elif self._lanes.active > 0 and self._lanes.wanted() < self._lanes.most / 2:
                    await anyio.sleep(GATHER)
                await self._claim()
                backoff = delays()
                if not self._status.connected:
                    log.info("the database is back")
                    self._status.connected = True
            except DatabaseUnavailable as error:
                # The claim may have been carried out: what nobody here knows of is given back by heartbeats.
                self._leases.expect_orphans()
                await self._wait_for_database(error, next(backoff))
            except DatabaseError as error:
                log.error("a claim was refused", error=str(error), hint=error.hint)
                await self._wait_for_database(error, next(backoff))

    async def _wait_for_database(self, error: Exception, delay: float) -> None:
        if self._status.connected:
            log.warning("the database is away; jobs that run go on", error=str(error))
        self._status.connected = False
        self._sweep_at = anyio.current_time() + delay
        await anyio.sleep(delay)

    async def _sweep(self) -> None:
        """The safety net: at start, at the next deadline, and every poll interval."""
        self._sweep_at = anyio.current_time() + self._poll
        if anyio.current_time() >= self._lease_ends or self._lanes.wanted(everything=True) == 0:
            self._lease_ends = float("inf")
            # Our own leases first: while the database was away they may have ended, though their jobs run.
            await self._leases.beat()
            for rescued in await self._store.rescue():
                self._metrics.queue(rescued["queue"]).lease_expirations.inc()
                log.warning("a lease ended without a heartbeat", **rescued)
        self.wake(None, "sweep")
        for lane in self._lanes.values():
            lane.sweep_due = True
        self._awake.clear()

    async def _claim(self) -> None:
        slots = self._lanes.allot()
        if not slots:
            return
        sources: dict[str, SourceName | None] = {}
        sweep = False
        for queue in slots:
            lane = self._lanes[queue]
            sources[queue], sweep = lane.woken_by, sweep or lane.sweep_due
            lane.woken_by, lane.sweep_due = None, False
        try:
            # A shutdown waits for the answer: what it brings is given back at once, not when leases end.
            with anyio.CancelScope(shield=True):
                claim = await self._store.claim(self._worker, slots, sweep=sweep)
                for delivery in claim.jobs:
                    self._lanes[delivery.queue].used += 1
                    self._start(delivery)
                # They begin now; what was claimed is counted after that.
                await asyncio.sleep(0)
        except BaseException:
            for queue in slots:
                self._lanes[queue].woken_by = self._lanes[queue].woken_by or sources[queue]
                self._lanes[queue].sweep_due |= sweep
            raise
        taken = dict.fromkeys(slots, 0)
        for delivery in claim.jobs:
            taken[delivery.queue] += 1
            self._count(delivery)
        for queue, asked in slots.items():
            if taken[queue] == asked or claim.more:
                self._lanes[queue].woken_by = self._lanes[queue].woken_by or sources[queue]
                self._lanes[queue].sweep_due |= claim.more
                self._awake.set()
        if not claim.known:
            self._unknown()
        self._plan(claim, sweep=sweep, full=len(claim.jobs) == sum(slots.values()))

    def _count(self, delivery: Delivery) -> None:
        lane, metrics = self._lanes[delivery.queue], self._metrics.queue(delivery.queue)
        metrics.pickup.observe(max(0.0, delivery.late))
        fresh = delivery.attempt == 1 and delivery.snoozes == 0
        due = time.monotonic() - delivery.late
        if (
            fresh
            and delivery.late > MISSED_AFTER
            and delivery.origin != "reconcile"
            and self._announced()
            and lane.was_deaf(due - MISSED_AFTER, due)
        ):
            metrics.missed["sweep"].inc()

    def _plan(self, claim: Claim, *, sweep: bool, full: bool) -> None:
        """Decide when to look again without being woken."""
        now = anyio.current_time()
        for miss in claim.misses:
            if miss.why == "refused":
                log.error(
                    "a row can't be claimed; its delivery is kept aside as broken",
                    queue=miss.queue,
                    job=miss.key,
                    error=miss.error,
                )
        soon: list[float | None] = []
        if any(miss.why == "locked" for miss in claim.misses):
            soon.append(LOCKED_PAUSE)
        if sweep:
            self._lease_ends = now + (float("inf") if claim.next_lease is None else claim.next_lease)
            soon += [
                max(0.1, seconds) for seconds in (claim.next_due, claim.next_lease) if seconds is not None
            ]
            if self._revisit:
                # What woke us was not here any more: another process took it, perhaps in this moment.
                soon.append(REVISIT)
            self._revisit = False
        elif not full:
            # A claim says nothing of what is due later or runs elsewhere; a sweep does, a moment later.
            self._revisit = not claim.jobs
            soon.append(LEARN_PAUSE if claim.jobs else 0.0)
        self._sweep_at = min(
            [self._sweep_at, *(now + max(0.0, seconds) for seconds in soon if seconds is not None)]
        )
