from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from listener.database.store import Store
from listener.database.transport_rest import RestTransport
from tests.support.standin.stack import Stack, running
from tests.support.table import StoreTable


@pytest.fixture
async def project(database: str) -> AsyncIterator[Stack]:
    """A Supabase project on the test's database."""
    async with running(database) as project:
        yield project


@pytest.fixture
async def transport(project: Stack) -> AsyncIterator[RestTransport]:
    """The transport over the project's REST API."""
    transport = RestTransport(project.url, project.secret_key)
    yield transport
    await transport.close()


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> StoreTable:
    """A user's table, attached."""
    return await StoreTable(db, store).create()
