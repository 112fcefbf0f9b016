"""Whether the service is to end, how soon, and by when at the latest."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio
import structlog

from listener.engine.deadline import Deadline

log = structlog.get_logger(__name__)

LAST_WORDS = 5.0
"""Seconds that jobs get, once they are told to end, to say how far they came."""

# What a shutdown takes beside the grace and the last words, at most.
FAREWELL = 3.0


class Shutdown:
    """Begun by a signal, by the owner of the service, or by an error inside.

    Args:
        grace: seconds that running jobs get.
        held_by: answers which jobs still run; called from a thread.
        hurry: called when those that run are to be handed on now.
    """

    def __init__(self, *, grace: float, held_by: Callable[[], list[str]], hurry: Callable[[], None]) -> None:
        self._grace = grace
        self._deadline = Deadline(held_by)
        self._hurry = hurry
        self._begun = anyio.Event()

    @property
    def begun(self) -> bool:
        """Whether no job is claimed any more."""
        return self._begun.is_set()

    def begin(self, *, at_once: bool = False) -> None:
        """Claim nothing more; see `Engine.shut_down`."""
        self._begun.set()
        self._end_within(at_once=at_once)
        if at_once:
            self._hurry()

    async def wait(self) -> None:
        """Until it has begun."""
        await self._begun.wait()

    def watch(self) -> None:
        """End the process when a shutdown takes too long, whatever holds it."""
        self._deadline.watch()

    async def hear_signals(self) -> None:
        """Let SIGTERM and SIGINT begin it, a second one at once; until cancelled."""
        numbers = signal.SIGTERM, signal.SIGINT
        with anyio.open_signal_receiver(*numbers) as received:
            for number in numbers:
                # This is called also when the loop hangs, and hears nothing by its receiver.
                signal.signal(number, lambda *_: self._end_within(at_once=self._deadline.is_set))
            async for number in received:
                if self.begun:
                    log.warning("stopping at once", signal=signal.Signals(number).name)
                self.begin(at_once=self.begun)

    def _end_within(self, *, at_once: bool) -> None:
        self._deadline.within((0.0 if at_once else self._grace) + LAST_WORDS + FAREWELL)
