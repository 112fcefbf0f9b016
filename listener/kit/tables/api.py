"""Rows of the application's own tables, for handlers, routes and clients: one meaning over a Postgres connection
(`tables_postgres.PostgresTables`) and over Supabase's REST API (`tables_rest.RestTables`).

One `Tables` is chosen at start with `use`. Values are JSON types in both directions: times, dates and uuids are texts.

    rows = await tables.current().select("clips", where={"job_id": job.key}, order="-score", limit=3)
    await tables.current().update("clips", {"status": "rendered"}, where={"id": [row["id"] for row in rows]})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from listener.kit.errors import KitError

Row = dict[str, Any]
Where = Mapping[str, Any]


class TablesError(KitError):
    """The database refused it, and nothing was changed.

    Attributes:
        sqlstate: the five-character code of the refusal, where there is one.
    """

    permanent = True

    def __init__(self, message: str, *, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class TablesUnavailable(TablesError):
    """The database did not answer; the change may or may not have been made."""

    permanent = False


class Tables(Protocol):
    """What each way offers. A table is named `clips`, in the schema public, or `schema.clips`.

    `where` says what columns must be: a value; None for null; a list for any of its values. All must hold; {} holds
    for every row.

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
        """Read rows.

        Args:
            table: the table or view.
            where: which rows; None is all.
            order: column to sort by; with a minus in front, the greatest first.
            limit: the most rows.
            columns: those wanted; None is all.
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
        """Insert one row or several, all or none; columns that a row doesn't name take their defaults.

        Args:
            table: the table.
            rows: the row, or rows.
            on_conflict: the columns of a unique key; a row that is there already gets the new values.
            ignore: leave rows alone that are there already, by `on_conflict` or by any unique key.

        Returns:
            The rows as they stand now, without those that were ignored.
        """
        ...

    async def update(self, table: str, values: Mapping[str, Any], *, where: Where) -> list[Row]:
        """Set columns of rows; answers the rows as they stand now. `where` must not be empty."""
        ...

    async def delete(self, table: str, *, where: Where) -> list[Row]:
        """Delete rows; answers them as they were. `where` must not be empty."""
        ...

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call an SQL function, named `f` in the schema public or `schema.f`; answers its value, or a list of rows.

        Over the REST API the schema must be exposed; `listener.requeue` and the like work both ways.
        """
        ...

    async def close(self) -> None:
        """Give back what is held."""
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
    """The schema and the name of a table or function."""
    schema, dot, rest = name.partition(".")
    return (schema, rest) if dot else ("public", schema)


def listed(
    rows: Mapping[str, Any] | Sequence[Mapping[str, Any]], merges: bool = False
) -> list[Mapping[str, Any]]:
    """One row or several, as a list.

    Raises:
        TablesError: one is empty; or they are to be merged into older ones, but don't name the same columns.
    """
    many = [rows] if isinstance(rows, Mapping) else list(rows)
    if not all(many):
        raise TablesError("A row names no column; name at least one.")
    if merges and any(row.keys() != many[0].keys() for row in many):
        raise TablesError("Rows that may be there already must all name the same columns.")
    return many


def check_where(where: Where, *, changes: bool = False) -> None:
    """Refuse what would mean something else than it says.

    Args:
        where: the conditions.
        changes: whether rows are to be changed, which must not be all of a table.

    Raises:
        TablesError: the text says which rule was broken.
    """
    if changes and not where:
        raise TablesError("where is empty, which would change every row; say which rows are meant.")
    for column, value in where.items():
        if isinstance(value, list | tuple) and None in value:
            raise TablesError(f"A list can't hold null, as that of {column} does; ask for null by itself.")
