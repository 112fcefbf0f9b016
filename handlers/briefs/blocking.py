"""Briefs for programs without an event loop."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from handlers.briefs.store import AsyncBriefs, Created
from listener.kit.blocking import Blocking
from listener.kit.tables import Row


class Briefs:
    """`AsyncBriefs`, each method of which waits; they take, mean and raise the same. Close it when done.

    Args:
        briefs: the ones to use; None finds the database as `AsyncBriefs` does.
    """

    def __init__(self, briefs: AsyncBriefs | None = None) -> None:
        self._briefs = briefs or AsyncBriefs()
        self._blocking = Blocking()

    def create_brief_with_job(self, **fields: Any) -> Created:
        """See `AsyncBriefs.create_brief_with_job`."""
        return self._blocking.call(self._briefs.create_brief_with_job, **fields)

    def create_job(self, **fields: Any) -> Row:
        """See `AsyncBriefs.create_job`."""
        return self._blocking.call(self._briefs.create_job, **fields)

    def pending(self, *, user_id: str | None = None) -> list[Row]:
        """See `AsyncBriefs.pending`."""
        return self._blocking.call(self._briefs.pending, user_id=user_id)

    def active(self, *, user_id: str | None = None) -> list[Row]:
        """See `AsyncBriefs.active`."""
        return self._blocking.call(self._briefs.active, user_id=user_id)

    def stats(self) -> list[Row]:
        """See `AsyncBriefs.stats`."""
        return self._blocking.call(self._briefs.stats)

    def by_brief(self, brief_id: str, *, user_id: str | None = None) -> list[Row]:
        """See `AsyncBriefs.by_brief`."""
        return self._blocking.call(self._briefs.by_brief, brief_id, user_id=user_id)

    def close(self) -> None:
        """Give back the connections."""
        self._blocking.call(self._briefs.close)
        self._blocking.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
