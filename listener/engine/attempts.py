"""The attempts that run in this process, and how they end when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import anyio
import structlog

from listener.database.model import Delivery
from listener.engine.executor import Attempt

log = structlog.get_logger(__name__)


class Attempts:
    """By fence: an attempt whose job was restarted here may still run beside the new one.

    Each runs in a plain task: one of a task group takes ten times as long to begin, and a job waits for that.
    """

    def __init__(self) -> None:
        self._running: dict[int, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = anyio.Event()
        self._in_a_hurry = False

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, attempt: Attempt, course: Coroutine[Any, Any, None]) -> None:
        """Start what it does from its beginning until it is settled."""
        self._running[attempt.delivery.fence] = attempt
        task = asyncio.create_task(course, name=attempt.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def remove(self, attempt: Attempt) -> None:
        """It is settled."""
        del self._running[attempt.delivery.fence]
        self._tell()

    def stop(self, fence: int, why: str) -> None:
        """End this one, if it runs here; see `Attempt.stop`."""
        if attempt := self._running.get(fence):
            attempt.stop(why)

    def hurry(self) -> None:
        """Let `drain` wait for nobody; may be said before."""
        self._in_a_hurry = True
        self._tell()

    async def drain(self, *, grace: float, last_words: float) -> None:
        """Let them end by themselves for a while, then stop them.

        Args:
            grace: seconds until they are stopped.
            last_words: seconds after that to settle them. A database that is away must not keep the process; the jobs
                go on when their leases end.
        """
        if self._running:
            log.info("shutting down", running=len(self._running), grace=grace)
        with anyio.move_on_after(grace):
            while self._running and not self._in_a_hurry:
                await self._changed.wait()
        for attempt in list(self._running.values()):
            attempt.stop("shutdown")
        with anyio.move_on_after(last_words):
            while self._running:
                await self._changed.wait()

    async def end(self) -> None:
        """Stop those that are left, and wait until they are gone. They must find that nothing is settled any more."""
        for attempt in self._running.values():
            attempt.stop("shutdown")
        with anyio.CancelScope(shield=True):
            while self._tasks:
                await asyncio.wait(self._tasks)

    def names(self) -> list[str]:
        """Which jobs they are, for a person; from any thread."""
        return [attempt.name for attempt in list(self._running.values())]

    def deliveries(self) -> list[Delivery]:
        """What they are about."""
        return [attempt.delivery for attempt in self._running.values()]

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
