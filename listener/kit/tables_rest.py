"""Tables over Supabase's REST API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from listener.errors import DatabaseError, DatabaseUnavailable
from listener.kit.per_loop import PerLoop
from listener.kit.tables import Row, TablesError, TablesUnavailable, Where, check_where, listed, split
from listener.rest import Query, Rest

if TYPE_CHECKING:
    from postgrest import AsyncPostgrestClient
    from supabase import AsyncClient


class RestTables:
    """See `tables.Tables`. The API answers at most as many rows as its settings say, 1000 in a new project.

    Args:
        url: of the project.
        key: its secret key, or with a token its publishable one.
        token: of a signed-in user, who then makes the requests, under the policies of the tables.
        renew: asked for another key when the project refuses this one; see `listener.rest.service_key`.
    """

    def __init__(
        self, url: str, key: str, token: str | None = None, *, renew: Callable[[], str | None] = lambda: None
    ) -> None:
        self._rest = PerLoop(lambda: Rest(url, key, token=token, renew=renew))

    async def select(
        self,
        table: str,
        *,
        where: Where | None = None,
        order: str | None = None,
        limit: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[Row]:
        """See `Tables.select`."""

        def query(api: AsyncClient) -> Query:
            wanted = _from(api, table).select(*(_name(column) for column in columns or ("*",)))
            if order is not None:
                wanted = wanted.order(_name(order.removeprefix("-")), desc=order.startswith("-"))
            return _only(wanted if limit is None else wanted.limit(limit), where or {})

        return await self._rows(query)

    async def insert(
        self,
        table: str,
        rows: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        on_conflict: Sequence[str] | None = None,
        ignore: bool = False,
    ) -> list[Row]:
        """See `Tables.insert`."""
        many: Any = [dict(row) for row in listed(rows, merges=on_conflict is not None and not ignore)]
        if not many:
            return []
        if on_conflict is None and not ignore:
            return await self._rows(lambda api: _from(api, table).insert(many, default_to_null=False))
        keys = ",".join(map(_name, on_conflict or ()))
        return await self._rows(
            lambda api: _from(api, table).upsert(
                many, on_conflict=keys, ignore_duplicates=ignore, default_to_null=False
            )
        )

    async def update(self, table: str, values: Mapping[str, Any], *, where: Where) -> list[Row]:
        """See `Tables.update`."""
        if not values:
            raise TablesError("No values are given to set.")
        return await self._rows(
            lambda api: _only(_from(api, table).update(dict(values)), where, changes=True)
        )

    async def delete(self, table: str, *, where: Where) -> list[Row]:
        """See `Tables.delete`."""
        return await self._rows(lambda api: _only(_from(api, table).delete(), where, changes=True))

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """See `Tables.call`."""
        schema, name = split(function)
        if schema == "listener":
            schema, name = "public", f"listener_{name}"
        return await self._execute(lambda api: _in(api, schema).rpc(name, arguments))

    async def close(self) -> None:
        """See `Tables.close`."""
        await self._rest.close()

    async def _rows(self, query: Callable[[AsyncClient], Query]) -> list[Row]:
        return list(await self._execute(query))

    async def _execute(self, query: Callable[[AsyncClient], Query]) -> Any:
        try:
            return await self._rest.get().execute(query)
        except DatabaseUnavailable as error:
            raise TablesUnavailable(str(error)) from error
        except DatabaseError as error:
            raise TablesError(str(error), sqlstate=error.sqlstate) from error


def _only(query: Any, where: Where, *, changes: bool = False) -> Query:
    check_where(where, changes=changes)
    for column, value in where.items():
        if value is None:
            query = query.is_(column, None)
        elif isinstance(value, list | tuple):
            query = query.in_(column, value)
        else:
            query = query.eq(column, value)
    asked: Query = query
    return asked


def _from(api: AsyncClient, table: str) -> Any:
    schema, name = split(table)
    return _in(api, schema).from_(name)


def _in(api: AsyncClient, schema: str) -> AsyncPostgrestClient:
    return api.postgrest if schema == "public" else api.schema(schema)


def _name(column: str) -> str:
    """A column as it stands in a list of columns."""
    return column if column == "*" or re.fullmatch(r"\w+", column) else '"' + column.replace('"', '\\"') + '"'
