"""An event that re-arms itself."""

from __future__ import annotations

import anyio


class Wakeup:
    """Wake one waiting task. Calls of `set` before the next `wait` count as one."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Make the current or next `wait` return. Call it in the event loop's thread."""
        self._event.set()

    async def wait(self) -> None:
        """Return once `set` was called since the last `wait` returned."""
        await self._event.wait()
        self._event = anyio.Event()
