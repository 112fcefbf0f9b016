from __future__ import annotations

import asyncpg
import pytest

from listener.database.store import Store
from tests.support.table import StoreTable


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> StoreTable:
    """Rows with two running words that go when their parent goes."""
    jobs = await StoreTable(db, store).create(stages=["processing", "enriching"])
    await db.execute(
        "create table parents (id text primary key);"
        "alter table jobs add parent text references parents on delete cascade"
    )
    return jobs
