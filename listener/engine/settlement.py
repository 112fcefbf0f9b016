"""Writes how attempts ended, and what they say while they run, in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from listener.backoff import delays
from listener.database.model import Answer, Delivery
from listener.database.store import Store
from listener.errors import DatabaseError, DatabaseUnavailable, LeaseLost
from listener.jsonable import bounded
from listener.metrics import Metrics

log = structlog.get_logger(__name__)

LARGEST_BATCH = 250
LOCKED_PAUSE = 0.25
PROGRESS_PAUSE = 1.0
_ENDS = {"complete", "retry", "snooze", "release"}
# What ends a job for good, by verb and answer. An outcome that the table refused has failed the job.
_FINAL = {
    ("complete", "ok"): "completed",
    ("complete", "refused"): "failed",
    ("fail", "ok"): "failed",
    ("retry", "spent"): "failed",
}


def tell_nobody(_delivery: Delivery, _event: str, _news: Mapping[str, Any]) -> None:
    """Where browsers only watch the row."""


class _Pending:
    __slots__ = ("answer", "delivery", "item", "verb")

    def __init__(self, verb: str, delivery: Delivery, item: Mapping[str, Any]) -> None:
        self.verb = verb
        self.delivery = delivery.id
        self.item = {"delivery": delivery.id, "fence": delivery.fence, **item}
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class _Progress:
    """The latest of one attempt. Written from any thread: the values first, then whether they are new."""

    __slots__ = ("delivery", "is_new", "message", "percent")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.percent: float | None = None
        self.message: str | None = None
        self.is_new = False


class Settlement:
    """Collects what attempts have to say. While one batch is on its way the next one gathers, so a quiet service
    writes at once and a busy one in few statements. Nothing is dropped: what got no answer is said again, which
    the fence makes safe.

    Args:
        on_lost: called with the fence of an attempt that is over for this process, and why.
        tell: called in the event loop with a delivery, an event and what browsers may know of it: `progress` with
            percent and message, `finished` with the outcome.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        *,
        on_lost: Callable[[int, str], None],
        tell: Callable[[Delivery, str, Mapping[str, Any]], None],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._on_lost = on_lost
        self._tell = tell
        self._pending: list[_Pending] = []
        self._unanswered: set[asyncio.Future[Answer]] = set()
        self._closed = False
        self._arrived = anyio.Event()
        self._progress: dict[int, _Progress] = {}
        self._moved = anyio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def settle(self, verb: str, delivery: Delivery, item: Mapping[str, Any]) -> Answer:
        """Carry out one verb for one attempt, however long the database is away.

        Raises:
            asyncio.CancelledError: the service ends without an answer.
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
            self._metrics.queue(delivery.queue).fenced[verb].inc()  # type: ignore[index]
        elif outcome := _FINAL.get((verb, answer.outcome)):
            self._tell(delivery, "finished", {"outcome": outcome})
        return answer

    def close(self) -> None:
        """Let nobody wait for an answer any more, now or later."""
        self._closed = True
        for answer in self._unanswered:
            answer.cancel()

    async def write(self, verb: str, delivery: Delivery, item: Mapping[str, Any]) -> None:
        """As `settle`, for handlers: raises LeaseLost or DatabaseError unless it was done."""
        answer = await self.settle(verb, delivery, item)
        if answer.outcome == "lost":
            self._on_lost(delivery.fence, "lost")
            raise LeaseLost("the job was cancelled, or its lease moved on")
        if answer.outcome == "refused":
            raise DatabaseError(answer.error or "the table refused it")

    def progress(self, delivery: Delivery, percent: float | None, message: str | None) -> None:
        """Remember the latest progress of an attempt; safe from any thread."""
        latest = self._progress.setdefault(delivery.fence, _Progress(delivery))
        if percent is not None:
            latest.percent = percent
        if message is not None:
            latest.message = message
        if not latest.is_new:
            latest.is_new = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._moved.set)

    def forget_progress(self, delivery: Delivery) -> dict[str, Any] | None:
        """The attempt is over; answers what of its progress is not written yet."""
        latest = self._progress.pop(delivery.fence, None)
        if latest is None or not latest.is_new:
            return None
        return {"percent": latest.percent, "message": latest.message}

    async def run(self) -> None:
        """Write until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._run_progress)
            while True:
                await self._arrived.wait()
                self._arrived = anyio.Event()
                while self._pending:
                    await self._flush(group)

    async def _flush(self, group: TaskGroup) -> None:
        batch, self._pending = self._pending[:LARGEST_BATCH], self._pending[LARGEST_BATCH:]
        by_verb: dict[str, dict[int, _Pending]] = {}
        # A verb takes one item of each delivery: an attempt that was replaced may speak beside the new one.
        self._pending[:0] = [
            pending
            for pending in batch
            if by_verb.setdefault(pending.verb, {}).setdefault(pending.delivery, pending) is not pending
        ]
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
                group.start_soon(self._later, locked)

    async def _later(self, locked: list[_Pending]) -> None:
        await anyio.sleep(LOCKED_PAUSE)
        self._pending.extend(locked)
        self._arrived.set()

    async def _call(self, verb: str, items: list[Mapping[str, Any]]) -> dict[int, Answer]:
        for delay in delays():
            try:
                return await self._store.settle(verb, items)
            except DatabaseUnavailable as error:
                log.warning(
                    "what jobs have to say got no answer; it is said again",
                    verb=verb,
                    jobs=len(items),
                    error=str(error),
                )
                await anyio.sleep(delay)
            except DatabaseError as error:
                # The call as a whole was refused: one of its items can't even be read. Find it.
                if len(items) == 1:
                    return await self._refused(verb, items[0], str(error))
                answers: dict[int, Answer] = {}
                for item in items:
                    answers |= await self._call(verb, [item])
                return answers
        raise AssertionError("delays never end")

    async def _refused(self, verb: str, item: Mapping[str, Any], error: str) -> dict[int, Answer]:
        """Nothing was changed: fail the job whose end was refused, that it is not run over and over."""
        delivery = item["delivery"]
        if verb in _ENDS:
            why = bounded(f"the database refused the outcome: {error}")
            answer = (await self._call("fail", [{**_name(item), "error": why}]))[delivery]
            if answer.outcome != "ok":
                return {delivery: answer}
        return {delivery: Answer("refused", error)}

    async def _run_progress(self) -> None:
        self._loop = asyncio.get_running_loop()
        while True:
            await self._moved.wait()
            self._moved = anyio.Event()
            started = time.monotonic()
            await self._flush_progress()
            await anyio.sleep(max(0.0, PROGRESS_PAUSE - (time.monotonic() - started)))

    async def _flush_progress(self) -> None:
        items: dict[int, Mapping[str, Any]] = {}
        latest: dict[int, _Progress] = {}
        # Of attempts at one delivery the newest counts.
        for fence, progress in sorted(self._progress.items()):
            if progress.is_new:
                progress.is_new = False
                delivery = progress.delivery.id
                self._tell(
                    progress.delivery,
                    "progress",
                    {"percent": progress.percent, "message": progress.message},
                )
                latest[delivery] = progress
                items[delivery] = {
                    "delivery": delivery,
                    "fence": fence,
                    "percent": progress.percent,
                    "message": progress.message,
                }
        if not items:
            return
        try:
            answers = await self._store.settle("progress", list(items.values()))
        except DatabaseUnavailable as error:
            log.warning("progress got no answer; it is written later", error=str(error))
            answers = dict.fromkeys(items, Answer("locked"))
        except DatabaseError as error:
            log.warning("progress could not be written", error=str(error))
            return
        for delivery, answer in answers.items():
            self._answered(latest[delivery], answer)

    def _answered(self, progress: _Progress, answer: Answer) -> None:
        fence = progress.delivery.fence
        if self._progress.get(fence) is not progress:
            # The attempt has ended meanwhile, and said so itself.
            return
        match answer.outcome:
            case "lost":
                del self._progress[fence]
                self._metrics.queue(progress.delivery.queue).fenced["progress"].inc()
                self._on_lost(fence, "lost")
            case "locked":
                progress.is_new = True
                self._moved.set()
            case "refused":
                log.warning("the table refused a progress", job=progress.delivery.key, error=answer.error)


def _name(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"delivery": item["delivery"], "fence": item["fence"]}
