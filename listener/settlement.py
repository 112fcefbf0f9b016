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
from listener.errors import DatabaseError, DatabaseUnavailable, LeaseLost
from listener.metrics import Metrics
from listener.model import Answer, Delivery
from listener.store import Store

log = structlog.get_logger(__name__)

LARGEST_BATCH = 250
LOCKED_PAUSE = 0.25
PROGRESS_PAUSE = 1.0


class _Pending:
    __slots__ = ("answer", "item", "settled", "verb")

    def __init__(self, verb: str, item: Mapping[str, Any]) -> None:
        self.verb = verb
        self.item = item
        self.settled = anyio.Event()
        self.answer = Answer("lost")


class Settlement:
    """Collects what attempts have to say. While one batch is on its way the next one gathers, so a quiet service
    writes at once and a busy one in few statements. Nothing is dropped: what got no answer is said again, which
    the fence makes safe.
    """

    def __init__(self, store: Store, metrics: Metrics, *, on_lost: Callable[[int, str], None]) -> None:
        self._store = store
        self._metrics = metrics
        self._on_lost = on_lost
        self._pending: list[_Pending] = []
        self._arrived = anyio.Event()
        self._progress: dict[int, tuple[Delivery, float | None, str | None]] = {}
        self._moved = anyio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def settle(self, verb: str, delivery: Delivery, item: Mapping[str, Any]) -> Answer:
        """Carry out one verb for one attempt, however long the database is away."""
        pending = _Pending(verb, {"delivery": delivery.id, "fence": delivery.fence, **item})
        self._pending.append(pending)
        self._arrived.set()
        await pending.settled.wait()
        if pending.answer.outcome == "lost":
            self._metrics.queue(delivery.queue).fenced[verb].inc()  # type: ignore[index]
        return pending.answer

    async def write(self, verb: str, delivery: Delivery, item: Mapping[str, Any]) -> None:
        """As `settle`, for handlers: raises LeaseLost or DatabaseError unless it was done."""
        answer = await self.settle(verb, delivery, item)
        if answer.outcome == "lost":
            self._on_lost(delivery.id, "lost")
            raise LeaseLost("the job was cancelled, or its lease moved on")
        if answer.outcome == "refused":
            raise DatabaseError(answer.error or "the table refused it")

    def progress(self, delivery: Delivery, percent: float | None, message: str | None) -> None:
        """Remember the latest progress of an attempt; safe from any thread."""
        first = not self._progress
        _, old_percent, old_message = self._progress.get(delivery.id, (delivery, None, None))
        self._progress[delivery.id] = (
            delivery,
            old_percent if percent is None else percent,
            old_message if message is None else message,
        )
        if first and self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: self._moved.set())

    def forget_progress(self, delivery: Delivery) -> None:
        """The attempt is over; its final word says the rest."""
        self._progress.pop(delivery.id, None)

    async def run(self) -> None:
        """Write until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._run_progress)
            while True:
                await self._arrived.wait()
                self._arrived = anyio.Event()
                while self._pending:
                    batch, self._pending = self._pending[:LARGEST_BATCH], self._pending[LARGEST_BATCH:]
                    await self._flush(batch, group)

    async def _flush(self, batch: list[_Pending], group: TaskGroup) -> None:
        by_verb: dict[str, list[_Pending]] = {}
        for pending in batch:
            by_verb.setdefault(pending.verb, []).append(pending)
        for verb, members in by_verb.items():
            answers = await self._call(verb, [pending.item for pending in members])
            locked = []
            for pending in members:
                answer = answers.get(pending.item["delivery"], Answer("lost"))
                if answer.outcome == "locked":
                    locked.append(pending)
                else:
                    pending.answer = answer
                    pending.settled.set()
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
                log.warning("what jobs have to say got no answer; it is said again", verb=verb, jobs=len(items), error=str(error))
                await anyio.sleep(delay)
            except DatabaseError as error:
                if len(items) == 1:
                    return {items[0]["delivery"]: Answer("refused", str(error))}
                # The call as a whole was refused: one of its items can't even be read. Find it.
                answers: dict[int, Answer] = {}
                for item in items:
                    answers |= await self._call(verb, [item])
                return answers
        raise AssertionError("delays never end")

    async def _run_progress(self) -> None:
        self._loop = asyncio.get_running_loop()
        while True:
            await self._moved.wait()
            self._moved = anyio.Event()
            started = time.monotonic()
            await self._flush_progress()
            await anyio.sleep(max(0.0, PROGRESS_PAUSE - (time.monotonic() - started)))

    async def _flush_progress(self) -> None:
        latest, self._progress = self._progress, {}
        items = [
            {"delivery": delivery.id, "fence": delivery.fence, "percent": percent, "message": message}
            for delivery, percent, message in latest.values()
        ]
        if not items:
            return
        try:
            answers = await self._store.settle("progress", items)
        except (DatabaseUnavailable, DatabaseError) as error:
            log.warning("progress could not be written", error=str(error))
            return
        for number, answer in answers.items():
            if answer.outcome == "lost":
                self._metrics.queue(latest[number][0].queue).fenced["progress"].inc()
                self._on_lost(number, "lost")
            elif answer.outcome == "refused":
                log.warning("the table refused a progress", job=latest[number][0].key, error=answer.error)
