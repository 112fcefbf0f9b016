"""An operation: something that an application does for somebody who watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from listener import ListenerError

Status = Literal["pending", "processing", "complete", "error"]
OPEN: tuple[Status, ...] = ("pending", "processing")


class OperationError(ListenerError):
    """What was asked of an operation makes no sense; the text says why."""


class OperationOver(OperationError):
    """The operation has ended; nothing of it changes any more."""


class OperationNotFound(OperationError):
    """There is no operation of that id, or it was cleaned up."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as it stands.

    Attributes:
        progress: 0 to 100.
        message: a few words for whoever watches.
        result: what came out, once it is complete.
        error: why it failed.
        metadata: what it is about; `type` names the handler that does it, `user_id` who may watch from a browser.
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
