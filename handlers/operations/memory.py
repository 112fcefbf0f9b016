"""Operations without a database, for a laptop that has none: they end with the process."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from handlers.operations.notifier import Bell, Changed
from listener.kit.tables import Row, Where


class Memory:
    """What the store asks of tables and of news, for the one table `operations`."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._bells: dict[str, list[Bell]] = defaultdict(list)

    async def select(
        self, table: str, *, where: Where | None = None, order: str | None = None, limit: int | None = None
    ) -> list[Row]:
        """See `Tables.select`; an order is by the latest change."""
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
        """See `Tables.insert`; a row that is there already stays as it is."""
        if rows["id"] in self._rows:
            return []
        now = _now()
        empty = {"progress": 0, "result": None, "error": None, "created_at": now, "updated_at": now}
        self._rows[rows["id"]] = {**empty, **rows}
        return [dict(self._rows[rows["id"]])]

    async def update(self, table: str, values: Mapping[str, Any], *, where: Where) -> list[Row]:
        """See `Tables.update`."""
        changed = [row for row in self._rows.values() if _is(row, where)]
        for row in changed:
            row.update(values, updated_at=_now())
            for bell in self._bells[row["id"]]:
                bell.ring()
        return [dict(row) for row in changed]

    async def close(self) -> None:
        """Nothing to give back."""

    @asynccontextmanager
    async def of(self, id: str) -> AsyncIterator[Changed]:  # noqa: A002
        """See `News.of`."""
        bell = Bell()
        self._bells[id].append(bell)
        try:
            yield bell.heard
        finally:
            self._bells[id].remove(bell)


def _is(row: Row, where: Where) -> bool:
    return all(
        row[name] in value if isinstance(value, list) else row[name] == value for name, value in where.items()
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
