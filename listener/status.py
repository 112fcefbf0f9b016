"""What the engine tells the HTTP side about itself."""

from __future__ import annotations

import time
from collections.abc import Callable


class Status:
    """Written by the engine, read by the HTTP thread.

    Every write replaces one attribute as a whole, so that no reader sees half of it.

    Args:
        worker_id: the id of this process.
        active_jobs: answers how many jobs run now; called from the HTTP thread.
        clock: monotonic seconds.

    Attributes:
        schema_ok: whether the database's `listener` schema is one that this program can work with.
        draining: whether shutdown has begun, so that no job is claimed any more.
        closing: whether the HTTP side ends now, so that answers without an end have to.
        problems: sentences about what needs a person, such as a queue that is broken. Replace the list, don't
            change it.
    """

    def __init__(
        self, worker_id: str, active_jobs: Callable[[], int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.worker_id = worker_id
        self.active_jobs = active_jobs
        self.schema_ok = False
        self.draining = False
        self.closing = False
        self.problems: list[str] = []
        self._clock = clock
        self._started_at = self._last_beat = clock()
        self._disconnected_at: float | None = self._started_at

    @property
    def connected(self) -> bool:
        """Whether the database answered last time it was asked."""
        return self._disconnected_at is None

    @connected.setter
    def connected(self, up: bool) -> None:
        if up:
            self._disconnected_at = None
        elif self._disconnected_at is None:
            self._disconnected_at = self._clock()

    def beat(self) -> None:
        """Say that the main loop turns; `Watchdog.run` does so twice a second."""
        self._last_beat = self._clock()

    @property
    def uptime(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._started_at

    @property
    def silence(self) -> float:
        """Seconds since the main loop was last known to turn."""
        return self._clock() - self._last_beat

    @property
    def disconnected_for(self) -> float:
        """Seconds since the database was lost, or since the start if it was never there; 0 while it is."""
        lost = self._disconnected_at
        return 0.0 if lost is None else self._clock() - lost
