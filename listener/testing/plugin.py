"""Fixtures for pytest. Activate them by `pytest_plugins = ["listener.testing.plugin"]` in `conftest.py`.

All tests of a session share one Postgres server. Each test gets a new database, copied from a template that has the
schema `listener`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest

from listener.app import App
from listener.database import migrate
from listener.embedded import Postgres
from listener.testing.harness import Harness, running_app

TEMPLATE = "listener_template"
_numbers = itertools.count(1)


class RunApp(Protocol):
    """Runs an app for the length of a block, on the database of the test."""

    def __call__(
        self, app: App, *, presets: Iterable[str] = (), sql: str = "", **settings: Any
    ) -> AbstractAsyncContextManager[Harness]:
        """Run an app; the arguments are those of `running_app`."""


@pytest.fixture(scope="session")
def listener_postgres() -> Iterator[Postgres]:
    """A Postgres server that is removed after the session. Its database `listener_template` is migrated."""
    with Postgres() as server:
        asyncio.run(_execute(server.url, f"create database {TEMPLATE}"))
        asyncio.run(_migrate(server.database_url(TEMPLATE)))
        yield server


@pytest.fixture
def listener_database(listener_postgres: Postgres) -> Iterator[str]:
    """The URL of a new database that has the schema `listener`. Override it to use a server that exists already."""
    name = f"listener_test_{next(_numbers)}"
    asyncio.run(_execute(listener_postgres.url, f"create database {name} template {TEMPLATE}"))
    yield listener_postgres.database_url(name)
    asyncio.run(_execute(listener_postgres.url, f"drop database {name} with (force)"))


@pytest.fixture
def run_app(listener_database: str, tmp_path: Path) -> RunApp:
    """Run apps on the test's database; their storage is below `tmp_path`."""

    def run(
        app: App, *, presets: Iterable[str] = (), sql: str = "", **settings: Any
    ) -> AbstractAsyncContextManager[Harness]:
        return running_app(
            app, tmp_path / "storage", presets=presets, sql=sql, database_url=listener_database, **settings
        )

    return run


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


async def _migrate(url: str) -> None:
    connection = await asyncpg.connect(url)
    await migrate.migrate(connection)
    await connection.close()
