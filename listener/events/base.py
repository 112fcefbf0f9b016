"""What every source offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from listener.metrics import SourceName


class Wakeable(Protocol):
    """Whom a source tells. A wake that is lost, doubled, late or forged does no harm."""

    def wake(self, queue: str, source: SourceName) -> None:
        """A queue may have something to claim; the source names itself."""

    def stop(self, queue: str) -> None:
        """A job of a queue that runs may have been cancelled."""

    def connected(self) -> None:
        """The source hears from now on; what happened before it may have missed."""


class Source(Protocol):
    """A component that runs until cancelled and mends its own connection."""

    @property
    def is_connected(self) -> bool:
        """Whether events arrive now, as far as the last probe knows."""

    def watch(self, changes: Mapping[str, Sequence[str]]) -> None:
        """Told at start and whenever it may have changed: queue -> schema and name of its table, where only Realtime's
        postgres_changes can tell of new rows."""

    async def run(self) -> None:
        """Listen until cancelled."""
