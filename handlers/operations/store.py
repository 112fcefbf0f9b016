"""The operations of an application, wherever they are kept: in its database, or for want of one in memory."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

import structlog

from handlers.operations.memory import Memory
from handlers.operations.model import (
    OPEN,
    Operation,
    OperationError,
    OperationNotFound,
    OperationOver,
    Status,
)
from handlers.operations.notifier import News, PostgresNews, RealtimeNews
from listener import ConfigError
from listener.kit.configured import configured_tables
from listener.kit.settings import Settings
from listener.kit.tables import Row, Where
from listener.kit.text import bounded, clean, jsonable, summary

log = structlog.get_logger(__name__)

TABLE = "operations"
ID_LENGTH = 200


class Rows(Protocol):
    """What a store needs of `listener.kit.tables.Tables`."""

    async def select(
        self, table: str, *, where: Where | None = None, order: str | None = None, limit: int | None = None
    ) -> builtins.list[Row]: ...

    async def insert(
        self,
        table: str,
        rows: Mapping[str, Any],
        *,
        on_conflict: Sequence[str] | None = None,
        ignore: bool = False,
    ) -> builtins.list[Row]: ...

    async def update(self, table: str, values: Mapping[str, Any], *, where: Where) -> builtins.list[Row]: ...

    async def close(self) -> None: ...


class AsyncOperationStore:
    """Create, change, end and follow operations. Every process with the same database sees the same ones.

    An operation ends once: what comes after that raises OperationOver and changes nothing. Every method raises
    TablesUnavailable when the database gives no answer.

    Args:
        tables: where they are kept; None takes DATABASE_URL, else SUPABASE_URL and the service key, else the memory of
            this process, and warns.
        news: how changes are heard of; goes with `tables`.
    """

    def __init__(self, tables: Rows | None = None, news: News | None = None) -> None:
        if tables is None or news is None:
            tables, news = _configured()
        self._tables, self._news = tables, news

    async def create(
        self,
        id: str | None = None,  # noqa: A002 - the column's name
        *,
        message: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Begin an operation, pending. With a `type` in `metadata` that a service handles, that service does it.

        Args:
            id: its name, up to 200 characters; None makes one up.

        Raises:
            OperationError: there is one of that name, or the name makes no sense.
        """
        name = f"op_{secrets.token_hex(12)}" if id is None else id
        if not 0 < len(name) <= ID_LENGTH or not name.isprintable():
            raise OperationError(f"The id of an operation has 1 to {ID_LENGTH} printable characters.")
        row = {"id": name, "status": "pending", "message": message, "metadata": dict(metadata or {})}
        made = await self._tables.insert(TABLE, _storable(row), on_conflict=["id"], ignore=True)
        if not made:
            raise OperationError(f"There is an operation {name!r} already.")
        return Operation(**made[0])

    async def get(self, id: str) -> Operation | None:  # noqa: A002
        """The operation, or None where there is none (any more)."""
        if clean(id) != id:
            return None
        rows = await self._tables.select(TABLE, where={"id": id})
        return Operation(**rows[0]) if rows else None

    async def update(
        self,
        id: str,  # noqa: A002
        *,
        progress: float | None = None,
        message: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Say how far an operation is; one that was pending is then processing.

        Args:
            progress: 0 to 100.
            message: a few words for whoever watches.
            metadata: in place of the old.

        Raises:
            OperationError: the progress lies outside of 0 to 100.
            OperationOver, OperationNotFound: it has ended, or never was.
        """
        if progress is not None and not 0 <= progress <= 100:
            raise OperationError(f"A progress of {progress:g} makes no sense; it goes from 0 to 100.")
        values: dict[str, Any] = {"status": "processing"}
        if progress is not None:
            values["progress"] = int(progress)
        if message is not None:
            values["message"] = message
        if metadata is not None:
            values["metadata"] = dict(metadata)
        return await self._change(id, values)

    async def complete(self, id: str, result: Any = None, *, message: str | None = None) -> Operation:  # noqa: A002
        """End an operation well, with what came out of it.

        Raises:
            OperationOver, OperationNotFound: it has ended already, or never was.
        """
        said = {} if message is None else {"message": message}
        return await self._change(id, {"status": "complete", "progress": 100, "result": result, **said})

    async def fail(self, id: str, error: str | BaseException) -> Operation:  # noqa: A002
        """End an operation that went wrong.

        Args:
            error: a sentence for whoever watches; of an exception, one line.

        Raises:
            OperationOver, OperationNotFound: it has ended already, or never was.
        """
        text = summary(error) if isinstance(error, BaseException) else error
        return await self._change(id, {"status": "error", "error": bounded(text)})

    async def list(self, *, status: Status | None = None, limit: int = 100) -> builtins.list[Operation]:
        """Operations, the latest changed first."""
        where = {} if status is None else {"status": status}
        rows = await self._tables.select(TABLE, where=where, order="-updated_at", limit=limit)
        return [Operation(**row) for row in rows]

    async def subscribe(self, id: str) -> AsyncGenerator[Operation, None]:  # noqa: A002
        """The operation as it stands, and again each time that it has changed, until it is over. Changes that follow
        each other quickly may come as one.

        Raises:
            OperationNotFound: there is none, or it was cleaned up.
        """
        async with self._news.of(id) as changed:
            last = None
            while True:
                now = await self.get(id)
                if now is None:
                    raise OperationNotFound(f"There is no operation {id!r}.")
                if now != last:
                    yield now
                if now.is_over:
                    return
                last = now
                await changed()

    async def close(self) -> None:
        """Give back the connections."""
        await self._tables.close()

    async def _change(self, id: str, values: dict[str, Any]) -> Operation:  # noqa: A002
        changes, where = _storable(values), {"id": id, "status": [*OPEN]}
        # A name that no database can hold is nobody's, but asking for it would be an error.
        rows = await self._tables.update(TABLE, changes, where=where) if clean(id) == id else []
        if rows:
            return Operation(**rows[0])
        found = await self.get(id)
        if found is None:
            raise OperationNotFound(f"There is no operation {id!r}.")
        raise OperationOver(f"The operation {id!r} has ended: it is {found.status}.")


def _storable(values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(jsonable(values))
    except (TypeError, ValueError) as error:
        raise OperationError(f"An operation can't keep this: {error}.") from error


def _configured() -> tuple[Rows, News]:
    settings = Settings.load()
    if settings.database_url is not None:
        return configured_tables(settings), PostgresNews(settings.database_url.get_secret_value())
    if settings.project:
        return configured_tables(settings), RealtimeNews(*settings.project)
    try:
        settings.require_database()
    except ConfigError as error:
        log.warning("operations are kept in memory, and end with this process", reason=str(error))
    memory = Memory()
    return memory, memory
