"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        check: what was looked at, in one word.
        level: failure, where the service can't work as it is; warning, where it can.
        text: what was found.
        mend: what to do about it; None where all is well.
    """

    check: str
    level: Literal["ok", "warning", "failure"]
    text: str
    mend: str | None = None


def good(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def doubtful(check: str, text: str, mend: str) -> Finding:
    """It works, but somebody should look at it."""
    return Finding(check, "warning", text, mend)


def bad(check: str, text: str, mend: str) -> Finding:
    """It can't work so."""
    return Finding(check, "failure", text, mend)
