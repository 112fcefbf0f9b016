"""The attempts that this process runs, and the heartbeats that keep them its own."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog

from listener.database.model import Delivery
from listener.database.store import Store
from listener.errors import DatabaseUnavailable, ListenerError
from listener.metrics import Metrics

log = structlog.get_logger(__name__)


class Leases:
    """Beats for what is held, and stops what was lost.

    Args:
        beat: seconds between heartbeats.
        on_lost: called with a fence and why, when that attempt is over for this process.
    """

    def __init__(
        self, store: Store, worker: str, metrics: Metrics, *, beat: float, on_lost: Callable[[int, str], None]
    ) -> None:
        self._store = store
        self._worker = worker
        self._metrics = metrics
        self._beat = beat
        self._on_lost = on_lost
        self._held: dict[int, Delivery] = {}
        self._needed = anyio.Event()
        self._asked = anyio.Event()
        self._orphans_until = 0.0

    def hold(self, delivery: Delivery) -> None:
        """Name this attempt in heartbeats until it is dropped."""
        if not self._held:
            self._needed.set()
        # By fence: an attempt whose job was restarted here may still run beside the new one.
        self._held[delivery.fence] = delivery

    def drop(self, delivery: Delivery) -> None:
        """The attempt is over, and the database knows it."""
        self._held.pop(delivery.fence, None)

    def holds(self, queue: str) -> bool:
        """Whether a job of this queue runs here."""
        return any(delivery.queue == queue for delivery in self._held.values())

    def ask(self) -> None:
        """Beat at once: somebody may have cancelled a job that runs here."""
        self._asked.set()

    def expect_orphans(self) -> None:
        """A claim's answer was lost: keep beating until the database has taken back what nobody here knows of."""
        self._orphans_until = anyio.current_time() + 4 * self._beat
        self._needed.set()

    async def run(self) -> None:
        """Beat until cancelled; sleeps while nothing is held."""
        while True:
            if not self._held and anyio.current_time() > self._orphans_until:
                await self._needed.wait()
            self._needed = anyio.Event()
            # The lease of a claim is fresh: a beat is due only after a while, unless somebody asks.
            with anyio.move_on_after(self._beat):
                await self._asked.wait()
            self._asked = anyio.Event()
            await self.beat()

    async def beat(self) -> None:
        """One heartbeat; what can't be asked now is asked at the next."""
        named = list(self._held.values())
        if not named and anyio.current_time() > self._orphans_until:
            return
        try:
            lost = await self._store.heartbeat(self._worker, [(one.id, one.fence) for one in named])
        except DatabaseUnavailable as error:
            log.warning("a heartbeat got no answer", error=str(error))
            return
        except ListenerError as error:
            log.error("a heartbeat was refused", error=str(error))
            return
        for one in lost:
            if held := self._held.get(one.fence):
                self._metrics.queue(held.queue).fenced["heartbeat"].inc()
                self._on_lost(one.fence, "cancelled" if one.cancelled else "lost")
