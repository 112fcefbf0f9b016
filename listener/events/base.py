"""The interface of event sources, and of what they wake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import anyio

from listener.backoff import delays
from listener.metrics import ReconnectReason, SourceMetrics, SourceName

# Seconds. The backoff begins anew only after a connection that lasted so long: behind a pooler a connection succeeds
# although its database is away, and only the first statement fails.
STABLE_AFTER = 30.0


class Wakeable(Protocol):
    """The receiver of events. An event that is lost, doubled, late or forged does no harm."""

    def wake(self, queue: str, source: SourceName) -> None:
        """Report that a job of a queue may be ready; the source names itself."""

    def stop(self, queue: str) -> None:
        """Report that a running job of a queue may have been cancelled."""

    def connected(self) -> None:
        """Report that events arrive from now on, and that earlier ones may have been lost."""


class Source(Protocol):
    """A source of events, which reconnects by itself."""

    @property
    def is_connected(self) -> bool:
        """Whether events arrived when the connection was last probed."""

    def watch(self, changes: Mapping[str, Sequence[str]]) -> None:
        """Set the tables whose new rows only Realtime's postgres_changes announces. Called at the start, and when the
        tables may have changed.

        Args:
            changes: queue name -> schema and name of its table.
        """

    async def run(self) -> None:
        """Receive events until cancelled."""


async def reconnect(listen: Callable[[], Awaitable[ReconnectReason]], metrics: SourceMetrics) -> None:
    """Call `listen` again and again until cancelled, with backoff, and count why it returned."""
    backoff = delays()
    while True:
        began = anyio.current_time()
        reason = await listen()
        metrics.reconnects[reason].inc()
        if anyio.current_time() - began > STABLE_AFTER:
            backoff = delays()
        await anyio.sleep(next(backoff))
