"""Decide when to claim jobs and how many: never more than can start at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import anyio
import structlog

from listener.backoff import delays
from listener.database.model import Claim, Delivery, Miss
from listener.database.store import Store
from listener.engine.attempts import Attempts
from listener.engine.leases import Leases
from listener.engine.slots import Slots
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.metrics import Metrics, SourceName
from listener.status import Status
from listener.wakeup import Wakeup

log = structlog.get_logger(__name__)

# All in seconds.
# Slots that become free within this time are filled by one claim.
GATHER_TIME = 0.003
# Until the next sweep, after a claim that met locked rows.
LOCKED_RETRY = 0.5
# ... after a wake that found no job, because another process had taken it.
TAKEN_RETRY = 10.0
# ... after a wake by Realtime that found no job: Realtime may announce a row some milliseconds before its commit is
# visible to other transactions.
INVISIBLE_RETRIES = (0.1, 0.5, 2.0, TAKEN_RETRY)
# ... after a claim that brought jobs, to learn when the next job is due.
LEARN_DELAY = 0.25
# A job that is claimed so long after it was due, without an event since then, was missed by the source. Events take
# less time than this.
MISSED_AFTER = 2.0
# A claim of a queue is enlarged again after one that took less than this.
SLOW_CLAIM = 1.0
# Jobs; fewer after a rescue that failed.
RESCUED_AT_ONCE = 500


class Dispatcher:
    """Turn wakes and free slots into claims, and start the claimed jobs. It is what event sources wake (`Wakeable`).

    Args:
        slots: the slots of this process, by queue.
        reconcile: set when the queues of this process may have changed, or events may have been lost.
        poll: seconds between sweeps.
        has_source: whether an event source runs; a job that is found late counts as missed only then.
    """

    def __init__(
        self,
        store: Store,
        worker: str,
        slots: Slots,
        attempts: Attempts,
        leases: Leases,
        metrics: Metrics,
        status: Status,
        *,
        reconcile: Wakeup,
        poll: float,
        has_source: Callable[[], bool],
    ) -> None:
        self._store = store
        self._worker = worker
        self._slots = slots
        self._attempts = attempts
        self._leases = leases
        self._metrics = metrics
        self._status = status
        self._reconcile = reconcile
        self._poll = poll
        self._has_source = has_source
        self._awake = asyncio.Event()
        self._sweep_at = 0.0
        self._lease_ends = 0.0
        self._look_again: list[float] = []

        # The most jobs that a claim of a queue asks for, after one that took too long.
        self._most: dict[str, int] = {}
        self._turn = 0
        self._rescued_at_once = RESCUED_AT_ONCE

    # What event sources call.

    def wake(self, queue: str, source: SourceName) -> None:
        """Claim from a queue, if a job is ready there."""
        if queue in self._slots and not self._slots.serves(queue):
            # The queue was attached a moment ago.
            self._reconcile.set()
        self._wake([queue], source)

    def stop(self, queue: str) -> None:
        """Ask by a heartbeat whether a job was cancelled, if one of this queue runs here."""
        if any(delivery.queue == queue for delivery in self._attempts.held()):
            self._leases.beat_soon()

    def connected(self) -> None:
        """Look for the jobs whose events were lost while the source was disconnected."""
        for queue in self._slots.values():
            queue.end_gap()
        self.sweep_soon()
        self._reconcile.set()

    # What the rest of the engine calls.

    def wake_all(self, source: SourceName) -> None:
        """Claim from every queue that has ready jobs."""
        self._wake(list(self._slots), source)

    def sweep_soon(self) -> None:
        """Sweep all queues now."""
        self._sweep_at = anyio.current_time()
        self._awake.set()

    def free(self, queue: str) -> None:
        """Free the slot of a job whose handler has returned."""
        slots = self._slots[queue]
        slots.used -= 1
        if slots.woken_by:
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
                elif self._slots.used > 0 and self._slots.startable() < self._slots.limit / 2:
                    await anyio.sleep(GATHER_TIME)
                await self._claim()
                backoff = delays()
                if not self._status.connected:
                    log.info("database reached again")
                    self._status.connected = True
            except DatabaseUnavailable as error:
                # The claim may have been carried out. Heartbeats give back jobs whose claim got no answer.
                self._leases.expect_orphans()
                await self._wait_for_database(error, next(backoff))
            except DatabaseError as error:
                log.error("claim refused", kind=error.kind, error=str(error), hint=error.hint)
                await self._wait_for_database(error, next(backoff))

    def _wake(self, queues: list[str], source: SourceName) -> None:
        self._awake.set()
        for name in queues:
            # A sweep does not hide the event that woke the queue before it.
            if (slots := self._slots.get(name)) and not (slots.woken_by and source == "sweep"):
                slots.woken_by = source
        # Counted in the next turn of the loop, because the claim must not wait for it.
        asyncio.get_running_loop().call_soon(self._count_wake, queues, source)

    def _count_wake(self, queues: list[str], source: SourceName) -> None:
        for name in queues:
            if slots := self._slots.get(name):
                if source != "sweep":
                    slots.note_event()
                self._metrics.queue(name).events[source].inc()

    async def _wait_for_database(self, error: Exception, delay: float) -> None:
        if self._status.connected and isinstance(error, DatabaseUnavailable):
            log.warning("database not reached; running jobs continue", kind=error.kind, error=str(error))
        self._status.connected = False
        self._sweep_at = anyio.current_time() + delay
        await anyio.sleep(delay)

    async def _sweep(self) -> None:
        """Rescue ended leases, and wake all queues. A sweep happens at the start, when the next job is due or the next
        lease ends, and every poll interval, so that no job depends on an event.
        """
        self._sweep_at = anyio.current_time() + self._poll
        if anyio.current_time() >= self._lease_ends or self._slots.startable(all_queues=True) == 0:
            self._lease_ends = float("inf")
            # First a heartbeat: the leases of jobs that run here may have ended while the database was away.
            await self._leases.beat()
            await self._rescue()
        self.wake_all("sweep")
        for slots in self._slots.values():
            slots.sweep_due = True
        self._awake.clear()

    async def _rescue(self) -> None:
        try:
            found = await self._store.rescue(self._rescued_at_once)
        except (DatabaseUnavailable, DatabaseError) as error:
            if error.kind == "absent":
                raise
            # One row must not keep all queues from being claimed.
            log.warning("rescue failed", kind=error.kind, jobs=self._rescued_at_once, error=str(error))
            self._rescued_at_once = max(1, self._rescued_at_once // 4)
            return
        self._rescued_at_once = RESCUED_AT_ONCE
        for rescued in found:
            self._metrics.queue(rescued["queue"]).lease_expirations.inc()
            log.warning("lease ended without a heartbeat; job rescued", **rescued)

    async def _claim(self) -> None:
        wanted = self._choose(self._slots.allot())
        if not wanted:
            return
        began = anyio.current_time()
        woken_by: dict[str, SourceName | None] = {}
        sweep = False
        for queue in wanted:
            slots = self._slots[queue]
            woken_by[queue], sweep = slots.woken_by, sweep or slots.sweep_due
            slots.woken_by, slots.sweep_due = None, False
        try:
            # Shielded: at shutdown the jobs of a claim that is under way are released at once, instead of when their
            # leases end.
            with anyio.CancelScope(shield=True), self._leases.claiming():
                claim = await self._store.claim(self._worker, wanted, sweep=sweep)
                for delivery in claim.jobs:
                    self._slots[delivery.queue].used += 1
                    self._attempts.start(delivery, self.free)
                if claim.jobs:
                    self._leases.keep()
                # The jobs start in this turn of the loop, and are counted after that.
                await asyncio.sleep(0)
        except BaseException as error:
            for queue in wanted:
                self._claim_again(queue, woken_by[queue], sweep=sweep)
            if isinstance(error, DatabaseUnavailable | DatabaseError) and error.kind == "slow":
                await self._ask_for_less(wanted, error)
                return
            raise
        if len(wanted) == 1 and anyio.current_time() < began + SLOW_CLAIM:
            self._grow(next(iter(wanted)))
        taken = dict.fromkeys(wanted, 0)
        for delivery in claim.jobs:
            taken[delivery.queue] += 1
            self._count_claimed(delivery)
        for queue, number in wanted.items():
            if taken[queue] == number or claim.more:
                self._claim_again(queue, woken_by[queue], sweep=claim.more)
                self._awake.set()
        if not claim.known:
            # Reconciling registers this process again.
            self._reconcile.set()
        _log_misses(claim.misses)
        early = any(source == "realtime" and not taken[queue] for queue, source in woken_by.items())
        full = len(claim.jobs) == sum(wanted.values())
        self._schedule_sweep(claim, swept=sweep, full=full, early=early)

    def _choose(self, wanted: dict[str, int]) -> dict[str, int]:
        """Claim from queues whose claims took too long one by one, in turns with all others."""
        careful = [queue for queue in wanted if queue in self._most]
        if not careful:
            return wanted
        others = {queue: number for queue, number in wanted.items() if queue not in self._most}
        self._turn += 1
        queue = careful[self._turn // 2 % len(careful)]
        chosen = others if others and self._turn % 2 else {queue: min(wanted[queue], self._most[queue])}
        if len(chosen) < len(wanted):
            self._awake.set()
        return chosen

    async def _ask_for_less(self, wanted: dict[str, int], error: DatabaseUnavailable | DatabaseError) -> None:
        """After a claim that took too long, ask each of its queues alone, for half as many jobs. A job that can't be
        claimed alone is put aside.

        Raises:
            DatabaseUnavailable: the database does not answer this, either.
        """
        log.warning(
            "claim took too long; the next one is smaller", kind=error.kind, queues=wanted, error=str(error)
        )
        # The claim may have been carried out.
        self._leases.expect_orphans()
        for queue, number in wanted.items():
            self._most[queue] = max(1, number // 2)
        self._awake.set()
        if list(wanted.values()) == [1]:
            (queue,) = wanted
            postponed = await self._store.postpone_next(queue, f"the claim took too long: {error}")
            if postponed and postponed["state"] == "broken":
                log.error(
                    "row can't be claimed; its delivery is broken",
                    queue=queue,
                    job=postponed["key"],
                    error=str(error),
                )

    def _grow(self, queue: str) -> None:
        if queue in self._most:
            self._most[queue] *= 2
            if self._most[queue] >= self._slots[queue].slots:
                del self._most[queue]

    def _claim_again(self, queue: str, woken_by: SourceName | None, *, sweep: bool) -> None:
        slots = self._slots[queue]
        slots.woken_by = slots.woken_by or woken_by
        slots.sweep_due |= sweep

    def _count_claimed(self, delivery: Delivery) -> None:
        slots, metrics = self._slots[delivery.queue], self._metrics.queue(delivery.queue)
        metrics.pickup.observe(max(0.0, delivery.late))
        is_new = delivery.attempt == 1 and delivery.snoozes == 0
        due = time.monotonic() - delivery.late
        if (
            is_new
            and delivery.late > MISSED_AFTER
            and delivery.origin != "reconcile"
            and self._has_source()
            and slots.had_no_event(due - MISSED_AFTER, due)
        ):
            metrics.missed["sweep"].inc()

    def _schedule_sweep(self, claim: Claim, *, swept: bool, full: bool, early: bool) -> None:
        """Decide when to sweep if nothing wakes the dispatcher before.

        Args:
            claim: the last one.
            swept: whether it was a sweep.
            full: whether it brought as many jobs as could start.
            early: whether a queue had no job although Realtime had announced one.
        """
        now = anyio.current_time()
        soon: list[float] = []
        if any(miss.why == "locked" for miss in claim.misses):
            soon.append(LOCKED_RETRY)
        if swept:
            next_lease = float("inf") if claim.next_lease is None else claim.next_lease
            self._lease_ends = now + next_lease
            soon += [max(0.1, seconds) for seconds in (claim.next_due, next_lease) if seconds is not None]
            if self._look_again:
                soon.append(self._look_again.pop(0))
        elif not full:
            # Only a sweep learns when the next job is due or the next lease ends.
            if early:
                self._look_again = list(INVISIBLE_RETRIES)
            elif not claim.jobs and not self._look_again:
                self._look_again = [TAKEN_RETRY]
            soon.append(LEARN_DELAY if claim.jobs else 0.0)
        self._sweep_at = min([self._sweep_at, *(now + max(0.0, seconds) for seconds in soon)])


def _log_misses(misses: list[Miss]) -> None:
    for miss in misses:
        if miss.why == "later":
            log.info("row can't be claimed for now", queue=miss.queue, job=miss.key, error=miss.error)
        if miss.why == "refused":
            log.error(
                "row can't be claimed; its delivery is broken",
                queue=miss.queue,
                job=miss.key,
                error=miss.error,
            )
