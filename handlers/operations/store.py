"""Store the operations of an application in its database, or in memory if it has none."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

import structlog

from handlers.operations.memory import MemoryOperations
from handlers.operations.model import (
    OPEN,
    Operation,
    OperationError,
    OperationNotFound,
    OperationOver,
    Status,
)
from handlers.operations.notifier import Notifier, PostgresNotifier, RealtimeNotifier
from listener import ConfigError
from listener.kit.configured import configured_tables
from listener.kit.settings import Settings
from listener.kit.tables import Row, Where
from listener.kit.text import bounded, clean, jsonable, summary

log = structlog.get_logger(__name__)

TABLE = "operations"
ID_LENGTH = 200


class Rows(Protocol):
    """The part of `listener.kit.tables.Tables` that the store uses."""

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

    An operation ends once: later calls raise OperationOver and change nothing. Every method raises TablesUnavailable
    when the database does not answer.

    Args:
        tables: the tables; None takes DATABASE_URL, else SUPABASE_URL and the service key, else the memory of this
            process, with a warning.
        notifier: notifies followers of changes; goes with `tables`.
    """

    def __init__(self, tables: Rows | None = None, notifier: Notifier | None = None) -> None:
        if tables is None or notifier is None:
            tables, notifier = _configured()
        self._tables, self._notifier = tables, notifier

    async def create(
        self,
        id: str | None = None,  # noqa: A002 - the column's name
        *,
        message: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Create a pending operation. If `metadata` has a `type` that a service handles, that service runs it.

        Args:
            id: up to 200 characters; None generates one.
            message: a few words for the people who follow it.
            metadata: what the operation is about.

        Raises:
            OperationError: the id exists already or is malformed, or the metadata can't be stored.
        """
        name = f"op_{secrets.token_hex(12)}" if id is None else id
        if not 0 < len(name) <= ID_LENGTH or not name.isprintable():
            raise OperationError(f"The id of an operation has 1 to {ID_LENGTH} printable characters.")
        row = {"id": name, "status": "pending", "message": message, "metadata": dict(metadata or {})}
        made = await self._tables.insert(TABLE, _storable(row), on_conflict=["id"], ignore=True)
        if not made:
            raise OperationError(f"The operation {name!r} exists already; choose another id.")
        return Operation(**made[0])

    async def get(self, id: str) -> Operation | None:  # noqa: A002
        """Return the operation, or None if there is none (any more)."""
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
        """Change progress, message or metadata of an operation; a pending one becomes processing.

        Args:
            progress: 0 to 100.
            message: a few words for the people who follow it.
            metadata: replaces the old metadata.

        Raises:
            OperationError: the progress is not within 0 to 100.
            OperationOver, OperationNotFound: it has ended, or does not exist.
        """
        if progress is not None and not 0 <= progress <= 100:
            raise OperationError(f"The progress is {progress:g}; it must be from 0 to 100.")
        values: dict[str, Any] = {"status": "processing"}
        if progress is not None:
            values["progress"] = int(progress)
        if message is not None:
            values["message"] = message
        if metadata is not None:
            values["metadata"] = dict(metadata)
        return await self._change(id, values)

    async def complete(self, id: str, result: Any = None, *, message: str | None = None) -> Operation:  # noqa: A002
        """End an operation as complete, with its result.

        Raises:
            OperationOver, OperationNotFound: it has ended already, or does not exist.
        """
        changes = {} if message is None else {"message": message}
        return await self._change(id, {"status": "complete", "progress": 100, "result": result, **changes})

    async def fail(self, id: str, error: str | BaseException) -> Operation:  # noqa: A002
        """End an operation as failed.

        Args:
            error: a sentence for the people who follow it, or an exception, of which one line is kept.

        Raises:
            OperationOver, OperationNotFound: it has ended already, or does not exist.
        """
        text = summary(error) if isinstance(error, BaseException) else error
        return await self._change(id, {"status": "error", "error": bounded(text)})

    async def list(self, *, status: Status | None = None, limit: int = 100) -> builtins.list[Operation]:
        """Return operations, the most recently changed one first."""
        where = {} if status is None else {"status": status}
        rows = await self._tables.select(TABLE, where=where, order="-updated_at", limit=limit)
        return [Operation(**row) for row in rows]

    async def subscribe(self, id: str) -> AsyncGenerator[Operation, None]:  # noqa: A002
        """Yield the operation now and after each change, until it has ended. Quick changes may come as one.

        Raises:
            OperationNotFound: there is none, or it was deleted.
        """
        async with self._notifier.follow(id) as changed:
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
        """Close the connections."""
        await self._tables.close()

    async def _change(self, id: str, values: dict[str, Any]) -> Operation:  # noqa: A002
        changes, where = _storable(values), {"id": id, "status": [*OPEN]}
        # The database can't hold such an id, and a query for it would be an error.
        rows = await self._tables.update(TABLE, changes, where=where) if clean(id) == id else []
        if rows:
            return Operation(**rows[0])
        found = await self.get(id)
        if found is None:
            raise OperationNotFound(f"There is no operation {id!r}.")
        raise OperationOver(f"The operation {id!r} has ended with the status {found.status}.")


def _storable(values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(jsonable(values))
    except (TypeError, ValueError) as error:
        raise OperationError(f"The value can't be stored as JSON: {error}.") from error


def _configured() -> tuple[Rows, Notifier]:
    settings = Settings.load()
    if settings.database_url is not None:
        return configured_tables(settings), PostgresNotifier(settings.database_url.get_secret_value())
    if settings.project:
        return configured_tables(settings), RealtimeNotifier(*settings.project)
    try:
        settings.require_database()
    except ConfigError as error:
        log.warning("operations are kept in memory and lost when this process ends", reason=str(error))
    memory = MemoryOperations()
    return memory, memory
