"""The errors of the library, as a flat tree, and the three outcomes that a handler may raise."""

from __future__ import annotations


class ListenerError(Exception):
    """Base of all errors of this library; its text is one sentence for a person."""


class ConfigError(ListenerError):
    """A setting is missing, unknown or malformed; the text names it and tells how to mend it."""


class DatabaseUnavailable(ListenerError):
    """The database did not answer; the call may be repeated."""


class DatabaseError(ListenerError):
    """The database refused a call.

    Attributes:
        sqlstate: the five-character code of the refusal.
        hint: how to mend it, if the database sent a hint.
    """

    def __init__(self, message: str, *, sqlstate: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.hint = hint


# SQLSTATEs whose cause is the connection or the moment, not the call: connection, rollback (deadlocks),
# resources (disk, memory, connections), lock timeout, operator (shutdown, statement timeout), system.
_UNAVAILABLE = ("08", "40", "53", "55P03", "57", "58")


def refusal(message: str, sqlstate: str, hint: str | None = None) -> DatabaseError | DatabaseUnavailable:
    """Make the error of an SQLSTATE: DatabaseUnavailable if a repetition may succeed, else DatabaseError."""
    if sqlstate.startswith(_UNAVAILABLE):
        return DatabaseUnavailable(f"the database could not answer now ({message})")
    return DatabaseError(message, sqlstate=sqlstate, hint=hint)


def single(error: BaseException) -> BaseException:
    """Return the only error in an exception group, also in nested ones; the group itself if it has several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class SchemaError(ListenerError):
    """The `listener` schema in the database is missing, older or newer than this program needs."""


class LeaseLost(ListenerError):
    """The job was cancelled, or another attempt has its lease: this attempt can't write any more."""


class Fail(Exception):
    """Raised by a handler: the job can't succeed and is not retried.

    The text goes into the row's error column; write it for the person who reads the row.
    """


class Retry(Exception):
    """Raised by a handler: retry the job later. This counts as an attempt.

    Args:
        message: why, for the history and, when no attempt is left, for the row's error column.
        delay: seconds until the next attempt; None is the queue's exponential backoff.
    """

    def __init__(self, message: str = "the handler asked for a retry", *, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay: float | None = None if delay is None else float(delay)


class Snooze(Exception):
    """Raised by a handler: run the job again later, although nothing failed. Counts no attempt and occupies no slot.

    Args:
        delay: seconds until the job is due again.
    """

    def __init__(self, delay: float) -> None:
        super().__init__(f"snoozed for {delay:g} s")
        self.delay: float = float(delay)
