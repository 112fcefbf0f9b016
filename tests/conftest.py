"""Start one throw-away Postgres per process of pytest, when the first test needs it, and make a database for each test.

Tests act as `app`, a role that owns its tables and nothing else; only the databases are made by the superuser.
The newest installed Postgres is used. `LISTENER_TEST_PG_BIN` names the folder of another version's programs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import structlog
from hypothesis import settings as hypothesis_settings

from listener.database import migrate
from listener.database.store import Store
from listener.database.transport import Transport
from listener.database.transport_postgres import PostgresTransport
from listener.embedded import Postgres, bindirs
from tests.support.databases import Connect, as_app, as_superuser, execute, throwaway
from tests.support.processes import KEPT
from tests.support.standin import realtime

# The browser's and the server's roles are those of a Supabase project; `app` may act as each of them.
ROLES = """
create role app login nosuperuser nobypassrls nocreatedb nocreaterole password 'app';
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
grant anon, authenticated, service_role to app;
"""

hypothesis_settings.register_profile("default", deadline=None, print_blob=True)
hypothesis_settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=1000)
hypothesis_settings.load_profile("default")


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Reset the logs, because a command that a test runs in this process configures them."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server, with the role `app` and the roles of a Supabase project."""
    chosen = os.environ.get("LISTENER_TEST_PG_BIN")
    settings = {"max_connections": "100", "synchronous_commit": "off", "deadlock_timeout": "1s"}
    with Postgres(bindir=Path(chosen) if chosen else bindirs()[0], settings=settings) as server:
        asyncio.run(execute(server.url, ROLES))
        yield server


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """The name of a database that `app` owns and has migrated."""

    async def make() -> None:
        await execute(postgres.url, "create database template_app owner app")
        connection = await asyncpg.connect(as_app(postgres.database_url("template_app")))
        await migrate.migrate(connection)
        await connection.close()

    asyncio.run(make())
    return "template_app"


@pytest.fixture
def database(postgres: Postgres, template: str) -> Iterator[str]:
    """The URL, for `app`, of a migrated database that only this test uses."""
    with throwaway(postgres, template=template) as url:
        yield as_app(url)


@pytest.fixture
def bare_database(postgres: Postgres) -> Iterator[str]:
    """The URL, for `app`, of an empty database that only this test uses, without the schema `listener`."""
    with throwaway(postgres) as url:
        yield as_app(url)


@pytest.fixture
async def connect(database: str) -> AsyncIterator[Connect]:
    """A function that opens another session of `app` in the test's database; it ends with the test."""
    opened: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        opened.append(await asyncpg.connect(database))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.terminate()


@pytest.fixture
async def db(connect: Connect) -> asyncpg.Connection:
    """The user's session: a connection of `app` to the test's database."""
    return await connect()


@pytest.fixture
async def superuser(postgres: Postgres, database: str) -> AsyncIterator[asyncpg.Connection]:
    """A session in the test's database that may do what `app` may not."""
    connection = await asyncpg.connect(as_superuser(postgres, database))
    yield connection
    connection.terminate()


@pytest.fixture
async def has_realtime(superuser: asyncpg.Connection) -> None:
    """The test's database has the schema `realtime` of a Supabase project."""
    await superuser.execute(realtime.SQL)


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, in an environment without any setting of this machine."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - set(KEPT):
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture(params=["postgres"])
async def transport(database: str) -> AsyncIterator[Transport]:
    """Each way to call the SQL functions."""
    transport = PostgresTransport(database)
    yield transport
    await transport.close()


@pytest.fixture
def store(transport: Transport) -> Store:
    return Store(transport)
