"""Runs one attempt: calls the handler, and turns what comes of it into exactly one fenced transition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import anyio

from listener.app import Handler
from listener.database.model import Answer, Delivery
from listener.engine.settlement import Settlement
from listener.errors import Fail, LeaseLost, Retry, Snooze, single
from listener.job import Job
from listener.jsonable import bounded, jsonable
from listener.log import summary, text_of
from listener.metrics import QueueMetrics, RetryReason

LONGEST_DELAY = 365 * 86400.0
# Less would be a loop that does nothing but write.
SHORTEST_SNOOZE = 0.25
_NOTHING = object()

WORTH_A_LINE = 0.5
"""Seconds that a job must have run for its completion to be logged."""


class Attempt:
    """One attempt at one job, from the claim to the settled transition.

    Args:
        timeout: seconds that the handler may take, or None.
        result_column: where a value that is no mapping goes, or None.
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
        self._stopped: str | None = None
        self._reason: RetryReason = "error"

    @property
    def name(self) -> str:
        """Which job it is, for a person."""
        return f"{self.delivery.queue} {self.delivery.key}"

    def stop(self, why: str) -> None:
        """End the handler: `lost` and `cancelled` write nothing more, `timeout` retries, `shutdown` releases."""
        if self._stopped is None:
            self._stopped = why
            self._job._stop(f"the job was stopped: {why}")
            self._scope.cancel()

    async def run(self) -> None:
        """Run the handler; returns when it has, whatever it did. `settle` says what came of it."""
        started = time.perf_counter()
        try:
            self._verb, self._item = await self._perform()
        finally:
            self._unsaid = self._settlement.forget_progress(self.delivery)
            self._job._clean_up()
        self._seconds = time.perf_counter() - started
        self._metrics.run.observe(self._seconds)

    async def settle(self) -> None:
        """Write the outcome of `run`, and count it."""
        if self._job.warnings:
            self._item["warnings"] = self._job.warnings
        if self._verb is None:
            answer = Answer("lost")
        else:
            if self._verb == "snooze" and self._unsaid:
                # The row stays as it is for a while, and nothing else says why.
                await self._settlement.settle("progress", self.delivery, self._unsaid)
            answer = await self._settlement.settle(self._verb, self.delivery, self._item)
        self._count(answer)

    async def _perform(self) -> tuple[str | None, dict[str, Any]]:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._timeout, self.stop, "timeout") if self._timeout else None
        returned: Any = _NOTHING
        try:
            with self._scope:
                returned = await self._call()
        except BaseException as error:
            # Whatever a handler raises, even what no library should, is about its own job.
            if isinstance(error, GeneratorExit):
                raise
            # What a handler raises because it was stopped is no failure of the job.
            if self._stopped is None:
                return self._failed(error)
        finally:
            if timer is not None:
                timer.cancel()
        if self._stopped in {"lost", "cancelled"}:
            return None, {}
        if returned is not _NOTHING:
            return self._returned(returned)
        if self._stopped == "timeout":
            self._reason = "timeout"
            return "retry", {
                "error": f"the handler took longer than its {self._timeout:g} s",
                "kind": "Timeout",
            }
        return "release", {}

    async def _call(self) -> Any:
        if self._handler.is_async:
            return await self._handler.function(self._job)
        # A thread can't be interrupted: the slot stays taken until it has really returned.
        return await anyio.to_thread.run_sync(self._handler.function, self._job, limiter=self._threads)

    def _failed(self, error: BaseException) -> tuple[str | None, dict[str, Any]]:
        # Handlers with task groups of their own raise groups: a single error in one means what it says.
        error = single(error)
        match error:
            case Snooze():
                return "snooze", {"delay": max(SHORTEST_SNOOZE, _within_reason(error.delay))}
            case Fail():
                return "fail", {"error": bounded(text_of(error)), "kind": _kind(error)}
            case Retry():
                self._reason = "asked"
                delay = {} if error.delay is None else {"delay": _within_reason(error.delay)}
                return "retry", {"error": bounded(text_of(error)), "kind": _kind(error), **delay}
            case LeaseLost():
                return None, {}
            case _:
                self._reason = "error"
                self._job.log.warning("the handler raised", error=summary(error), exc_info=error)
                return "retry", {"error": bounded(summary(error)), "kind": _kind(error)}

    def _returned(self, returned: Any) -> tuple[str | None, dict[str, Any]]:
        try:
            return "complete", {"columns": self._columns(returned)}
        except Exception as error:
            return "fail", {"error": bounded(f"the handler's result can't be stored: {text_of(error)}")}

    def _columns(self, returned: Any) -> Mapping[str, Any]:
        if returned is None:
            return {}
        if isinstance(returned, Mapping):
            columns: Mapping[str, Any] = jsonable(returned)
            return columns
        if self._result_column is None:
            raise TypeError(
                f"a value of type {type(returned).__name__} needs a result column, and the queue has none; "
                "return a dict of columns"
            )
        return {self._result_column: jsonable(returned)}

    def _count(self, answer: Answer) -> None:
        finished = self._metrics.finished
        if self._verb == "complete" and answer.outcome == "ok":
            finished["completed"].inc()
            # Binding and writing a line takes longer than the shortest jobs do.
            if self._seconds > WORTH_A_LINE:
                self._job.log.info("job completed", seconds=round(self._seconds, 3))
            return
        logger = self._job.log
        match self._verb, answer.outcome:
            case None, _:
                finished["cancelled" if self._stopped == "cancelled" else "lost"].inc()
                logger.info("job stopped", why=self._stopped or "lost")
            case _, "lost":
                finished["lost"].inc()
                logger.warning("the job was no longer this worker's; what it wrote does not count")
            case (_, "refused") | ("fail", _) | (_, "spent"):
                finished["failed"].inc()
                logger.error("job failed", error=answer.error or self._item.get("error"))
            case "retry", _:
                self._metrics.retries[self._reason].inc()
                logger.info("job is tried again", error=self._item["error"])
            case "snooze", _:
                logger.debug("job snoozed", seconds=self._item["delay"])
            case verb, _:
                logger.info("job given back", how=verb)


def _kind(error: BaseException) -> str:
    """What went wrong, by the name of its class; Fail and Retry only say what is to be done about it."""
    cause = error.__cause__ if isinstance(error, Fail | Retry) else None
    return type(cause or error).__name__


def _within_reason(delay: float) -> float:
    # A number that is none compares with nothing: it is taken for no delay.
    return min(delay, LONGEST_DELAY) if delay > 0 else 0.0
