"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: the subject, in one word.
        level: failure if the service can't work, warning if it can.
        text: what was found.
        fix: how to correct it; None if there is no problem.
    """

    check: str
    level: Literal["ok", "warning", "failure"]
    text: str
    fix: str | None = None


def good(check: str, text: str) -> Finding:
    """Report that there is no problem."""
    return Finding(check, "ok", text)


def doubtful(check: str, text: str, fix: str) -> Finding:
    """Report something that works but deserves attention."""
    return Finding(check, "warning", text, fix)


def bad(check: str, text: str, fix: str) -> Finding:
    """Report something that keeps the service from working."""
    return Finding(check, "failure", text, fix)
