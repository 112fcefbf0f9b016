"""Send the writes of one queue to the database, one call at a time, until each has an answer.

docs/decisions/0011-the-error-of-a-call.md has the table of what follows which error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from listener.backoff import delays
from listener.database.model import Answer, Delivery, Verb
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.jsonable import bounded
from listener.wakeup import Wakeup

log = structlog.get_logger(__name__)

MAX_BATCH = 250
SLOW_CALL_SECONDS = 1.0
"""A call that takes longer makes its writer a slow one; after a quicker call the next one may be twice as large."""
LOCKED_RETRY_SECONDS = 0.25
LOCKED_RETRY_MAX_SECONDS = 2.0
# A write that can't be done alone is tried so often; with these pauses that takes about a minute.
SLOW_TRIES = 5
SLOW_RETRY_SECONDS = 4.0
SLOW_RETRY_MAX_SECONDS = 30.0
# A write that other rows refuse, as a unique index does, is tried for about ten minutes; of a handler that waits for
# it, about four seconds.
LATER_TRIES = 16
LATER_TRIES_OF_HANDLERS = 4
LATER_RETRY_SECONDS = 0.5
LATER_RETRY_MAX_SECONDS = 60.0
# The verbs that end an attempt. Their writes are never dropped.
ENDS: frozenset[Verb] = frozenset({"complete", "fail", "retry", "snooze", "release"})
# SQLSTATEs of refusals that end when other rows change. Other refusals that pass, such as a full disk, never end a job.
_OTHER_ROWS = ("23", "40", "55")

Send = Callable[[Verb, list[Mapping[str, Any]]], Awaitable[dict[int, Answer]]]


class Pending:
    """One write, and its answer when there is one.

    Args:
        repeats: whether a write that met a locked row is sent again by the writer.
    """

    __slots__ = ("answer", "delivery", "item", "refusal", "repeats", "tries", "verb")

    def __init__(
        self, verb: Verb, delivery: Delivery, item: Mapping[str, Any], *, repeats: bool = True
    ) -> None:
        self.verb = verb
        self.delivery = delivery.id
        self.item: dict[str, Any] = {"delivery": delivery.id, "fence": delivery.fence, **item}
        self.repeats = repeats
        self.tries = 0
        self.refusal: str | None = None
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def resolve(self, answer: Answer) -> None:
        """End the wait for the answer; a write that took the place of a refused one has that refusal as its answer."""
        if self.refusal is not None and answer.outcome == "ok":
            answer = Answer("refused", self.refusal)
        if not self.answer.done():
            self.answer.set_result(answer)


class Calls:
    """Limit the calls of all writers at once: some quick ones and one slow one, so that no queue delays another."""

    def __init__(self, quick: int, slow: asyncio.Semaphore) -> None:
        self.quick = asyncio.Semaphore(quick)
        self.slow = slow


class QueueWriter:
    """The writes of one queue. The next batch gathers while one is being written.

    After an error of a whole call the next call is half as large, down to one write. One that can't be done alone does
    not stop the others, and is set aside in the end. A call without an answer is sent again, which is safe because each
    write names its fence.

    Args:
        send: calls a verb with a batch, as `Store.settle` does.
    """

    def __init__(self, queue: str, send: Send, calls: Calls) -> None:
        self._queue = queue
        self._send = send
        self._calls = calls
        self._pending: list[Pending] = []
        self._arrived = Wakeup()
        self._size = MAX_BATCH
        self._is_slow = False
        self._backoff = delays()

    def put(self, pending: Pending) -> None:
        """Send a write soon."""
        self._pending.append(pending)
        self._arrived.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._arrived.wait()
            while self._pending:
                await self._flush()

    async def _flush(self) -> None:
        verb = self._pending[0].verb
        batch: dict[int, Pending] = {}
        rest: list[Pending] = []
        for pending in self._pending:
            # A batch names a delivery once. A replaced attempt at it may write beside the new one.
            if pending.verb == verb and len(batch) < self._size and pending.delivery not in batch:
                batch[pending.delivery] = pending
            else:
                rest.append(pending)
        self._pending = rest
        started = time.monotonic()
        try:
            async with self._calls.slow if self._is_slow else self._calls.quick:
                started = time.monotonic()
                answers = await self._send(verb, [pending.item for pending in batch.values()])
        except (DatabaseError, DatabaseUnavailable) as error:
            await self._failed(verb, list(batch.values()), error)
            return
        self._backoff = delays()
        self._is_slow = time.monotonic() - started > SLOW_CALL_SECONDS
        if not self._is_slow:
            self._size = min(MAX_BATCH, 2 * self._size)
        for delivery, pending in batch.items():
            self._answered(pending, answers.get(delivery))

    def _answered(self, pending: Pending, answer: Answer | None) -> None:
        match answer:
            case None:
                self._again(pending, SLOW_RETRY_SECONDS)
            case Answer("locked") if pending.repeats:
                self._again(pending, _growing(LOCKED_RETRY_SECONDS, LOCKED_RETRY_MAX_SECONDS, pending.tries))
            case Answer("later") if pending.repeats:
                most = LATER_TRIES if pending.verb in ENDS else LATER_TRIES_OF_HANDLERS
                if pending.tries >= most and answer.sqlstate.startswith(_OTHER_ROWS):
                    pending.item["last"] = True
                log.info(
                    "outcome refused for now; it is sent again",
                    queue=self._queue,
                    verb=pending.verb,
                    delivery=pending.delivery,
                    error=answer.error,
                )
                self._again(pending, _growing(LATER_RETRY_SECONDS, LATER_RETRY_MAX_SECONDS, pending.tries))
            case _:
                pending.resolve(answer)

    async def _failed(
        self, verb: Verb, batch: list[Pending], error: DatabaseError | DatabaseUnavailable
    ) -> None:
        log.warning(
            "writes of jobs failed; they are sent again",
            kind=error.kind,
            queue=self._queue,
            verb=verb,
            jobs=len(batch),
            error=str(error),
        )
        self._is_slow = error.kind == "slow"
        self._size = max(1, len(batch) // 2)
        if len(batch) > 1:
            self._pending[:0] = batch
            if error.kind in {"slow", "refused"}:
                return
        else:
            (pending,) = batch
            if error.kind == "refused" and verb != "set_aside":
                self._refuse(pending, error)
                return
            if error.kind == "slow" and await self._responds():
                self._refuse_slow(pending, error)
                return
            self._pending.append(pending)
        # Not every error of an unknown kind is one of the database as a whole: the others come first.
        await asyncio.sleep(next(self._backoff))

    def _refuse(self, pending: Pending, error: DatabaseError | DatabaseUnavailable) -> None:
        """End the job whose outcome was refused, because it would otherwise run again and again."""
        if pending.verb not in ENDS:
            pending.resolve(Answer("refused", str(error)))
            return
        own = pending.item.get("error")
        text = f"the database refused the outcome: {error}"
        self._replace(
            pending, "set_aside" if pending.verb == "fail" else "fail", f"{own} ({text})" if own else text
        )

    def _refuse_slow(self, pending: Pending, error: DatabaseError | DatabaseUnavailable) -> None:
        pending.tries += 1
        if pending.tries < SLOW_TRIES or pending.verb == "set_aside":
            self._again(
                pending, _growing(SLOW_RETRY_SECONDS, SLOW_RETRY_MAX_SECONDS, pending.tries), counts=False
            )
        elif pending.verb not in ENDS:
            pending.resolve(Answer("refused", str(error)))
        else:
            own = pending.item.get("error")
            text = f"the row could not be written in {SLOW_TRIES} tries: {error}"
            self._replace(pending, "set_aside", f"{own} ({text})" if own else text)

    def _replace(self, pending: Pending, verb: Verb, error: str) -> None:
        pending.verb, pending.tries = verb, 0
        names = {name: pending.item[name] for name in ("delivery", "fence")}
        pending.item = {**names, "error": bounded(error)}
        pending.refusal = error
        self.put(pending)

    def _again(self, pending: Pending, delay: float, *, counts: bool = True) -> None:
        pending.tries += counts
        asyncio.get_running_loop().call_later(delay, self.put, pending)

    async def _responds(self) -> bool:
        """Return whether the database answers other calls, so that what it did not answer is slow by itself."""
        try:
            await self._send("release", [])
        except (DatabaseError, DatabaseUnavailable):
            return False
        return True


def _growing(first: float, most: float, tries: int) -> float:
    return float(min(most, first * 2 ** min(tries, 20)))
