"""Keep operations in the memory of this process, for a laptop without a database."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from handlers.operations.notifier import Changed, changed
from listener.kit.tables import Row, Where
from listener.kit.wakeup import Wakeup


class MemoryOperations:
    """The tables and the notifier of the store, for the one table `operations`."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._followers: dict[str, list[Wakeup]] = defaultdict(list)

    async def select(
        self, table: str, *, where: Where | None = None, order: str | None = None, limit: int | None = None
    ) -> list[Row]:
        """Return rows; any order means the most recently changed first."""
        found = [dict(row) for row in reversed(self._rows.values()) if _is(row, where or {})]
        if order is not None:
            found.sort(key=lambda row: -row["updated_at"])
        return found[:limit]

    async def insert(
        self,
        table: str,
        rows: Mapping[str, Any],
        *,
        on_conflict: Sequence[str] | None = None,
        ignore: bool = False,
    ) -> list[Row]:
        """Insert a row; a row that exists already is not changed."""
        if rows["id"] in self._rows:
            return []
        now = _now()
        empty = {"progress": 0, "result": None, "error": None, "created_at": now, "updated_at": now}
        self._rows[rows["id"]] = {**empty, **rows}
        return [dict(self._rows[rows["id"]])]

    async def update(self, table: str, values: Mapping[str, Any], *, where: Where) -> list[Row]:
        """Change the rows that match, and notify their followers."""
        changed = [row for row in self._rows.values() if _is(row, where)]
        for row in changed:
            row.update(values, updated_at=_now())
            for follower in self._followers[row["id"]]:
                follower.set()
        return [dict(row) for row in changed]

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    @asynccontextmanager
    async def follow(self, id: str) -> AsyncIterator[Changed]:  # noqa: A002
        """Notify of the changes of one operation; see `Notifier.follow`."""
        wakeup = Wakeup()
        self._followers[id].append(wakeup)
        try:
            yield lambda: changed(wakeup)
        finally:
            self._followers[id].remove(wakeup)


def _is(row: Row, where: Where) -> bool:
    return all(
        row[name] in value if isinstance(value, list) else row[name] == value for name, value in where.items()
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
