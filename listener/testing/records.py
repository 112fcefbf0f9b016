"""A job as a test sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

State = Literal["ready", "waiting", "scheduled", "running", "broken", "completed", "failed", "cancelled"]
UNFINISHED = frozenset[State]({"ready", "waiting", "scheduled", "running"})
_WITHOUT_DELIVERY: Mapping[str, State] = {
    "ready": "ready",
    "running": "running",
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


class JobFailed(AssertionError):
    """A job did not complete; the text has its attempts and the traceback of its handler."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt that is over.

    Attributes:
        number: 1 for the first attempt.
        outcome: completed, failed, retried, lost or cancelled.
        error: the error's text, or None.
        warnings: the texts that the handler passed to `job.warn`, in order.
    """

    number: int
    outcome: str
    error: str | None
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job: its row, its delivery and its attempts.

    Attributes:
        queue: the queue's name.
        key: the row's key, as text.
        state: `completed`, `failed` or `cancelled` after the end; before it `waiting` (due), `scheduled` (due later)
            or `running`, or `ready` for a row in the ready word that has no delivery; `broken` if the database refuses
            to change the row.
        row: the row in JSON types; times are ISO 8601 texts.
        attempts: the attempts that are over, oldest first.
        snoozes: how often the job has been snoozed; 0 after its end.
        error: the error of the last attempt, or the reason why the delivery is broken; None without an error.
    """

    queue: str
    key: str
    state: State
    row: dict[str, Any]
    attempts: list[AttemptRecord]
    snoozes: int
    error: str | None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Read what the verb `look` returned."""
        delivery = found["delivery"] or {}
        attempts = [
            AttemptRecord(one["attempt"], one["outcome"], one["error"], one["warnings"] or [])
            for one in found["attempts"]
        ]
        return cls(
            found["queue"],
            found["key"],
            delivery.get("state") or _WITHOUT_DELIVERY[found["state"]],
            found["row"],
            attempts,
            delivery.get("snoozes", 0),
            delivery.get("error") or (attempts[-1].error if attempts else None),
        )

    @property
    def warnings(self) -> list[str]:
        """The warnings of the last attempt."""
        return self.attempts[-1].warnings if self.attempts else []

    def __str__(self) -> str:
        snoozed = f", snoozed {self.snoozes}×" if self.snoozes else ""
        lines = [f"job {self.key} of queue {self.queue}: {self.state}{snoozed}"]
        lines += [
            f"  attempt {one.number}: {one.outcome}, {one.error or 'no error'}" for one in self.attempts
        ]
        if self.state == "broken":
            lines.append(f"  broken: {self.error}")
        if self.state == "ready":
            lines.append("  the row has no delivery; is its table attached as this queue?")
        return "\n".join(lines)
