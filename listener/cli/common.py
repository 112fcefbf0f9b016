"""The database connection that commands share, and its option."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

import anyio
import asyncpg
import click

from listener.config import Settings
from listener.database.postgres import connect
from listener.database.store import Store
from listener.database.transport_postgres import PostgresTransport
from listener.database.transport_rest import RestTransport
from listener.errors import ConfigError, DatabaseError, DatabaseUnavailable, ListenerError
from listener.log import reason_of

P = ParamSpec("P")

database_option = click.option("--database-url", metavar="URL", help="The database. Default: DATABASE_URL.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@dataclass(frozen=True)
class Database:
    """A database with a schema `listener` that fits this program.

    Attributes:
        store: the typed verbs.
        fetchval: returns the first column of the first row of a query; raises ConfigError over the REST API.
    """

    store: Store
    fetchval: Callable[..., Awaitable[Any]]

    async def require_queue(self, name: str) -> None:
        """Raise DatabaseError, which names the queues, if no queue has that name or is a kind of it."""
        stats = await self.store.stats() or {"queues": []}
        names = [queue["queue"] for queue in stats["queues"]]
        if not any(known == name or known.startswith(f"{name}/") for known in names):
            hint = f"The queues are {', '.join(names)}." if names else "No table is attached yet."
            raise DatabaseError(f"there is no queue '{name}'", hint=hint)


def database_url(given: str | None) -> str:
    """Return the given URL, or that of the settings.

    Raises:
        ConfigError: there is no URL, or it is malformed.
    """
    settings = Settings.load(**{} if given is None else {"database_url": given})
    if settings.database_url is None:
        raise ConfigError("no database is configured; set DATABASE_URL, or use --database-url")
    return settings.database_url.get_secret_value()


@asynccontextmanager
async def connected(given: str | None) -> AsyncIterator[Database]:
    """Connect to the database `given`, or to that of the settings, or to the REST API of the project.

    Raises:
        ConfigError: there is no address, or it is malformed.
        DatabaseUnavailable: the database does not respond.
        SchemaError: the schema is missing, older or newer than this program needs.
    """
    settings = Settings.load(**{} if given is None else {"database_url": given})
    settings.require_database()
    transport: PostgresTransport | RestTransport
    if settings.database_url is not None:
        # `pooled` works with any kind of pooler, and a command does not need the speed.
        transport = PostgresTransport(settings.database_url.get_secret_value(), connections=1, pooled=True)
        fetchval: Callable[..., Awaitable[Any]] = transport.fetchval
    else:
        assert settings.project is not None  # noqa: S101 - require_database
        transport = RestTransport(*settings.project)
        fetchval = _no_queries
    try:
        store = Store(transport)
        await store.check_schema()
        yield Database(store, fetchval)
    finally:
        await transport.close()


async def _no_queries(*_: Any) -> Any:
    raise ConfigError("this command needs SQL queries, which the REST API does not offer; set DATABASE_URL")


def with_database(
    command: Callable[Concatenate[Database, P], Awaitable[None]],
) -> Callable[..., None]:
    """Add the option `--database-url` to an async command, and pass that database as its first argument."""

    @database_option
    @functools.wraps(command)
    def run(database_url: str | None, *args: P.args, **options: P.kwargs) -> None:
        async def work() -> None:
            async with connected(database_url) as database:
                await command(database, *args, **options)

        anyio.run(work)

    return run


@asynccontextmanager
async def session(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a plain session for several statements. Errors of Postgres inside become errors of this package.

    Raises:
        DatabaseUnavailable: the database does not respond.
        DatabaseError: the database refused a statement.
    """
    try:
        connection = await connect(url, "listener", 10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise DatabaseUnavailable(f"the database can't be reached ({reason_of(error)})") from error
    try:
        yield connection
    except asyncpg.PostgresError as error:
        hint: str | None = getattr(error, "hint", None)
        if str(error) == 'schema "auth" does not exist':
            hint = "On your own Postgres, run first: listener attach --preset supabase_shim"
        raise DatabaseError(str(error), sqlstate=str(error.sqlstate), hint=hint) from error
    finally:
        connection.terminate()


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


class NotFound(ListenerError):
    """The queue, job or table of a command does not exist."""
