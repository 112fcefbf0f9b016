from __future__ import annotations

import asyncpg
import pytest

from listener.database.store import Store
from tests.support.table import Table


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> Table:
    return await Table(db, store).create()
