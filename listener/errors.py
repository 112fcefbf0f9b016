"""What can go wrong, as a flat tree, and the three outcomes that a handler may raise."""

from __future__ import annotations


class ListenerError(Exception):
    """Base of every error of this library; its text is one sentence for a person."""


class ConfigError(ListenerError):
    """A setting is missing, unknown or malformed; the text names it and says how to mend it."""


class DatabaseUnavailable(ListenerError):
    """The database did not answer; the call may be tried again."""


class DatabaseError(ListenerError):
    """The database refused a call.

    Attributes:
        sqlstate: the five-character code of the refusal.
        hint: how to mend it, where the database said so.
    """

    def __init__(self, message: str, *, sqlstate: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.hint = hint


# SQLSTATEs that speak of the connection or of this moment, not of the call: connection, rollback (deadlocks),
# resources (disk, memory, connections), lock timeout, operator (shutdown, statement timeout), system.
_UNAVAILABLE = ("08", "40", "53", "55P03", "57", "58")


def refusal(message: str, sqlstate: str, hint: str | None = None) -> DatabaseError | DatabaseUnavailable:
    """The error that an SQLSTATE is: one of this moment, or of the call."""
    if sqlstate.startswith(_UNAVAILABLE):
        return DatabaseUnavailable(f"the database could not answer now ({message})")
    return DatabaseError(message, sqlstate=sqlstate, hint=hint)


def single(error: BaseException) -> BaseException:
    """The one error that a group of groups is about; the group where there are several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class SchemaError(ListenerError):
    """The `listener` schema in the database is missing, older or newer than this program needs."""


class LeaseLost(ListenerError):
    """The job was cancelled, or its lease moved on: nothing that this attempt writes counts any more."""


class Fail(Exception):
    """Raised by a handler: the job can't succeed and is not tried again.

    The text goes into the row's error column, so write it for the person who reads the row.
    """


class Retry(Exception):
    """Raised by a handler: try again later; this counts as an attempt.

    Args:
        message: why, for the history and, when no attempt is left, for the row's error column.
        delay: seconds until the next attempt; None takes the queue's exponential backoff.
    """

    def __init__(self, message: str = "the handler asked for a retry", *, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay: float | None = None if delay is None else float(delay)


class Snooze(Exception):
    """Raised by a handler: nothing is wrong, come back later. Counts no attempt and holds no slot.

    Args:
        delay: seconds until the job is due again.
    """

    def __init__(self, delay: float) -> None:
        super().__init__(f"snoozed for {delay:g} s")
        self.delay: float = float(delay)
