"""Tables over a Postgres connection.

Postgres itself converts JSON to the columns' types, so that values mean the same as over the REST API.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from asyncpg.pool import PoolConnectionProxy

from listener.database.postgres import ConnectionPool, transaction
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

BROWSERS = ("authenticated", "anon")
TIMEOUT_SECONDS = 10.0
CONNECTIONS = 2  # most of a project's session pooler stays free for other services

_FUNCTIONS = """
select p.proretset, p.pronargs - p.pronargdefaults as needed, p.proargnames[1:p.pronargs] as names, array(
  select format_type(t.type, null) from unnest(p.proargtypes) with ordinality as t (type, n) order by n) as types
from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as s on s.oid = p.pronamespace
where s.nspname = $1 and p.proname = $2 and p.prokind = 'f'
"""


class PostgresTables:
    """`Tables` over a pool of connections.

    Args:
        dsn: a `postgresql://` URL.
        role_claims: verified claims of a signed-in user: each call is made in the role that they name, under the
            policies of the tables. None acts as the user of the URL.
        pooled: whether there is a transaction-mode pooler in between.

    Raises:
        TablesError: the claims name a role that is not one of `BROWSERS`.
    """

    def __init__(
        self, dsn: str, *, role_claims: Mapping[str, Any] | None = None, pooled: bool = False
    ) -> None:
        if role_claims is not None and role_claims.get("role") not in BROWSERS:
            raise TablesError(
                f"{role_claims.get('role')} is not a role of a user; it must be {' or '.join(BROWSERS)}."
            )
        self._claims = role_claims
        self._transactions = pooled or role_claims is not None
        self._connections = PerLoop(
            lambda: ConnectionPool(dsn, most=CONNECTIONS, timeout=TIMEOUT_SECONDS, pooled=pooled)
        )

    async def select(
        self,
        table: str,
        *,
        where: Where | None = None,
        order: str | None = None,
        limit: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[Row]:
        """Read rows, as `Tables.select` says."""
        name, values = _quoted(table), list[Any]()
        chosen = ", ".join(f"listener_row.{_id(column)}" for column in columns) if columns else "*"
        sql = f"select {chosen} from {name} as listener_row{_where(name, where or {}, values)}"  # noqa: S608
        if order is not None:
            sql += f" order by {_id(order.removeprefix('-'))}{' desc' if order.startswith('-') else ''}"
        if limit is not None:
            sql += f" limit {int(limit)}"
        async with self._session() as connection:
            return await _rows(
                connection,
                f"select to_jsonb(listener_row.*) from ({sql}) as listener_row",  # noqa: S608
                *values,
            )

    async def insert(
        self,
        table: str,
        rows: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        on_conflict: Sequence[str] | None = None,
        ignore: bool = False,
    ) -> list[Row]:
        """Insert rows, as `Tables.insert` says."""
        name, inserted = _quoted(table), list[Row]()
        alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for row in listed(rows, merges=on_conflict is not None and not ignore):
            alike.setdefault(tuple(sorted(row)), []).append(row)
        async with self._session(atomic=len(alike) > 1) as connection:
            for columns, some in alike.items():
                conflict = _conflict(columns, on_conflict, ignore=ignore)
                inserted += await _rows(connection, _insert(name, columns, conflict), some)
        return inserted

    async def update(self, table: str, values: Mapping[str, Any], *, where: Where) -> list[Row]:
        """Change rows, as `Tables.update` says."""
        if not values:
            raise TablesError("No values are given to set.")
        name, arguments = _quoted(table), list[Any]([dict(values)])
        names, news = _ids(values), _ids(values, "new.")
        sql = (
            f"update {name} as listener_row set ({names}) ="  # noqa: S608
            f" (select {news} from jsonb_populate_record(null::{name}, $1) as new)"
            f"{_where(name, where, arguments, changes=True)} returning to_jsonb(listener_row.*)"
        )
        async with self._session() as connection:
            return await _rows(connection, sql, *arguments)

    async def delete(self, table: str, *, where: Where) -> list[Row]:
        """Delete rows, as `Tables.delete` says."""
        name, values = _quoted(table), list[Any]()
        condition = _where(name, where, values, changes=True)
        async with self._session() as connection:
            sql = f"delete from {name} as listener_row{condition} returning to_jsonb(listener_row.*)"  # noqa: S608
            return await _rows(connection, sql, *values)

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call an SQL function, as `Tables.call` says."""
        schema, name = split(function)
        async with self._session() as connection:
            for found in await connection.fetch(_FUNCTIONS, schema, name):
                names = found["names"] or []
                if set(names[: found["needed"]]) <= arguments.keys() <= set(names):
                    types = dict(zip(names, found["types"], strict=True))
                    answer = await _rows(connection, _call(function, arguments, types), arguments)
                    return answer if found["proretset"] else answer[0]
        given = ", ".join(arguments)
        raise TablesError(f"There is no function {schema}.{name}({given}).", sqlstate="42883")

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    @asynccontextmanager
    async def _session(self, *, atomic: bool = False) -> AsyncIterator[PoolConnectionProxy]:
        try:
            async with (
                self._connections.get().connection() as connection,
                asyncio.timeout(TIMEOUT_SECONDS),
                transaction(connection) if atomic or self._transactions else nullcontext(),
            ):
                if self._claims is not None:
                    await connection.execute(
                        "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)",
                        str(self._claims["role"]),
                        json.dumps(dict(self._claims)),
                    )
                yield connection
        except DatabaseUnavailable as error:
            raise TablesUnavailable(str(error)) from error
        except DatabaseError as error:
            raise TablesError(str(error), sqlstate=error.sqlstate) from error


