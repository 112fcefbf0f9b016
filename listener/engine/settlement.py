"""Write outcomes and progress of attempts in batches.

The term is AMQP's: a delivery is settled when both sides know its outcome
(https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html, section 2.6.12).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from listener.database.model import Answer, Delivery, StopReason, Verb
from listener.database.store import Store
from listener.engine.queue_writer import Calls, Pending, QueueWriter
from listener.errors import DatabaseError, LeaseLost
from listener.metrics import Metrics
from listener.wakeup import Wakeup

log = structlog.get_logger(__name__)

PROGRESS_INTERVAL_SECONDS = 1.0
# Calls at once: of outcomes, of progress, and of slow queues for both.
QUICK_CALLS = 2
QUICK_PROGRESS_CALLS = 1
SLOW_CALLS = 1
# The outcomes that end a job for good. If the table refused an outcome, the job has failed.
_FINAL = {
    ("complete", "ok"): "completed",
    ("complete", "refused"): "failed",
    ("fail", "ok"): "failed",
    ("retry", "spent"): "failed",
}


def notify_nobody(_delivery: Delivery, _event: str, _content: Mapping[str, Any]) -> None:
    """Do nothing, because progress is not broadcast."""


class _LatestProgress:
    """The latest progress of one attempt. Any thread may write it: first the values, then `is_new`."""

    __slots__ = ("delivery", "is_new", "is_sent", "message", "percent")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.percent: float | None = None
        self.message: str | None = None
        self.is_new = False
        self.is_sent = False  # and not answered yet

    def values(self) -> dict[str, Any]:
        return {"percent": self.percent, "message": self.message}


class Settlement:
    """Collect the writes of attempts, and send them in batches.

    Each queue has one writer for outcomes and one for progress, so that no queue waits for another, and the writes of
    one attempt arrive in their order. An idle service writes at once, and a busy one in few statements.

    Args:
        on_lost: called with a fence and `lost` when the database reports that this attempt has lost its job.
        notify: called in the event loop with a delivery, an event and its content for browsers: `progress` with
            percent and message, `finished` with the outcome.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        *,
        on_lost: Callable[[int, StopReason], object],
        notify: Callable[[Delivery, str, Mapping[str, Any]], None],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._on_lost = on_lost
        self._notify = notify
        self._unanswered: set[asyncio.Future[Answer]] = set()
        self._closed = False
        slow = asyncio.Semaphore(SLOW_CALLS)
        self._calls = Calls(QUICK_CALLS, slow)
        self._progress_calls = Calls(QUICK_PROGRESS_CALLS, slow)
        self._writers: dict[tuple[str, bool], QueueWriter] = {}
        self._group: TaskGroup | None = None
        self._progress: dict[int, _LatestProgress] = {}
        self._progressed = Wakeup()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def settle(self, verb: Verb, delivery: Delivery, item: Mapping[str, Any]) -> Answer:
        """Carry out a verb for one attempt, and wait for the answer however long the database is away.

        Raises:
            asyncio.CancelledError: the settlement was closed before there was an answer.
        """
        if self._closed:
            raise asyncio.CancelledError
        pending = Pending(verb, delivery, item)
        self._unanswered.add(pending.answer)
        self._writer(delivery.queue, verb).put(pending)
        try:
            answer = await pending.answer
        finally:
            self._unanswered.discard(pending.answer)
        if answer.outcome == "lost":
            self._metrics.queue(delivery.queue).fenced[verb].inc()
        elif outcome := _FINAL.get((verb, answer.outcome)):
            self._notify(delivery, "finished", {"outcome": outcome})
        return answer

    def close(self) -> None:
        """Cancel every `settle`, now and later."""
        self._closed = True
        for answer in self._unanswered:
            answer.cancel()

    async def write(self, verb: Verb, delivery: Delivery, item: Mapping[str, Any]) -> None:
        """Carry out a verb for a handler that still runs.

        Raises:
            LeaseLost: the attempt has lost its job.
            DatabaseError: the table refused the write.
        """
        answer = await self.settle(verb, delivery, item)
        if answer.outcome == "lost":
            self._on_lost(delivery.fence, "lost")
            raise LeaseLost("the job was cancelled, or its lease moved on")
        if answer.outcome == "refused":
            raise DatabaseError(answer.error or "the table refused it")

    def progress(self, delivery: Delivery, percent: float | None, message: str | None) -> None:
        """Remember the latest progress of an attempt, which is written soon. Any thread may call it."""
        latest = self._progress.setdefault(delivery.fence, _LatestProgress(delivery))
        if percent is not None:
            latest.percent = percent
        if message is not None:
            latest.message = message
        if not latest.is_new:
            latest.is_new = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._progressed.set)

    def end_progress(self, delivery: Delivery) -> dict[str, Any] | None:
        """Forget the progress of an attempt that has ended, and return it unless it was written already."""
        latest = self._progress.pop(delivery.fence, None)
        return latest.values() if latest is not None and latest.is_new else None

    async def run(self) -> None:
        """Write until cancelled."""
        async with anyio.create_task_group() as group:
            self._group = group
            for writer in self._writers.values():
                group.start_soon(writer.run)
            await self._run_progress()

    def _writer(self, queue: str, verb: Verb) -> QueueWriter:
        is_progress = verb == "progress"
        writer = self._writers.get((queue, is_progress))
        if writer is None:
            calls = self._progress_calls if is_progress else self._calls
            writer = self._writers[queue, is_progress] = QueueWriter(queue, self._store.settle, calls)
            if self._group is not None:
                self._group.start_soon(writer.run)
        return writer

    async def _run_progress(self) -> None:
        self._loop = asyncio.get_running_loop()
        while True:
            await self._progressed.wait()
            started = time.monotonic()
            self._send_progress()
            await anyio.sleep(max(0.0, PROGRESS_INTERVAL_SECONDS - (time.monotonic() - started)))

    def _send_progress(self) -> None:
        # Sorted, because the newest of several attempts at one delivery counts.
        for _, progress in sorted(self._progress.items()):
            if progress.is_new and not progress.is_sent:
                progress.is_new, progress.is_sent = False, True
                delivery, values = progress.delivery, progress.values()
                self._notify(delivery, "progress", values)
                pending = Pending("progress", delivery, values, repeats=False)
                pending.answer.add_done_callback(partial(self._take_answer, progress))
                self._writer(delivery.queue, "progress").put(pending)

    def _take_answer(self, progress: _LatestProgress, done: asyncio.Future[Answer]) -> None:
        progress.is_sent = False
        fence = progress.delivery.fence
        if self._progress.get(fence) is not progress:
            # The attempt has ended meanwhile and writes its own outcome.
            return
        answer = done.result()
        match answer.outcome:
            case "lost":
                del self._progress[fence]
                self._metrics.queue(progress.delivery.queue).fenced["progress"].inc()
                self._on_lost(fence, "lost")
                return
            case "locked" | "later":
                progress.is_new = True
            case "refused":
                log.warning("table refused the progress", job=progress.delivery.key, error=answer.error)
        if progress.is_new:
            self._progressed.set()
