from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from listener.embedded import Postgres
from tests.support.harness import Table


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that the tests run on reaches the service."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        monkeypatch.delenv(name)


@pytest.fixture
def postgres_url(postgres: Postgres, database: str) -> str:
    """The test's database as its superuser."""
    return postgres.database_url(urlsplit(database).path.removeprefix("/"))


@pytest.fixture
async def jobs(db: asyncpg.Connection) -> Table:
    """A user's table, attached as the queue `jobs`."""
    return await Table(db).create()
