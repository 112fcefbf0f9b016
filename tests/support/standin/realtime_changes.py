"""Read the changes of a database from its write-ahead log, and filter them for a subscriber."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from tests.support.standin.stack import Caller, Stack

NAME = r'"(?:[^"]|"")+"|\w+'
LINE = re.compile(rf"table ({NAME})\.({NAME}): (INSERT|UPDATE|DELETE): (.*)", re.DOTALL)
COLUMN = re.compile(rf"({NAME})\[((?:[^\[\]]|\[\])+)\]:('(?:[^']|'')*'|[^\s']+)")

# The columns of the primary key, and whether policies hide rows.
SHAPE = """
select c.relrowsecurity as hides, array(
  select a.attname::text from pg_index as i
  join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
  where i.indrelid = c.oid and i.indisprimary) as key
from pg_class as c where c.oid = to_regclass($1)
"""


@dataclass(frozen=True)
class Change:
    """One row that was inserted, updated or deleted; `record` holds JSON values."""

    schema: str
    table: str
    type: str
    types: dict[str, str]
    record: dict[str, Any]


class Log:
    """The changes of a database since this log was opened, in the order of their commits.

    Use `async with`, because the database cannot be dropped while the replication slot exists.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._slot = f"stand_in_{secrets.token_hex(6)}"

    async def __aenter__(self) -> Log:
        self._connection = await asyncpg.connect(self._dsn)
        try:
            await self._connection.execute("select stand_in.watch($1)", self._slot)
        except BaseException:
            self._connection.terminate()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._connection.execute("select stand_in.forget($1)", self._slot)
        finally:
            self._connection.terminate()

    async def read(self) -> list[Change]:
        """Return the changes since the last call."""
        lines = await self._connection.fetch("select stand_in.changes($1)", self._slot)
        return [change for (line,) in lines if (change := _read(line))]


async def seen(stack: Stack, caller: Caller, change: Change) -> dict[str, Any] | None:
    """Return the change as a subscriber may see it now, or None if policies hide the row."""
    table = f'"{change.schema}"."{change.table}"'
    data: dict[str, Any] = {"schema": change.schema, "table": change.table, "type": change.type}
    async with stack.acting_as(caller) as connection:
        shape = await connection.fetchrow(SHAPE, table)
        assert shape is not None
        allowed = await connection.fetchval("select has_table_privilege($1, 'select')", table)
        if not allowed or not shape["key"]:
            error = "Error 400: Bad Request, no primary key" if allowed else "Error 401: Unauthorized"
            return data | {"columns": [], "record": {}, "commit_timestamp": None, "errors": [error]}
        key = {name: change.record[name] for name in shape["key"]}
        if shape["hides"] and change.type != "DELETE":
            where = " and ".join(f'"{name}"::text = ${n}' for n, name in enumerate(key, 1))
            if not await connection.fetchval(
                f"select exists (select from {table} where {where})", *map(str, key.values())
            ):
                return None
        at = await connection.fetchval(
            "select to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        )
    data |= {"commit_timestamp": at, "errors": None}
    data["columns"] = [{"name": name, "type": type_} for name, type_ in change.types.items()]
    if change.type != "DELETE":
        data["record"] = change.record
    if change.type != "INSERT":
        data["old_record"] = key
    return data


def _read(line: str) -> Change | None:
    """Return the change of a line, or None for the begin or end of a transaction."""
    if not (match := LINE.fullmatch(line)):
        return None
    schema, table, type_, rest = match.groups()
    columns = COLUMN.findall(rest.rpartition(" new-tuple: ")[2])
    return Change(
        _bare(schema),
        _bare(table),
        type_,
        {_bare(name): column_type for name, column_type, _ in columns},
        {_bare(name): _value(text, column_type) for name, column_type, text in columns},
    )


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _value(text: str, type_: str) -> Any:
    if text.startswith("'"):
        inner = text[1:-1].replace("''", "'")
        return json.loads(inner) if type_ in {"json", "jsonb"} else inner
    return {"null": None, "true": True, "false": False}[text] if text.isalpha() else json.loads(text)
