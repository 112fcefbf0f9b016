"""Read and write the application's tables, for handlers, routes and clients.

The methods mean the same over a Postgres connection (`tables.postgres.PostgresTables`) and over Supabase's REST API
(`tables.rest.RestTables`). `use` sets the process's `Tables` at the start. Values are JSON types in both directions:
times, dates and uuids are texts.

    rows = await tables.current().select("clips", where={"job_id": job.key}, order="-score", limit=3)
    await tables.current().update("clips", {"status": "rendered"}, where={"id": [row["id"] for row in rows]})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from listener.database.decoding import unreadable
from listener.kit.errors import KitError

Data = TypeVar("Data")

Row = dict[str, Any]
Where = Mapping[str, Any]


class TablesError(KitError):
    """The database refused a call, and nothing was changed.

    Attributes:
        sqlstate: the five-character code of the refusal, or an empty text.
    """

    permanent = True

    def __init__(self, message: str, *, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class TablesUnavailable(TablesError):
    """The database did not answer; the change may or may not have been made."""

    permanent = False


class Tables(Protocol):
    """Interface of both implementations. A table is named `clips`, in the schema public, or `schema.clips`.

    `where` maps columns to conditions: a value, None for null, or a list of accepted values. All of them must hold; {}
    matches every row.

    Each method raises TablesError or TablesUnavailable.
    """

    async def select(
        self,
        table: str,
        *,
        where: Where | None = None,
        order: str | None = None,
        limit: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[Row]:
        """Return rows.

        Args:
            table: the table or view.
            where: conditions; None matches all rows.
            order: column to sort by; `-column` sorts in descending order.
            limit: maximal number of rows.
            columns: columns to return; None returns all.
        """
        ...

    async def insert(
        self,
        table: str,
        rows: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        on_conflict: Sequence[str] | None = None,
        ignore: bool = False,
    ) -> list[Row]:
        """Insert one row or several, all or none; a missing column takes its default.

        Args:
            table: the table.
            rows: the row, or rows.
            on_conflict: columns of a unique key; an existing row gets the new values.
            ignore: leave existing rows unchanged, by `on_conflict` or by any unique key.

        Returns:
            The rows after the change, without those that were ignored.
        """
        ...

    async def update(self, table: str, values: Mapping[str, Any], *, where: Where) -> list[Row]:
        """Set columns, and return the changed rows. `where` must not be empty."""
        ...

    async def delete(self, table: str, *, where: Where) -> list[Row]:
        """Delete rows, and return them as they were. `where` must not be empty."""
        ...

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call an SQL function, `f` in the schema public or `schema.f`, and return its value or a list of rows.

        Over the REST API the schema must be exposed; verbs such as `listener.requeue` work in both ways.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


_current: Tables | None = None


def use(tables: Tables | None) -> None:
    """Set the tables that `current` returns, or None."""
    global _current  # noqa: PLW0603 - one service has one database, chosen once at start
    _current = tables


def current() -> Tables:
    """Return the tables set by `use`.

    Raises:
        TablesError: there are none.
    """
    if _current is None:
        raise TablesError(
            "No tables are configured; set DATABASE_URL, or SUPABASE_URL and SUPABASE_SERVICE_KEY, or call"
            " listener.kit.tables.use(...)."
        )
    return _current


def split(name: str) -> tuple[str, str]:
    """Return the schema and the name of a table or function."""
    schema, dot, rest = name.partition(".")
    return (schema, rest) if dot else ("public", schema)


def listed(
    rows: Mapping[str, Any] | Sequence[Mapping[str, Any]], merges: bool = False
) -> list[Mapping[str, Any]]:
    """Return one row or several as a list.

    Raises:
        TablesError: a row is empty; or `merges` is set and the rows do not name the same columns.
    """
    many = [rows] if isinstance(rows, Mapping) else list(rows)
    if not all(many):
        raise TablesError("A row names no column; name at least one.")
    if merges and any(row.keys() != many[0].keys() for row in many):
        raise TablesError("Rows that may be there already must all name the same columns.")
    return many


def check_where(where: Where, *, changes: bool = False) -> None:
    """Refuse conditions that the database would understand differently.

    Args:
        where: the conditions.
        changes: whether rows will be changed; then `where` must not be empty.

    Raises:
        TablesError: the text names the broken rule.
    """
    if changes and not where:
        raise TablesError("where is empty, which would change every row; name the rows to change.")
    for column, value in where.items():
        if isinstance(value, list | tuple) and None in value:
            raise TablesError(f"A list can't hold null, as that of {column} does; ask for null by itself.")


def readable(data: Data) -> Data:
    """Return what a query returned.

    Raises:
        TablesError: Python can't read one of the values, such as a number of more than 4,300 digits.
    """
    values: Sequence[Any] = data if isinstance(data, list) else [data]
    for value in values:
        if sentence := unreadable(value):
            raise TablesError(f"{sentence}; leave the column out with columns=[...], or shorten the value.")
    return data
