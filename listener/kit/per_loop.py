"""One instance per event loop: connections belong to the loop that opened them, and routes and handlers run in
different loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar


class Closes(Protocol):
    """Something that must be closed in the loop that uses it."""

    def close(self) -> Awaitable[None]:
        """Close what belongs to the loop."""


T = TypeVar("T", bound=Closes)


class PerLoop(Generic[T]):
    """Make one instance for each event loop that asks for it.

    Args:
        make: makes an instance; it must not open connections yet.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[asyncio.AbstractEventLoop, T] = {}
        self._lock = threading.Lock()

    def get(self) -> T:
        """Return the instance of the running loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._made:
                self._made = {known: one for known, one in self._made.items() if not known.is_closed()}
                self._made[loop] = self._make()
            return self._made[loop]

    async def close(self) -> None:
        """Close all instances, each in its loop if that still runs."""
        with self._lock:
            made, self._made = self._made, {}
        for loop, one in made.items():
            if loop is asyncio.get_running_loop():
                await one.close()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_close(one), loop))


async def _close(one: Closes) -> None:
    await one.close()
