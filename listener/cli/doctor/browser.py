"""Act as a browser, in transactions that are rolled back."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg


@dataclass(frozen=True, slots=True)
class Browser:
    """A client that reaches the database through the API.

    Attributes:
        role: the database role of the client.
        user: the id of the user, if signed in.
        name: a name for the report.
    """

    role: str
    user: str | None
    name: str

    async def tries(self, connection: asyncpg.Connection, statement: str, *values: Any) -> int | None:
        """Run a statement as the API would, and undo it. Return the number of its rows, or None if it was refused."""
        claims = {"role": self.role} | ({"sub": self.user} if self.user else {})
        async with undone(connection):
            try:
                await connection.execute(
                    "select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)",
                    json.dumps(claims),
                    self.role,
                )
                status: str = await connection.execute(statement, *values)
            except asyncpg.PostgresError:
                return None
            return int(status.rsplit(" ", 1)[-1])


@asynccontextmanager
async def undone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Open a transaction or a savepoint that is always rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def insert(connection: asyncpg.Connection, table: str, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Insert a row of JSON values. Return the inserted row, or None if it was refused."""
    try:
        async with connection.transaction():
            made = await connection.fetchval(
                f"{insertion(table, row)} returning to_jsonb(t)", json.dumps(dict(row))
            )
            return dict(json.loads(made))
    except asyncpg.PostgresError:
        return None


def insertion(table: str, row: Mapping[str, Any]) -> str:
    """Return the statement that inserts a row; its parameter is the row as JSON."""
    names = ", ".join(map(quoted, row))
    return f"insert into {table} as t ({names}) select {names} from jsonb_populate_record(null::{table}, $1::jsonb)"  # noqa: S608


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Quote a text for SQL."""
    return "'" + value.replace("'", "''") + "'"


async def make_row(connection: asyncpg.Connection, table: Mapping[str, Any]) -> dict[str, Any] | None:
    """Insert a ready row, modelled on an existing one or made up. Return None if the table accepts neither."""
    model = await connection.fetchval(f"select to_jsonb(t) from {table['table']} as t limit 1")  # noqa: S608
    row = json.loads(model) if model else {}
    for column in table["columns"]:
        name = column["name"]
        if column["user"] and not row.get(name):
            row[name] = await _sign_up(connection)
        elif column["required"] and name not in row:
            row[name] = _made_up(column["type"], column["category"])
    if table["tenant"]:
        row[table["tenant"]] = row.get(table["tenant"]) or str(uuid.uuid4())
    for copy in copies(table, row, table["ready"]):
        if made := await insert(connection, table["table"], copy):
            return made
    return None


def copies(table: Mapping[str, Any], row: Mapping[str, Any], word: str) -> list[dict[str, Any]]:
    """Return the row with another key and this status word: once with required columns only, once with all."""
    keys = {
        "uuid": str(uuid.uuid4()),
        "text": f"doctor-{uuid.uuid4()}",
        "character varying": uuid.uuid4().hex[:12],
    }
    key = keys.get(table["key_type"], -(uuid.uuid4().int % 30_000) - 1)
    renewed = {**row, table["key"]: key, table["status"]: word}
    writable = [column for column in table["columns"] if column["writable"] and column["name"] in renewed]
    must = {table["key"], table["status"], table["tenant"]}
    return [
        {column["name"]: renewed[column["name"]] for column in some}
        for some in (
            [column for column in writable if column["required"] or column["name"] in must],
            writable,
        )
    ]


async def _sign_up(connection: asyncpg.Connection) -> str | None:
    user = await insert(connection, "auth.users", {"id": str(uuid.uuid4())})
    return str(user["id"]) if user else None


def _made_up(kind: str, category: str) -> Any:
    if kind == "uuid":
        return str(uuid.uuid4())
    if kind in {"json", "jsonb"}:
        return {}
    return {"N": 1, "B": False, "D": "2026-01-01", "A": "{}", "T": "1 s"}.get(category, "doctor")
