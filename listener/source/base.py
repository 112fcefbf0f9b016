"""What every source offers."""

from __future__ import annotations

from typing import Protocol


class Wakes(Protocol):
    """Whom a source tells. A wake that is lost, doubled, late or forged does no harm."""

    def wake(self, queue: str) -> None:
        """A queue may have something to claim."""

    def stop(self, queue: str) -> None:
        """A job of a queue that runs may have been cancelled."""

    def connected(self) -> None:
        """The source hears from now on; what happened before it may have missed."""


class Source(Protocol):
    """A component that runs until cancelled and mends its own connection."""

    @property
    def is_connected(self) -> bool:
        """Whether events arrive now, as far as the last probe knows."""

    async def run(self) -> None:
        """Listen until cancelled."""
