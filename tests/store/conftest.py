from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from listener.database.store import Store
from listener.database.transport import Transport
from listener.database.transport_postgres import PostgresTransport
from listener.database.transport_rest import RestTransport
from tests.support.standin.stack import running
from tests.support.table import StoreTable


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Over the REST API one case of each test says enough: the SQL behind it is the same."""
    seen: set[object] = set()

    def again(item: pytest.Item) -> bool:
        case = getattr(item, "callspec", None)
        if case is None or case.params.get("transport") != "rest":
            return False
        test = getattr(item, "function", None)
        if test in seen:
            return True
        seen.add(test)
        return False

    items[:] = [item for item in items if not again(item)]


@pytest.fixture(params=["postgres", "rest"])
async def transport(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Transport]:
    """Each way to call the SQL functions."""
    if request.param == "postgres":
        transport = PostgresTransport(database)
        yield transport
        await transport.close()
        return
    async with running(database) as project:
        api = RestTransport(project.url, project.secret_key)
        yield api
        await api.close()


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> StoreTable:
    """A user's table with text keys, attached."""
    return await StoreTable(db, store).create()
