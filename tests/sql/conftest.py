from __future__ import annotations

import asyncpg
import pytest
from store.table import Table

from listener.store import Store


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> Table:
    return await Table(db, store).create()
