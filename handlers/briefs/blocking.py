"""Briefs for programs without an event loop."""

from __future__ import annotations

from typing import Any

from handlers.briefs.store import AsyncBriefs, Created
from listener.kit.sync import Twin
from listener.kit.tables import Row


class Briefs(Twin[AsyncBriefs]):
    """`AsyncBriefs`, each method of which waits; they take, mean and raise the same. Close it when done.

    Args:
        briefs: the ones to use; None finds the database as `AsyncBriefs` does.
    """

    def __init__(self, briefs: AsyncBriefs | None = None) -> None:
        super().__init__(briefs or AsyncBriefs())

    def create_brief_with_job(self, **fields: Any) -> Created:
        """See `AsyncBriefs.create_brief_with_job`."""
        return self._blocking.call(self._client.create_brief_with_job, **fields)

    def create_job(self, **fields: Any) -> Row:
        """See `AsyncBriefs.create_job`."""
        return self._blocking.call(self._client.create_job, **fields)

    def pending(self, *, user_id: str | None = None) -> list[Row]:
        """See `AsyncBriefs.pending`."""
        return self._blocking.call(self._client.pending, user_id=user_id)

    def active(self, *, user_id: str | None = None) -> list[Row]:
        """See `AsyncBriefs.active`."""
        return self._blocking.call(self._client.active, user_id=user_id)

    def stats(self) -> list[Row]:
        """See `AsyncBriefs.stats`."""
        return self._blocking.call(self._client.stats)

    def by_brief(self, brief_id: str, *, user_id: str | None = None) -> list[Row]:
        """See `AsyncBriefs.by_brief`."""
        return self._blocking.call(self._client.by_brief, brief_id, user_id=user_id)
