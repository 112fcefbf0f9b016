"""Begin a shutdown, and kill the process if it takes too long."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import anyio
import structlog

log = structlog.get_logger(__name__)

SETTLE_SECONDS = 5.0
"""Seconds that stopped jobs get to write their outcome."""

# The most that a shutdown takes beside the grace period and SETTLE_SECONDS.
GOODBYE_SECONDS = 3.0
_DEADLINE_CHECK_SECONDS = 0.25


class Shutdown:
    """The state of a shutdown. A signal, the owner of the engine or an internal error begins it.

    Args:
        grace: seconds that running jobs get to finish.
        running: returns the names of the jobs that still run; called from a thread.
        on_immediate: called when the running jobs are to be stopped now.
    """

    def __init__(
        self, *, grace: float, running: Callable[[], list[str]], on_immediate: Callable[[], None]
    ) -> None:
        self._grace = grace
        self._deadline = Deadline(running)
        self._on_immediate = on_immediate
        self._begun = anyio.Event()

    @property
    def begun(self) -> bool:
        """Whether the shutdown has begun; no job is claimed from then on."""
        return self._begun.is_set()

    def begin(self, *, at_once: bool = False) -> None:
        """Begin the shutdown; with `at_once`, also after it has begun, stop the running jobs now."""
        self._begun.set()
        self._set_deadline(at_once=at_once)
        if at_once:
            self._on_immediate()

    async def wait(self) -> None:
        """Wait until the shutdown begins."""
        await self._begun.wait()

    def enforce(self) -> None:
        """Kill the process if a shutdown takes too long."""
        self._deadline.watch()

    async def handle_signals(self) -> None:
        """Begin the shutdown at SIGTERM or SIGINT, and at a second signal stop the jobs at once; until cancelled."""
        numbers = signal.SIGTERM, signal.SIGINT
        with anyio.open_signal_receiver(*numbers) as received:
            for number in numbers:
                # This handler also runs while the event loop hangs and its receiver gets nothing.
                signal.signal(number, lambda *_: self._set_deadline(at_once=self._deadline.is_set))
            async for number in received:
                if self.begun:
                    log.warning("stopping at once", signal=signal.Signals(number).name)
                self.begin(at_once=self.begun)

    def _set_deadline(self, *, at_once: bool) -> None:
        self._deadline.within((0.0 if at_once else self._grace) + SETTLE_SECONDS + GOODBYE_SECONDS)


class Deadline:
    """A thread that kills the process at a given time.

    A thread because a plain `def` handler can't be interrupted, and a hanging event loop runs no timer.

    Args:
        running: returns the names of the jobs that still run; called from the thread.
    """

    def __init__(self, running: Callable[[], list[str]]) -> None:
        self._running = running
        self._at = float("inf")

    @property
    def is_set(self) -> bool:
        return self._at < float("inf")

    def watch(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._watch, name="deadline", daemon=True).start()

    def within(self, seconds: float) -> None:
        """Kill the process after so many seconds, or earlier if an earlier deadline is set. Signal handlers may call
        this.
        """
        self._at = min(self._at, time.monotonic() + seconds)

    def _watch(self) -> None:
        while time.monotonic() < self._at:
            time.sleep(_DEADLINE_CHECK_SECONDS)
        log.error(
            "shutdown took too long; the process is killed, and its jobs run again when their leases end",
            jobs=self._running(),
        )
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)
