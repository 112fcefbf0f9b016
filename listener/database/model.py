"""The values that pass between the store and the rest of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["ok", "lost", "locked", "refused", "spent"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed job.

    Attributes:
        id: the delivery; with `fence` it names this attempt in every write.
        row: the user's row right after the claim, in JSON types.
        reached: the stage word that an earlier attempt had reached, if it was beyond the first.
        saved: the last checkpoint, or None.
        waited: seconds since the job was first due.
        late: seconds since it was due this time.
        origin: how it was found: insert, update, reconcile, adopt or requeue.
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


@dataclass(frozen=True, slots=True)
class Miss:
    """A due job that could not be claimed. `why`: gone, word, locked or refused."""

    queue: str
    why: str
    key: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer of a claim; times are seconds from now, or None where there is no such event. `more` when it ended
    before it had tried to fill all slots."""

    jobs: list[Delivery]
    misses: list[Miss]
    next_due: float | None
    next_lease: float | None
    known: bool
    more: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt that is over for its worker; cancelled when its delivery is gone altogether."""

    delivery: int
    fence: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb did with one delivery: ok; lost, the attempt is over; locked, try again; refused by the table,
    with its error; spent, the job failed because no attempt was left."""

    outcome: Outcome
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What a process must know of a queue that it serves.

    Attributes:
        tenant: the column that says whose job it is, if any.
        wake: how its table tells of new rows: notify, realtime, both or none.
        changes: schema and name of its table, where only Realtime's postgres_changes can tell of new rows.
    """

    queue: str
    table: str
    stages: list[str]
    columns: list[str]
    result: str | None
    tenant: str | None
    wake: str
    changes: list[str] | None