async def _rows(connection: PoolConnectionProxy, sql: str, *values: Any) -> list[Any]:
    return readable([row[0] for row in await connection.fetch(sql, *values)])


def _insert(name: str, columns: Sequence[str], conflict: str) -> str:
    names, news = _ids(columns), _ids(columns, "new.")
    source = f"select {news} from jsonb_populate_recordset(null::{name}, $1) as new"  # noqa: S608
    return (
        f"insert into {name} as listener_row ({names}) {source}{conflict} returning to_jsonb(listener_row.*)"
    )


def _conflict(columns: Sequence[str], on: Sequence[str] | None, *, ignore: bool) -> str:
    if on is None and not ignore:
        return ""
    target = f" ({_ids(on)})" if on else ""
    if ignore:
        return f" on conflict{target} do nothing"
    sets = ", ".join(f"{_id(column)} = excluded.{_id(column)}" for column in columns)
    return f" on conflict{target} do update set {sets}"


def _call(function: str, arguments: Mapping[str, Any], types: Mapping[str, str]) -> str:
    given = ", ".join(f"{_id(name)} => given.{_id(name)}" for name in arguments)
    fields = ", ".join(f"{_id(name)} {types[name]}" for name in arguments)
    source = f"jsonb_to_record($1) as given ({fields})" if arguments else "(select $1::jsonb) as given"
    return f"select to_jsonb(answer) from {source}, lateral {_quoted(function)}({given}) as answer"  # noqa: S608


def _where(name: str, where: Where, values: list[Any], *, changes: bool = False) -> str:
    """Return the SQL of the conditions, and append their values to `values`."""
    check_where(where, changes=changes)
    parts = []
    for column, value in where.items():
        target = f"listener_row.{_id(column)}"
        if value is None:
            parts.append(f"{target} is null")
        elif isinstance(value, list | tuple):
            values.append([{column: one} for one in value])
            row = f"jsonb_populate_recordset(null::{name}, ${len(values)}) as one"
            parts.append(f"{target} in (select one.{_id(column)} from {row})")  # noqa: S608
        else:
            values.append({column: value})
            parts.append(f"{target} = (jsonb_populate_record(null::{name}, ${len(values)})).{_id(column)}")
    return f" where {' and '.join(parts)}" if parts else ""


def _quoted(name: str) -> str:
    return ".".join(map(_id, split(name)))


def _ids(columns: Mapping[str, Any] | Sequence[str], prefix: str = "") -> str:
    return ", ".join(prefix + _id(column) for column in columns)


def _id(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
