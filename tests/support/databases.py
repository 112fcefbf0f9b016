"""Make and reach the databases of the test's Postgres."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from listener.embedded import Postgres
from tests.support.standin import realtime

Connect = Callable[[], Awaitable[asyncpg.Connection]]

STANDIN = Path(__file__).parent / "standin"
SUPABASE = [(STANDIN / name).read_text(encoding="utf-8") for name in ("schema.sql", "storage.sql")]
"""The schemas `auth` and `storage` and the roles of a Supabase project."""

# `app` plays Supabase's role `postgres`, which supautils lets make policies on the tables of storage.
APP_IS_POSTGRES = """
grant supabase_storage_admin to app;
alter table storage.buckets owner to supabase_storage_admin;
alter table storage.objects owner to supabase_storage_admin;
grant usage on schema storage, auth to app;
grant usage on schema storage to supabase_storage_admin;
grant all on auth.users, storage.buckets, storage.objects to app;
"""

_numbers = itertools.count(1)


async def execute(url: str, *scripts: str) -> None:
    """Run SQL scripts in one new session."""
    connection = await asyncpg.connect(url)
    try:
        for script in scripts:
            await connection.execute(script)
    finally:
        await connection.close()


def as_role(url: str, role: str, password: str | None = None) -> str:
    """Return the URL of the same database for a role; its password defaults to its name."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:{password or role}@{parts.hostname}:{parts.port}").geturl()


def as_app(url: str) -> str:
    return as_role(url, "app")


def as_superuser(postgres: Postgres, url: str) -> str:
    """Return the URL of the same database for the superuser."""
    return postgres.database_url(urlsplit(url).path.removeprefix("/"))


async def become_project(postgres: Postgres, url: str) -> None:
    """Make an empty database the database of a Supabase project whose role `postgres` is `app`."""
    await execute(as_superuser(postgres, url), *SUPABASE, realtime.SQL, APP_IS_POSTGRES)


@contextmanager
def throwaway(postgres: Postgres, *, template: str = "template1", owner: str = "app") -> Iterator[str]:
    """Make a database for the length of the block. Yields its URL for the superuser."""
    name = f"test_{next(_numbers)}"
    asyncio.run(execute(postgres.url, f"create database {name} template {template} owner {owner}"))
    yield postgres.database_url(name)
    asyncio.run(_drop(postgres.url, name))


async def _drop(url: str, name: str) -> None:
    while True:
        try:
            await execute(url, f"drop database {name} with (force)")
        except asyncpg.ObjectInUseError:  # a replication slot ends a moment after its session
            await asyncio.sleep(0.05)
        else:
            return
