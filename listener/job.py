"""The job that a handler is called with."""

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
    """Writes the progress and the state of a job to the database; each write names the job's fence."""

    def progress(self, delivery: Delivery, percent: float | None, message: str | None) -> None: ...

    async def write(self, verb: Verb, delivery: Delivery, item: Mapping[str, Any]) -> None: ...


class Job:
    """One attempt at one job.

    Attributes:
        queue: the queue's name.
        key: the row's key, as text.
        row: the row right after the claim, in JSON types; times are ISO 8601 texts.
        attempt: the number of this attempt; 1 for the first.
        max_attempts: the number of attempts that the queue allows.
        fence: a number that is unique to this attempt and higher than that of all earlier attempts.
        snoozes: how often the job has been snoozed.
        waited: seconds since the job was first due.
        reached: the stage that the job has reached, or None before the first `stage`.
        saved: the last checkpoint, or None.
        warnings: the texts passed to `warn`, in order.
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
        """A structlog logger that adds worker, queue, job and attempt to each line."""
        if self._log is None:
            self._log = structlog.get_logger("listener.job")
        return self._log.bind(queue=self.queue, job=self.key, attempt=self.attempt)

    @property
    def workdir(self) -> Path:
        """A scratch folder of this attempt, made at the first use and removed after the attempt.

        Raises:
            OSError: the folder can't be made.
        """
        if self._workdir is None:
            self._workdir = tempfile.TemporaryDirectory(
                prefix="job-", dir=self._temp_dir, ignore_cleanup_errors=True
            )
        return Path(self._workdir.name)

    def progress(self, percent: float | None, message: str | None = None) -> None:
        """Report the progress of the job.

        It returns at once and can be called from any thread, as often as you like: the last value is written about
        once a second.

        Args:
            percent: 0 to 100. A value below an earlier one of this attempt is ignored, and 100 is written only with the
                done word. None leaves the column as it is.
            message: a text for the user who waits, for tables with a message column; cut to 500 characters. None
                leaves the column as it is.
        """
        if percent is not None:
            self._percent = max(self._percent, min(float(percent), 99.0))
            percent = self._percent
        self._writer.progress(self._delivery, percent, bounded(message, 500) if message is not None else None)

    def warn(self, text: str) -> None:
        """Record that something was left out or done differently; the text is logged and stored with the attempt.

        Args:
            text: a sentence, cut to 1000 characters.
        """
        self.warnings.append(bounded(text, 1000))
        self.log.warning(text)

    async def stage(self, word: str, /, **columns: Any) -> None:
        """Move the row to a stage and write columns, in one transaction.

        A later attempt finds the stage in `reached` and the columns in `row`.

        Args:
            word: one of the queue's stages.
            columns: values by column, of types that JSON or `listener.kit.text.jsonable` can express.

        Raises:
            LeaseLost: the job no longer belongs to this attempt.
            DatabaseError: the table refused the columns, or the word is no stage of the queue.
            TypeError, ValueError: a value has no form in JSON.
        """
        await self._writer.write("stage", self._delivery, {"stage": word, "columns": jsonable(columns)})
        self.reached = word
        self.row = {**self.row, **columns}

    async def checkpoint(self, value: Any) -> None:
        """Store a value for a later attempt, which finds it in `saved`. It is not part of the row.

        Args:
            value: a value of a type that JSON or `listener.kit.text.jsonable` can express; it replaces the last one.

        Raises:
            LeaseLost: the job no longer belongs to this attempt.
            TypeError, ValueError: the value has no form in JSON.
        """
        await self._writer.write("checkpoint", self._delivery, {"value": jsonable(value)})
        self.saved = value

    def check(self) -> None:
        """Raise if this attempt has to stop. Call it regularly in plain `def` handlers, which can't be interrupted.

        Raises:
            LeaseLost: the job was cancelled, has lost its lease or has reached its timeout, or the service shuts down.
                Let it pass.
        """
        if self._stopped is not None:
            raise LeaseLost(self._stopped)

    def _stop(self, why: str) -> None:
        """Make `check` raise."""
        self._stopped = why

    def _clean_up(self) -> None:
        """Remove the scratch folder."""
        if self._workdir is not None:
            self._workdir.cleanup()
