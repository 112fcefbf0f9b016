from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from listener.embedded import Postgres
from listener.store import Store

from .table import Table


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> Table:
    """A user's table with text keys, attached."""
    return await Table(db, store).create()


@pytest.fixture
async def superuser(postgres: Postgres, database: str) -> AsyncIterator[asyncpg.Connection]:
    """A session in the test's database that may do what `app` may not."""
    connection = await asyncpg.connect(postgres.database_url(urlsplit(database).path[1:]))
    yield connection
    await connection.close()
