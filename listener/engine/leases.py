"""Extend the leases of running attempts by heartbeats, and stop the attempts that have lost theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import structlog

from listener.database.store import Store
from listener.engine.attempts import Attempts
from listener.errors import DatabaseUnavailable, ListenerError
from listener.metrics import Metrics
from listener.wakeup import Wakeup

log = structlog.get_logger(__name__)

# The first learns which fences are known, the second gives back; the others are for a claim that arrives late.
BEATS_FOR_ORPHANS = 4


class Leases:
    """Send heartbeats for the attempts that this process runs.

    Args:
        beat: seconds between heartbeats.
    """

    def __init__(
        self, store: Store, worker: str, attempts: Attempts, metrics: Metrics, *, beat: float
    ) -> None:
        self._store = store
        self._worker = worker
        self._attempts = attempts
        self._metrics = metrics
        self._beat = beat
        self._needed = Wakeup()
        self._early = Wakeup()
        self._beats_for_orphans = 0
        self._claiming: set[object] = set()
        self._known = 0
        self._next_known: tuple[int, set[object]] | None = None

    def keep(self) -> None:
        """Send heartbeats from now on, because attempts have started."""
        self._needed.set()

    def beat_soon(self) -> None:
        """Send a heartbeat now, because a job that runs here may have been cancelled."""
        self._early.set()

    def expect_orphans(self) -> None:
        """Send some heartbeats even if nothing runs, because the answer of a claim was lost. The database gives back
        the jobs of this process that its heartbeats do not name.
        """
        self._beats_for_orphans = BEATS_FOR_ORPHANS
        self._needed.set()

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Leave the jobs of a claim alone while its answer is on its way: a heartbeat that was composed before the
        answer may arrive after it.
        """
        claim = object()
        self._claiming.add(claim)
        try:
            yield
        finally:
            self._claiming.discard(claim)
            if self._next_known is not None:
                self._next_known[1].discard(claim)
            self._learn()

    async def run(self) -> None:
        """Send heartbeats until cancelled; sleep while nothing runs."""
        while True:
            if not self._is_needed():
                await self._needed.wait()
            # A claim sets a full lease, so the first heartbeat is due one interval later.
            with anyio.move_on_after(self._beat):
                await self._early.wait()
            await self.beat()

    async def beat(self) -> None:
        """Send one heartbeat. If the database does not answer, the next heartbeat does the same work."""
        if not self._is_needed():
            return
        held = {one.fence: one for one in self._attempts.held()}
        try:
            lost = await self._store.heartbeat(
                self._worker, [(one.id, one.fence) for one in held.values()], known=self._known
            )
        except DatabaseUnavailable as error:
            log.warning("heartbeat not answered", kind=error.kind, error=str(error))
            return
        except ListenerError as error:
            log.error("heartbeat refused", error=str(error))
            return
        # Claims that begin from now on get newer fences; of those under way, the fences are not known yet.
        self._next_known = self._store.newest_fence, set(self._claiming)
        self._learn()
        self._beats_for_orphans = max(0, self._beats_for_orphans - 1)
        for one in lost:
            if self._attempts.stop(one.fence, "cancelled" if one.cancelled else "lost"):
                self._metrics.queue(held[one.fence].queue).fenced["heartbeat"].inc()

    def _learn(self) -> None:
        if self._next_known is not None and not self._next_known[1]:
            self._known, self._next_known = self._next_known[0], None

    def _is_needed(self) -> bool:
        return len(self._attempts) > 0 or self._beats_for_orphans > 0
