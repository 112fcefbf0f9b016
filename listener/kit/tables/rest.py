"""Tables over Supabase's REST API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from listener.database.rest import Query, Rest
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.kit.per_loop import PerLoop
from listener.kit.tables.api import (
    Row,
    TablesError,
    TablesUnavailable,
    Where,
    check_where,
    listed,
    readable,
    split,
)

if TYPE_CHECKING:
    from postgrest import AsyncPostgrestClient
    from supabase import AsyncClient


MAX_ROWS = 1000  # of one response, unless the API's settings say otherwise


class RestTables:
    """`Tables` over the REST API. It is an error if the API's settings cut off rows; none are left out silently.

    Args:
        url: of the project.
        key: its secret key, which is read again when it changes in `.env`; with a token the publishable key.
        token: of a signed-in user; requests are then made as that user, under the policies of the tables.
    """

    def __init__(self, url: str, key: str, token: str | None = None) -> None:
        self._rest = PerLoop(lambda: Rest(url, key, token=token))

    async def select(
        self,
        table: str,
        *,
        where: Where | None = None,
        order: str | None = None,
        limit: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[Row]:
        """Read rows, as `Tables.select` says. If the API allows less than 1000 rows, a lower limit may be cut."""

        def query(api: AsyncClient) -> Query:
            from postgrest import CountMethod

            # The API counts the rows if some may be cut off; without a limit that costs no more than reading them.
            count = CountMethod.exact if limit is None or limit > MAX_ROWS else None
            wanted = _from(api, table).select(*(_name(column) for column in columns or ("*",)), count=count)
            if order is not None:
                wanted = wanted.order(_name(order.removeprefix("-")), desc=order.startswith("-"))
            return _only(wanted if limit is None else wanted.limit(limit), where or {})

        rows, count = await self._counted(query)
        if count is not None and len(rows) < min(count, limit or count):
            raise TablesError(
                f"{table} has {count} such rows, but the REST API returns {len(rows)} at once; narrow the"
                " conditions, set a lower limit, or raise “Max rows” in the project's API settings."
            )
        return list(rows)

    async def insert(
        self,
        table: str,
        rows: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        on_conflict: Sequence[str] | None = None,
        ignore: bool = False,
    ) -> list[Row]:
        """Insert rows, as `Tables.insert` says."""
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
        """Change rows, as `Tables.update` says."""
        if not values:
            raise TablesError("No values are given to set.")
        return await self._rows(
            lambda api: _only(_from(api, table).update(dict(values)), where, changes=True)
        )

    async def delete(self, table: str, *, where: Where) -> list[Row]:
        """Delete rows, as `Tables.delete` says."""
        return await self._rows(lambda api: _only(_from(api, table).delete(), where, changes=True))

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call an SQL function, as `Tables.call` says."""
        schema, name = split(function)
        if schema == "listener":
            schema, name = "public", f"listener_{name}"
        return await self._execute(lambda api: _in(api, schema).rpc(name, arguments))

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def _rows(self, query: Callable[[AsyncClient], Query]) -> list[Row]:
        return list(await self._execute(query))

    async def _execute(self, query: Callable[[AsyncClient], Query]) -> Any:
        data, _ = await self._counted(query)
        return data

    async def _counted(self, query: Callable[[AsyncClient], Query]) -> tuple[Any, int | None]:
        try:
            data, count = await self._rest.get().counted(query)
            return readable(data), count
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
    """Return a column's name as PostgREST quotes it in a list."""
    return column if column == "*" or re.fullmatch(r"\w+", column) else '"' + column.replace('"', '\\"') + '"'
