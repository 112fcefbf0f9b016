"""What a handler sees of its job."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog

from listener.database.model import Delivery, Verb
from listener.errors import LeaseLost
from listener.jsonable import bounded, jsonable


class Writer(Protocol):
    """How a job's writes reach the database; every one names the job's fence."""

    def progress(self, delivery: Delivery, percent: float | None, message: str | None) -> None: ...

    async def write(self, verb: Verb, delivery: Delivery, item: Mapping[str, Any]) -> None: ...


class Job:
    """One attempt at one job.

    Attributes:
        queue: the queue's name.
        key: the row's key, as text.
        row: the user's row right after the claim, in JSON types; times are ISO 8601 texts.
        attempt: which attempt this is, from 1.
        max_attempts: how many there may be.
        fence: the number of this attempt that no other has, higher than that of any earlier one.
        snoozes: how often the job has been snoozed.
        waited: seconds since the job was first due.
        reached: the stage that was reached, or None before the first `stage`.
        saved: the last checkpoint, or None.
        log: a structlog logger bound to worker, queue, job and attempt.
    """

    def __init__(
        self, delivery: Delivery, writer: Writer, *, log: Any = None, temp_dir: Path | None = None
    ) -> None:
        self._delivery = delivery
        self._writer = writer
        self._temp_dir = temp_dir
        self._workdir: tempfile.TemporaryDirectory[str] | None = None
        self._percent = 0.0
        self._stopped: str | None = None
        self.queue: str = delivery.queue
        self.key: str = delivery.key
        self.row: Mapping[str, Any] = delivery.row
        self.attempt: int = delivery.attempt
        self.max_attempts: int = delivery.max_attempts
        self.fence: int = delivery.fence
        self.snoozes: int = delivery.snoozes
        self.waited: float = delivery.waited
        self.reached: str | None = delivery.reached
        self.saved: Any = delivery.saved
        self.warnings: list[str] = []
        self._log = log

    @property
    def log(self) -> Any:
        if self._log is None:
            self._log = structlog.get_logger("listener.job")
        return self._log.bind(queue=self.queue, job=self.key, attempt=self.attempt)

    @property
    def workdir(self) -> Path:
        """A scratch folder of this attempt, made when first asked for and removed when the attempt is over."""
        if self._workdir is None:
            self._workdir = tempfile.TemporaryDirectory(
                prefix="job-", dir=self._temp_dir, ignore_cleanup_errors=True
            )
        return Path(self._workdir.name)

    def progress(self, percent: float | None, message: str | None = None) -> None:
        """Show how far the job is. Never waits, and may be called from any thread and as often as one likes: the
        last value is written about once a second.

        Args:
            percent: 0 to 100; never goes back within an attempt, and 100 comes with the done word. None leaves it.
            message: a few words for the person who waits, where the table has a column for them.
        """
        if percent is not None:
            self._percent = max(self._percent, min(float(percent), 99.0))
            percent = self._percent
        self._writer.progress(self._delivery, percent, bounded(message, 500) if message is not None else None)

    def warn(self, text: str) -> None:
        """Say that something was left out or done otherwise; it is logged and kept with the attempt."""
        self.warnings.append(bounded(text, 1000))
        self.log.warning(text)

    async def stage(self, word: str, /, **columns: Any) -> None:
        """Move the row to another of its running words, together with these columns. A later attempt finds the
        word in `reached` and the columns in `row`.

        Raises:
            LeaseLost: the job is no longer this attempt's.
            DatabaseError: the table refused the columns, or the word is no stage of the queue.
        """
        await self._writer.write("stage", self._delivery, {"stage": word, "columns": jsonable(columns)})
        self.reached = word
        self.row = {**self.row, **columns}

    async def checkpoint(self, value: Any) -> None:
        """Keep a JSON value for a later attempt, which finds it in `saved`; browsers don't see it.

        Raises:
            LeaseLost: the job is no longer this attempt's.
        """
        await self._writer.write("checkpoint", self._delivery, {"value": jsonable(value)})
        self.saved = value

    def check(self) -> None:
        """For plain `def` handlers, which can't be interrupted: call it now and then.

        Raises:
            LeaseLost: the job should stop; nothing that it writes counts any more.
        """
        if self._stopped is not None:
            raise LeaseLost(self._stopped)

    def _stop(self, why: str) -> None:
        """Make `check` raise; called by the executor."""
        self._stopped = why

    def _clean_up(self) -> None:
        """Remove the scratch folder."""
        if self._workdir is not None:
            self._workdir.cleanup()
