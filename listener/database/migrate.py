"""Bring the schema `listener` of a database to the state of this program, or print the script that does so.

`sql/migrations/` holds what happens once, in the order of the numbers, and is never edited afterwards.
`sql/internals/` and `sql/verbs/` hold each function's current text, applied again whenever it has changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from listener.errors import SchemaError

# The advisory lock for which programs that migrate the same database wait ("listener", as digits).
LOCK = 5_478_362

REGENERATE = (
    "select listener.generate_triggers(id) from listener.attachment;\nselect listener.generate_take();"
)
EXPOSE = "select listener.expose();"


@dataclass(frozen=True)
class SqlFile:
    """One file of `sql/`: `name` is its path below that folder."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def sql_folder() -> Path:
    """Return the folder `sql/`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


def _files(folder: str) -> list[SqlFile]:
    root = sql_folder()
    return [
        SqlFile(str(path.relative_to(root)), path.read_text(encoding="utf-8"))
        for path in sorted((root / folder).glob("*.sql"))
    ]


def _text(name: str) -> str:
    return (sql_folder() / name).read_text(encoding="utf-8")


def migrations() -> list[SqlFile]:
    """Return all migrations, oldest first."""
    return _files("migrations")


def functions() -> list[SqlFile]:
    """Return all function files. Each first drops the earlier versions of its functions.

    A function whose arguments have changed would otherwise exist twice.
    """
    files = _files("internals") + _files("verbs")
    return [SqlFile(file.name, f"{_dropping(file)}\n{file.text}") for file in files]


def _dropping(file: SqlFile) -> str:
    names = re.findall(r"^create or replace function listener\.(\w+)\(", file.text, re.MULTILINE)
    return f"select listener.drop_functions('{{{','.join(names)}}}');"


def preset(name: str) -> str:
    """Return the text of `sql/presets/<name>.sql`.

    Raises:
        SchemaError: there is no such preset.
    """
    path = sql_folder() / "presets" / f"{name}.sql"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.sql")))
        raise SchemaError(f"there is no preset {name!r}; the presets are {known}")
    return path.read_text(encoding="utf-8")


def refuse_newer(applied: Iterable[str]) -> None:
    """Raise SchemaError when a newer program than this has migrated the database."""
    known = {file.name for file in migrations()}
    newer = sorted(name for name in applied if name.startswith("migrations/") and name not in known)
    if newer:
        raise SchemaError(
            f"the database has the newer schema {newer[-1].removeprefix('migrations/')}, which this version of "
            "listener does not know; upgrade listener, or point it at another database"
        )


def compare(applied: Iterable[str]) -> None:
    """Raise SchemaError when the applied migrations are not those that this program needs."""
    applied = set(applied)
    refuse_newer(applied)
    missing = [file.name for file in migrations() if file.name not in applied]
    if missing:
        raise SchemaError(
            f"the schema listener is older than this program ({missing[0]} is not applied); run `listener migrate`"
        )


async def migrate(connection: asyncpg.Connection) -> list[str]:
    """Apply what is missing or changed, in one transaction. Several programs may do so at once.

    Returns:
        The names of the files that were applied, in order; empty when the schema was up to date.

    Raises:
        SchemaError: the database is newer than this program, or an applied migration was edited.
    """
    changed: list[str] = []
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
        await connection.execute("set local lock_timeout = '5s'; set local check_function_bodies = off")
        await connection.execute(_text("bootstrap.sql"))
        applied = {
            row["name"]: row["checksum"]
            for row in await connection.fetch("select name, checksum from listener.migration")
        }
        refuse_newer(applied)
        for file in migrations():
            if file.name not in applied:
                await _apply(connection, file, changed)
            elif applied[file.name] != file.checksum:
                raise SchemaError(
                    f"{file.name} was edited after it had been applied; undo the edit and write a new migration"
                )
        for file in functions():
            if applied.get(file.name) != file.checksum:
                await _apply(connection, file, changed)
        if changed:
            for step in (REGENERATE, _text("privileges.sql"), EXPOSE):
                await connection.execute(step)
    return changed


async def _apply(connection: asyncpg.Connection, file: SqlFile, changed: list[str]) -> None:
    await connection.execute(file.text)
    await connection.execute(
        "insert into listener.migration (name, checksum) values ($1, $2)"
        " on conflict (name) do update set checksum = excluded.checksum, applied_at = now()",
        file.name,
        file.checksum,
    )
    changed.append(file.name)


def script() -> str:
    """Return one script that does what `migrate` does, to paste into an SQL editor. It may run again."""
    # A migration is written as a text, which is executed only when it is not recorded yet.
    once = [
        f"do $apply$ begin\n  if not exists (select from listener.migration where name = '{file.name}') then\n"
        f"    execute $migration$\n{file.text}$migration$;\n    {_record(file)}\n  end if;\nend $apply$;"
        for file in migrations()
    ]
    always = [f"{file.text}\n{_record(file)}" for file in functions()]
    head = (
        f"begin;\nset local client_min_messages = warning;\nselect pg_advisory_xact_lock({LOCK});\n"
        "set local check_function_bodies = off;"
    )
    last = [REGENERATE, _text("privileges.sql"), EXPOSE, "commit;"]
    return "\n\n".join([head, _text("bootstrap.sql"), *once, *always, *last]) + "\n"


def _record(file: SqlFile) -> str:
    return (
        f"insert into listener.migration (name, checksum) values ('{file.name}', '{file.checksum}')"  # noqa: S608
        " on conflict (name) do update set checksum = excluded.checksum, applied_at = now();"
    )
