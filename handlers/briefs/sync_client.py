"""`AsyncBriefs` for programs without an event loop."""

from __future__ import annotations

from handlers.briefs.store import AsyncBriefs
from listener.kit.sync import SyncClient, waits


class Briefs(SyncClient[AsyncBriefs]):
    """The methods of `AsyncBriefs`, which wait for their result. Close it, or use it as a context manager.

    Args:
        briefs: the asynchronous client; None takes the database of the environment, as `AsyncBriefs` does.
    """

    def __init__(self, briefs: AsyncBriefs | None = None) -> None:
        super().__init__(briefs or AsyncBriefs())

    create_brief_with_job = waits(AsyncBriefs.create_brief_with_job)
    create_job = waits(AsyncBriefs.create_job)
    pending = waits(AsyncBriefs.pending)
    active = waits(AsyncBriefs.active)
    stats = waits(AsyncBriefs.stats)
    by_brief = waits(AsyncBriefs.by_brief)
