from __future__ import annotations

import asyncpg
import pytest

from listener.database.store import Store
from tests.support.table import StoreTable


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> StoreTable:
    return await StoreTable(db, store).create()
