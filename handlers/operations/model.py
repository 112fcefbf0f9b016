"""Operations: long actions of an application whose progress people follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from listener import ListenerError

Status = Literal["pending", "processing", "complete", "error"]
OPEN: tuple[Status, ...] = ("pending", "processing")


class OperationError(ListenerError):
    """The call makes no sense; the text says why."""


class OperationOver(OperationError):
    """The operation has ended and can't change any more."""


class OperationNotFound(OperationError):
    """There is no operation of that id, or it was deleted."""


@dataclass(frozen=True, slots=True)
class Operation:
    """The current state of an operation.

    Attributes:
        progress: 0 to 100.
        message: a few words for the people who follow it.
        result: set when it is complete.
        error: why it failed.
        metadata: what it is about; `type` names its handler, `user_id` the user who may follow it from a browser.
        created_at, updated_at: milliseconds since 1970.
    """

    id: str
    status: Status
    progress: int
    message: str
    result: Any
    error: str | None
    metadata: dict[str, Any] | None
    created_at: int
    updated_at: int

    @property
    def is_over(self) -> bool:
        return self.status not in OPEN
