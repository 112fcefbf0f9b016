from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio.from_thread

from listener.embedded import Postgres
from tests.support.databases import become_project
from tests.support.standin.stack import Stack, running


@contextmanager
def supabase_project(postgres: Postgres, url: str) -> Iterator[Stack]:
    """Run a Supabase project, as the dashboard makes it, on an empty database."""
    asyncio.run(become_project(postgres, url))
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(url)) as project,
    ):
        yield project
