"""The state of the engine, for its HTTP side."""

from __future__ import annotations

import time
from collections.abc import Callable


class Status:
    """State that the engine writes and the HTTP thread reads.

    Every write replaces one attribute as a whole, so that no reader sees half a change.

    Args:
        worker_id: the id of this process.
        active_jobs: returns how many jobs run now; called from the HTTP thread.
        clock: monotonic seconds.

    Attributes:
        schema_ok: whether the database's `listener` schema is one that this program can work with.
        draining: whether shutdown has begun, so that no job is claimed any more.
        closing: whether the HTTP side ends now, so that endless responses must end.
        problems: sentences about problems that a person must solve, such as a queue without a table. Replace the list
            instead of changing it.
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
        """Whether the database answered the last call."""
        return self._disconnected_at is None

    @connected.setter
    def connected(self, up: bool) -> None:
        if up:
            self._disconnected_at = None
        elif self._disconnected_at is None:
            self._disconnected_at = self._clock()

    def beat(self) -> None:
        """Record that the main loop runs; `Watchdog.run` calls this twice a second."""
        self._last_beat = self._clock()

    @property
    def uptime(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._started_at

    @property
    def silence(self) -> float:
        """Seconds since the last `beat`."""
        return self._clock() - self._last_beat

    @property
    def disconnected_for(self) -> float:
        """Seconds since the database stopped to answer, or since the start if it never answered; 0 while it does."""
        lost = self._disconnected_at
        return 0.0 if lost is None else self._clock() - lost
