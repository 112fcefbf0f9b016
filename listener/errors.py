"""The errors of the library, as a flat tree, and the three outcomes that a handler may raise."""

from __future__ import annotations

import re
from typing import Literal

ErrorKind = Literal["absent", "slow", "refused", "misconfigured"]
"""The kinds of errors of a call to the database, in logs, metrics and readiness."""


class ListenerError(Exception):
    """Base of all errors of this library; its text is one sentence for a person."""


class ConfigError(ListenerError):
    """A setting is missing, unknown or malformed; the text names it and tells how to mend it."""


class DatabaseUnavailable(ListenerError):
    """The database did not carry out the call now; the call may be repeated.

    Attributes:
        kind: `absent`, the database can't be reached or does not accept writes now; `slow`, the call took too long or
            was too large, so that a smaller call may succeed.
        sqlstate: the five-character code, if the database sent one.
    """

    def __init__(self, message: str, *, kind: ErrorKind = "absent", sqlstate: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.sqlstate = sqlstate


class DatabaseError(ListenerError):
    """The database refused a call.

    Attributes:
        sqlstate: the five-character code of the refusal.
        hint: how to mend it, if the database sent a hint.
        kind: `refused`, because of the content of the call; `misconfigured`, because a schema, a function or a right
            is missing; `slow`, because the call was too large; `absent`, if nothing is known of the SQLSTATE.
    """

    def __init__(
        self, message: str, *, sqlstate: str = "", hint: str | None = None, kind: ErrorKind = "refused"
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.hint = hint
        self.kind = kind


# The kinds of SQLSTATEs for an error of a whole call; the longest prefix counts. Others are `absent`, because a call
# that failed for an unknown reason must be repeated. docs/decisions/0011-the-error-of-a-call.md has the reasons.
_KINDS: dict[str, ErrorKind] = {
    # Serialization failures, lock_timeout, statement_timeout, memory, answers over 1 GB or jsonb's 256 MB.
    **dict.fromkeys(("40", "53200", "54", "55P03", "57014"), "slow"),
    # Data, constraints, RAISE, WITH CHECK, the user's own classes.
    **dict.fromkeys(("20", "21", "22", "23", "27", "44", "P0"), "refused"),
    # Roles and passwords, unknown databases and schemas, missing objects and rights.
    **dict.fromkeys(("0L", "0P", "28", "3D", "3F", "42", "2F", "39"), "misconfigured"),
}


def kind_of(sqlstate: str) -> ErrorKind:
    """Return the kind of an error that concerns a whole call."""
    for length in (5, 2):
        if kind := _KINDS.get(sqlstate[:length]):
            return kind
    return "absent"


# The errors of one row that may pass with time, although nobody changes the row; `listener.passes_with_time` is the
# same list, for errors that the database catches row by row.
_PASSING = re.compile(r"^(08|25|40|53|57|58|23503|23505|23P01|55006|55P03|XX)")


def passes_with_time(sqlstate: str) -> bool:
    """Return whether the same write of the same row may succeed later: locks, unique indexes, resources."""
    return _PASSING.match(sqlstate) is not None


# What a repetition of the call may mend by itself: connection, read-only, rollback, resources, locks, operator, system.
_UNAVAILABLE = ("08", "25006", "40", "53", "55P03", "57", "58", "XX")


def refusal(message: str, sqlstate: str, hint: str | None = None) -> DatabaseError | DatabaseUnavailable:
    """Make the error of an SQLSTATE: DatabaseUnavailable if a repetition may succeed, else DatabaseError."""
    kind = kind_of(sqlstate)
    if sqlstate.startswith(_UNAVAILABLE):
        return DatabaseUnavailable(
            f"the database could not answer now ({message})", kind=kind, sqlstate=sqlstate
        )
    return DatabaseError(message, sqlstate=sqlstate, hint=hint, kind=kind)


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
