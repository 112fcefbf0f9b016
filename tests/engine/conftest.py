from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from listener.embedded import Postgres
from tests.support.databases import as_superuser
from tests.support.harness import Table


@pytest.fixture(autouse=True)
def bare_environment(workdir: Path) -> None:
    """No setting of this machine reaches a test."""


@pytest.fixture
def postgres_url(postgres: Postgres, database: str) -> str:
    """The URL of the test's database for the superuser."""
    return as_superuser(postgres, database)


@pytest.fixture
async def jobs(db: asyncpg.Connection) -> Table:
    """A user's table, attached as the queue `jobs`."""
    return await Table(db).create()
