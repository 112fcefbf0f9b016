"""A throw-away Postgres for the whole run, started when the first test asks for it, and in it a fresh database for
each test. Everything but the making of databases is done as `app`, a role that owns its tables and nothing else.

The newest installation of Postgres is used; `LISTENER_TEST_PG_BIN` names the folder of another one's programs.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
import structlog
from hypothesis import settings as hypothesis_settings

from listener.database import migrate
from listener.database.store import Store
from listener.database.transport import Transport
from listener.database.transport_postgres import PostgresTransport
from listener.embedded import Postgres, bindirs

Connect = Callable[[], Awaitable[asyncpg.Connection]]

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

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """A command that a test ran in this process has configured the logs for itself, not for later tests."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server, with the role `app` and the roles of a Supabase project."""
    chosen = os.environ.get("LISTENER_TEST_PG_BIN")
    settings = {"max_connections": "100", "synchronous_commit": "off", "deadlock_timeout": "1s"}
    with Postgres(bindir=Path(chosen) if chosen else bindirs()[0], settings=settings) as server:
        asyncio.run(_run(server.url, ROLES))
        yield server


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """The name of a database that `app` owns and has migrated."""

    async def make() -> None:
        await _run(postgres.url, "create database template_app owner app")
        connection = await asyncpg.connect(_as_app(postgres.database_url("template_app")))
        await migrate.migrate(connection)
        await connection.close()

    asyncio.run(make())
    return "template_app"


@pytest.fixture
def database(postgres: Postgres, template: str) -> Iterator[str]:
    """The URL, as `app`, of a migrated database of the test's own."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_run(postgres.url, f"create database {name} template {template} owner app"))
    yield _as_app(postgres.database_url(name))
    asyncio.run(_run(postgres.url, f"drop database {name} with (force)"))


@pytest.fixture
def bare_database(postgres: Postgres) -> Iterator[str]:
    """The URL, as `app`, of an empty database of the test's own, without the schema `listener`."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_run(postgres.url, f"create database {name} owner app"))
    yield _as_app(postgres.database_url(name))
    asyncio.run(_run(postgres.url, f"drop database {name} with (force)"))


@pytest.fixture
async def connect(database: str) -> AsyncIterator[Connect]:
    """Opens further sessions of `app` in the test's database; they end with the test."""
    opened: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        opened.append(await asyncpg.connect(database))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.terminate()


@pytest.fixture
async def db(connect: Connect) -> asyncpg.Connection:
    """The user's session: an `app` connection to the test's database."""
    return await connect()


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without `.env`, in an environment that names no project."""
    monkeypatch.chdir(tmp_path)
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_KEY", "SUPABASE_SERVICE_ROLE_KEY"):
        monkeypatch.delenv(name, raising=False)
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


async def _run(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


def _as_app(url: str) -> str:
    """The same database, with the role `app`."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"app:{quote('app')}@{parts.hostname}:{parts.port}").geturl()
