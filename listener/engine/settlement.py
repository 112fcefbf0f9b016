"""Write outcomes and progress of attempts in batches.

The term is AMQP's: a delivery is settled when both sides know its outcome
(https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html, section 2.6.12).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from listener.backoff import delays
from listener.database.model import Answer, Delivery, StopReason, Verb
from listener.database.store import Store
from listener.errors import DatabaseError, DatabaseUnavailable, LeaseLost
from listener.jsonable import bounded
from listener.metrics import Metrics
from listener.wakeup import Wakeup

log = structlog.get_logger(__name__)

MAX_BATCH = 250
LOCKED_RETRY_SECONDS = 0.25
PROGRESS_INTERVAL_SECONDS = 1.0
# The verbs whose refusal fails the job. A refused `fail` is not sent again as another `fail`.
_ENDS: frozenset[Verb] = frozenset({"complete", "retry", "snooze", "release"})
# The outcomes that end a job for good. If the table refused an outcome, the job has failed.
_FINAL = {
    ("complete", "ok"): "completed",
    ("complete", "refused"): "failed",
    ("fail", "ok"): "failed",
    ("retry", "spent"): "failed",
}


def notify_nobody(_delivery: Delivery, _event: str, _content: Mapping[str, Any]) -> None:
    """Do nothing, because progress is not broadcast."""


class _Pending:
    __slots__ = ("answer", "delivery", "item", "verb")

    def __init__(self, verb: Verb, delivery: Delivery, item: Mapping[str, Any]) -> None:
        self.verb = verb
        self.delivery = delivery.id
        self.item = {"delivery": delivery.id, "fence": delivery.fence, **item}
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class _LatestProgress:
    """The latest progress of one attempt. Any thread may write it: first the values, then `is_new`."""

    __slots__ = ("delivery", "is_new", "message", "percent")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.percent: float | None = None
        self.message: str | None = None
        self.is_new = False

    def values(self) -> dict[str, Any]:
        return {"percent": self.percent, "message": self.message}


class Settlement:
    """Collect the writes of attempts, and send them in batches.

    The next batch gathers while one is being written: an idle service writes at once, and a busy one in few
    statements. A batch without an answer is sent again, which is safe because each write names its fence.

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
        self._pending: list[_Pending] = []
        self._unanswered: set[asyncio.Future[Answer]] = set()
        self._closed = False
        self._arrived = Wakeup()
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
        pending = _Pending(verb, delivery, item)
        self._pending.append(pending)
        self._unanswered.add(pending.answer)
        self._arrived.set()
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
            group.start_soon(self._run_progress)
            while True:
                await self._arrived.wait()
                while self._pending:
                    await self._flush(group)

    async def _flush(self, group: TaskGroup) -> None:
        batch, self._pending = self._pending[:MAX_BATCH], self._pending[MAX_BATCH:]
        by_verb: dict[Verb, dict[int, _Pending]] = {}
        later: list[_Pending] = []
        for pending in batch:
            members = by_verb.setdefault(pending.verb, {})
            # A batch names a delivery once. A replaced attempt at it may write beside the new one.
            if pending.delivery in members:
                later.append(pending)
            else:
                members[pending.delivery] = pending
        self._pending[:0] = later
        for verb, members in by_verb.items():
            answers = await self._call(verb, [pending.item for pending in members.values()])
            locked = []
            for delivery, pending in members.items():
                answer = answers.get(delivery, Answer("lost"))
                if answer.outcome == "locked":
                    locked.append(pending)
                elif not pending.answer.done():
                    pending.answer.set_result(answer)
            if locked:
                group.start_soon(self._retry_locked, locked)

    async def _retry_locked(self, locked: list[_Pending]) -> None:
        await anyio.sleep(LOCKED_RETRY_SECONDS)
        self._pending.extend(locked)
        self._arrived.set()

    async def _call(self, verb: Verb, items: list[Mapping[str, Any]]) -> dict[int, Answer]:
        for delay in delays():
            try:
                return await self._store.settle(verb, items)
            except DatabaseUnavailable as error:
                log.warning(
                    "database did not answer; outcomes are sent again",
                    verb=verb,
                    jobs=len(items),
                    error=str(error),
                )
                await anyio.sleep(delay)
            except DatabaseError as error:
                # The database refused the whole call, because it can't read one of the items: find that one.
                if len(items) == 1:
                    return await self._refused(verb, items[0], str(error))
                answers: dict[int, Answer] = {}
                for item in items:
                    answers |= await self._call(verb, [item])
                return answers
        raise AssertionError("delays never end")

    async def _refused(self, verb: Verb, item: Mapping[str, Any], error: str) -> dict[int, Answer]:
        """Fail the job whose outcome was refused, because it would otherwise run again and again."""
        delivery = item["delivery"]
        if verb in _ENDS:
            text = bounded(f"the database refused the outcome: {error}")
            failure = {"delivery": delivery, "fence": item["fence"], "error": text}
            answer = (await self._call("fail", [failure]))[delivery]
            if answer.outcome != "ok":
                return {delivery: answer}
        return {delivery: Answer("refused", error)}

    async def _run_progress(self) -> None:
        self._loop = asyncio.get_running_loop()
        while True:
            await self._progressed.wait()
            started = time.monotonic()
            await self._flush_progress()
            await anyio.sleep(max(0.0, PROGRESS_INTERVAL_SECONDS - (time.monotonic() - started)))

    async def _flush_progress(self) -> None:
        items: dict[int, Mapping[str, Any]] = {}
        latest: dict[int, _LatestProgress] = {}
        # Sorted, because the newest of several attempts at one delivery counts.
        for fence, progress in sorted(self._progress.items()):
            if progress.is_new:
                progress.is_new = False
                delivery, values = progress.delivery, progress.values()
                self._notify(delivery, "progress", values)
                latest[delivery.id] = progress
                items[delivery.id] = {"delivery": delivery.id, "fence": fence, **values}
        if not items:
            return
        try:
            answers = await self._store.settle("progress", list(items.values()))
        except DatabaseUnavailable as error:
            log.warning("database did not answer; progress is sent again", error=str(error))
            answers = dict.fromkeys(items, Answer("locked"))
        except DatabaseError as error:
            log.warning("database refused the progress of jobs", jobs=len(items), error=str(error))
            return
        for delivery_id, answer in answers.items():
            self._take_answer(latest[delivery_id], answer)

    def _take_answer(self, progress: _LatestProgress, answer: Answer) -> None:
        fence = progress.delivery.fence
        if self._progress.get(fence) is not progress:
            # The attempt has ended meanwhile and writes its own outcome.
            return
        match answer.outcome:
            case "lost":
                del self._progress[fence]
                self._metrics.queue(progress.delivery.queue).fenced["progress"].inc()
                self._on_lost(fence, "lost")
            case "locked":
                progress.is_new = True
                self._progressed.set()
            case "refused":
                log.warning("table refused the progress", job=progress.delivery.key, error=answer.error)
