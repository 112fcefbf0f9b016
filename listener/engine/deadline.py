"""Sees to it that a process that is to end does end, whatever holds it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.25


class Deadline:
    """A thread that ends the process at a time, if it is still there: a thread of a handler can't be interrupted, and
    a loop that hangs interrupts nothing.

    Args:
        held_by: answers which jobs still run; called from the thread.
    """

    def __init__(self, held_by: Callable[[], list[str]]) -> None:
        self._held_by = held_by
        self._at = float("inf")

    @property
    def is_set(self) -> bool:
        return self._at < float("inf")

    def watch(self) -> None:
        """Begin to look at the clock."""
        threading.Thread(target=self._watch, name="deadline", daemon=True).start()

    def within(self, seconds: float) -> None:
        """End the process in so many seconds, or earlier if that was said before. Safe in a signal handler."""
        self._at = min(self._at, time.monotonic() + seconds)

    def _watch(self) -> None:
        while time.monotonic() < self._at:
            time.sleep(LOOK_EVERY)
        log.error(
            "the process is held by what does not return, and ends without it; leases end by themselves",
            jobs=self._held_by(),
        )
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)
