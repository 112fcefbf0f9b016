"""Read from an HTTP response whether the same request may succeed later, and when to send it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TRANSIENT = frozenset({408, 409, 423, 425, 429})
"""Statuses 4xx that may change by themselves: time-out, conflict, locked, too early, too many requests."""

MAX_RETRY_AFTER_SECONDS = 3600.0


def is_transient(status: int) -> bool:
    """Return whether the same request may succeed later: any 5xx, and the 4xx of `TRANSIENT`."""
    return status >= 500 or status in TRANSIENT


def retry_after(headers: Mapping[str, str], *, longest: float = MAX_RETRY_AFTER_SECONDS) -> float | None:
    """Return the seconds that the header Retry-After asks for (RFC 9110, section 10.2.3).

    Args:
        headers: of a response; their names ignore case, as httpx's do.
        longest: a longer pause becomes this one.

    Returns:
        Seconds from 0 to `longest`, from a number or an HTTP date; None if the header is missing or malformed.
    """
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), longest)
