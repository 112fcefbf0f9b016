"""Run one attempt: call the handler, turn what it did into an Outcome, and write that with one fenced verb."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Mapping
from typing import Any

import anyio

from listener.app import Handler
from listener.database.model import Answer, Delivery, Outcome, StopReason
from listener.engine.forks import ended_with_job
from listener.engine.settlement import Settlement
from listener.errors import Fail, LeaseLost, Retry, Snooze, single
from listener.job import Job
from listener.jsonable import bounded, jsonable
from listener.log import summary, text_of
from listener.metrics import QueueMetrics

MAX_DELAY_SECONDS = 365 * 86400.0
# A shorter snooze would be a loop that does nothing but write.
MIN_SNOOZE_SECONDS = 0.25
DESCRIPTORS_DELAY_SECONDS = 5.0
_NOTHING = object()

LOGGED_FROM_SECONDS = 0.5
"""A completed job is logged if its handler ran longer than this."""


class Attempt:
    """One attempt at one job: `run` calls the handler, and `settle` writes the outcome.

    Args:
        timeout: seconds that the handler may take, or None.
        result_column: the column for a result that is no mapping, or None.
    """

    def __init__(
        self,
        delivery: Delivery,
        handler: Handler,
        job: Job,
        settlement: Settlement,
        metrics: QueueMetrics,
        threads: anyio.CapacityLimiter,
        *,
        timeout: float | None,
        result_column: str | None,
    ) -> None:
        self.delivery = delivery
        self._handler = handler
        self._job = job
        self._settlement = settlement
        self._metrics = metrics
        self._threads = threads
        self._timeout = timeout
        self._result_column = result_column
        self._scope = anyio.CancelScope()
        self._stopped: StopReason | None = None

    @property
    def name(self) -> str:
        """Queue and key of the job, for logs."""
        return f"{self.delivery.queue} {self.delivery.key}"

    def stop(self, reason: StopReason) -> None:
        """Cancel the handler. After `lost` and `cancelled` nothing is written, after `timeout` the job is retried, and
        after `shutdown` it is released.
        """
        if self._stopped is None:
            self._stopped = reason
            self._job._stop(f"the job was stopped: {reason}")
            self._scope.cancel()

    async def run(self) -> Outcome:
        """Call the handler, and return the outcome when the handler has returned, even after a timeout. A job whose row
        can't be read is set aside instead.
        """
        if self.delivery.unreadable is not None:
            self._job._clean_up()
            return Outcome("set_aside", {"error": self.delivery.unreadable})
        started = time.perf_counter()
        try:
            outcome = await self._perform()
        finally:
            self._job._clean_up()
        outcome.seconds = time.perf_counter() - started
        self._metrics.run.observe(outcome.seconds)
        return outcome

    async def settle(self, outcome: Outcome) -> None:
        """Write the outcome and count it."""
        progress = self._settlement.end_progress(self.delivery)
        if outcome.verb is None:
            answer = Answer("lost")
        else:
            item = dict(outcome.item)
            if progress and outcome.verb == "complete":
                item["message"] = progress["message"]
            elif progress and outcome.verb in {"fail", "retry", "snooze"}:
                # The row keeps the last progress, and after a snooze only its message can say why the job waits.
                await self._settlement.settle("progress", self.delivery, progress)
            if self._job.warnings:
                item["warnings"] = self._job.warnings
            answer = await self._settlement.settle(outcome.verb, self.delivery, item)
        self._count(outcome, answer)

    async def _perform(self) -> Outcome:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._timeout, self.stop, "timeout") if self._timeout else None
        returned: Any = _NOTHING
        try:
            with self._scope:
                returned = await self._call()
        except BaseException as error:
            # Also SystemExit and other errors that no library should raise concern this job only.
            if isinstance(error, GeneratorExit):
                raise
            # An error that a handler raises because it was stopped is no failure of the job.
            if self._stopped is None:
                return self._failed(error)
        finally:
            if timer is not None:
                timer.cancel()
        if self._stopped in {"lost", "cancelled"}:
            return Outcome(None, stopped=self._stopped)
        if returned is not _NOTHING:
            return self._returned(returned)
        if self._stopped == "timeout":
            item = {"error": f"the handler took longer than its {self._timeout:g} s", "kind": "Timeout"}
            return Outcome("retry", item, retry_reason="timeout")
        return Outcome("release", stopped=self._stopped)

    async def _call(self) -> Any:
        if self._handler.is_async:
            with ended_with_job(in_thread=False):
                return await self._handler.function(self._job)
        # A thread can't be interrupted: the slot stays occupied until the function returns.
        return await anyio.to_thread.run_sync(self._call_plain, limiter=self._threads)

    def _call_plain(self) -> Any:
        with ended_with_job(in_thread=True):
            return self._handler.function(self._job)

    def _failed(self, error: BaseException) -> Outcome:
        # A handler with a task group raises a group: one error alone in it counts as that error.
        error = single(error)
        if _lacks_descriptors(error):
            # The process is at fault and not the job, so this counts as no attempt.
            self._job.log.error("descriptors exhausted", error=summary(error))
            return Outcome("snooze", {"delay": DESCRIPTORS_DELAY_SECONDS})
        match error:
            case Snooze():
                return Outcome("snooze", {"delay": max(MIN_SNOOZE_SECONDS, _limited(error.delay))})
            case Fail():
                return Outcome("fail", {"error": bounded(text_of(error)), "kind": _kind(error)})
            case Retry():
                delay = {} if error.delay is None else {"delay": _limited(error.delay)}
                item = {"error": bounded(text_of(error)), "kind": _kind(error), **delay}
                return Outcome("retry", item, retry_reason="asked")
            case LeaseLost():
                return Outcome(None)
            case _:
                self._job.log.warning("handler raised", error=summary(error), exc_info=error)
                return Outcome("retry", {"error": bounded(summary(error)), "kind": _kind(error)})

    def _returned(self, returned: Any) -> Outcome:
        try:
            return Outcome("complete", {"columns": self._columns(returned)})
        except Exception as error:
            return Outcome(
                "fail", {"error": bounded(f"the handler's result can't be stored: {text_of(error)}")}
            )

    def _columns(self, returned: Any) -> Mapping[str, Any]:
        if returned is None:
            return {}
        if isinstance(returned, Mapping):
            row = self._job.row
            columns: Mapping[str, Any] = jsonable(returned)
            # A handler may return its whole row. Values that it did not change are not written, because no statement
            # can write some of them, such as an identity key.
            return {name: value for name, value in columns.items() if name not in row or row[name] != value}
        if self._result_column is None:
            raise TypeError(
                f"a value of type {type(returned).__name__} needs a result column, and the queue has none; "
                "return a dict of columns"
            )
        return {self._result_column: jsonable(returned)}

    def _count(self, outcome: Outcome, answer: Answer) -> None:
        finished = self._metrics.finished
        if outcome.verb == "complete" and answer.outcome == "ok":
            finished["completed"].inc()
            # Binding a logger and writing a line takes longer than the shortest jobs do.
            if outcome.seconds > LOGGED_FROM_SECONDS:
                self._job.log.info("job completed", seconds=round(outcome.seconds, 3))
            return
        logger = self._job.log
        match outcome.verb, answer.outcome:
            case None, _:
                finished["cancelled" if outcome.stopped == "cancelled" else "lost"].inc()
                logger.info("job stopped", reason=outcome.stopped or "lost")
            case _, "lost":
                finished["lost"].inc()
                logger.warning("outcome rejected, because the attempt had lost its lease", verb=outcome.verb)
            case "set_aside", _:
                finished["failed"].inc()
                logger.error("job can't run; its delivery is broken", error=outcome.item["error"])
            case (_, "refused") | ("fail", _) | (_, "spent"):
                finished["failed"].inc()
                logger.error("job failed", error=answer.error or outcome.item.get("error"))
            case "retry", _:
                self._metrics.retries[outcome.retry_reason].inc()
                logger.info("job retried", error=outcome.item["error"])
            case "snooze", _:
                logger.debug("job snoozed", seconds=outcome.item["delay"])
            case _:
                logger.info("job released", reason=outcome.stopped)


def _kind(error: BaseException) -> str:
    """The class name of the error, or of the cause of a Fail or Retry."""
    cause = error.__cause__ if isinstance(error, Fail | Retry) else None
    return type(cause or error).__name__


def _lacks_descriptors(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, says that no more files can be opened."""
    for _ in range(10):  # causes may form a circle
        if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            return True
        error = error and (error.__cause__ or error.__context__)
    return False


def _limited(delay: float) -> float:
    # NaN is not greater than 0 and becomes no delay.
    return min(delay, MAX_DELAY_SECONDS) if delay > 0 else 0.0
