"""The values that pass between the store and the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verb = Literal[
    "complete", "fail", "retry", "snooze", "release", "progress", "stage", "checkpoint", "set_aside"
]
"""The SQL functions that take a batch of writes, each of which names a delivery and its fence."""

AnswerOutcome = Literal["ok", "lost", "locked", "later", "refused", "spent"]
RetryReason = Literal["asked", "error", "timeout"]
StopReason = Literal["lost", "cancelled", "timeout", "shutdown"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed job.

    Attributes:
        id: the delivery; with `fence` it names this attempt in every write.
        row: the user's row right after the claim, in JSON types.
        reached: the last stage that an earlier attempt reached; None before the first `stage`.
        saved: the last checkpoint, or None.
        waited: seconds since the job was first due.
        late: seconds since the job was due this time.
        origin: how the job was found: insert, update, reconcile, adopt or requeue.
        unreadable: a sentence about the value of the row that Python can't read, so that the job can't run; or None.
    """

    id: int
    queue: str
    key: str
    fence: int
    attempt: int
    max_attempts: int
    row: Mapping[str, Any]
    reached: str | None
    saved: Any
    snoozes: int
    waited: float
    late: float
    origin: str
    unreadable: str | None = None


@dataclass(slots=True)
class Outcome:
    """The end of one attempt, and what is to be written about it.

    Attributes:
        verb: the verb that ends the attempt; None when nothing is written, because the job is no longer this
            attempt's.
        item: the verb's own fields, as the head of its SQL file describes them.
        retry_reason: why the job is tried again, with verb `retry`.
        stopped: why the attempt was stopped from outside, if it was.
        seconds: how long the handler ran.
    """

    verb: Verb | None
    item: Mapping[str, Any] = field(default_factory=dict)
    retry_reason: RetryReason = "error"
    stopped: StopReason | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Miss:
    """A due job that could not be claimed. `why`: gone, word, locked or refused."""

    queue: str
    why: str
    key: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The result of a claim.

    Attributes:
        next_due: seconds until the next job is due; None when none is scheduled, or when no sweep was asked for.
        next_lease: seconds until the next lease ends; None as above.
        known: whether this process is registered.
        more: whether the claim ended before it had tried to fill all slots.
    """

    jobs: list[Delivery]
    misses: list[Miss]
    next_due: float | None
    next_lease: float | None
    known: bool
    more: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt that its worker has lost; `cancelled` when its delivery no longer exists."""

    delivery: int
    fence: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a verb for one delivery.

    Attributes:
        outcome: ok; lost, the attempt had ended already; locked, the row is locked and the write may be repeated;
            later, the table refused it with `error` and `sqlstate`, which may pass with time; refused, the table
            refused it with `error`; spent, the job failed because no attempt was left.
    """

    outcome: AnswerOutcome
    error: str | None = None
    sqlstate: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """A queue that a process serves, with its table.

    Attributes:
        result: the column for a result that is no mapping, if any.
        tenant: the column that names the user whose job it is, if any.
        wake: how its table announces new rows: notify, realtime, both or none.
        changes: schema and name of its table, if only Realtime's postgres_changes announces new rows.
    """

    queue: str
    table: str
    stages: list[str]
    columns: list[str]
    result: str | None
    tenant: str | None
    wake: str
    changes: list[str] | None
