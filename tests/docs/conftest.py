from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import anyio.from_thread
import asyncpg

from listener.embedded import Postgres
from tests.service.conftest import OURS, STANDIN
from tests.support.standin import realtime
from tests.support.standin.stack import Stack, running


@contextmanager
def supabase_project(postgres: Postgres, url: str) -> Iterator[Stack]:
    """A Supabase project on an empty database, as the dashboard makes it."""

    async def make() -> None:
        root = await asyncpg.connect(postgres.database_url(urlsplit(url).path.removeprefix("/")))
        for file in ("schema.sql", "storage.sql"):
            await root.execute((STANDIN / file).read_text(encoding="utf-8"))
        await root.execute(realtime.SQL)
        await root.execute(OURS)
        await root.close()

    asyncio.run(make())
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(url)) as project,
    ):
        yield project
