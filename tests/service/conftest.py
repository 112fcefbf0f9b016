"""A Supabase project in which the exports of OpenCut are set up, and those who use it."""

from __future__ import annotations

import asyncio
import itertools
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from listener.database import migrate
from listener.embedded import Postgres
from tests.support.standin import realtime
from tests.support.standin.stack import Stack, running

STANDIN = Path(__file__).parents[1] / "support/standin"
PRESETS = ("export_jobs", "export_jobs_guard", "realtime_progress")

# `app` plays Supabase's role `postgres`, which supautils lets make policies on the tables of storage.
OURS = """
grant supabase_storage_admin to app;
alter table storage.buckets owner to supabase_storage_admin;
alter table storage.objects owner to supabase_storage_admin;
grant usage on schema storage, auth to app;
grant usage on schema storage to supabase_storage_admin;
grant all on auth.users, storage.buckets, storage.objects to app;
"""

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that the tests run on reaches the service."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - {"PATH"}:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def template_project(postgres: Postgres) -> str:
    """The name of a project's database that `app` owns: migrated, with the presets of exports."""

    async def make() -> None:
        root = await asyncpg.connect(postgres.url)
        await root.execute("create database template_exports owner app")
        await root.close()
        root = await asyncpg.connect(postgres.database_url("template_exports"))
        for file in ("schema.sql", "storage.sql"):
            await root.execute((STANDIN / file).read_text(encoding="utf-8"))
        await root.execute(realtime.SQL)
        await root.execute(OURS)
        await root.close()
        owner = await asyncpg.connect(as_app(postgres.database_url("template_exports")))
        await migrate.migrate(owner)
        for preset in PRESETS:
            await owner.execute(migrate.preset(preset))
        await owner.execute("alter publication supabase_realtime add table export_jobs")
        await owner.close()

    asyncio.run(make())
    return "template_exports"


@pytest.fixture
def project_url(postgres: Postgres, template_project: str) -> Iterator[str]:
    """The URL, as `app`, of a project's database of the test's own."""
    with copied(postgres, template_project) as url:
        yield url


@contextmanager
def copied(postgres: Postgres, template: str) -> Iterator[str]:
    """A database like the template, for a while."""
    name = f"exports_{next(_numbers)}"

    async def run(statement: str) -> None:
        root = await asyncpg.connect(postgres.url)
        try:
            # A replication slot ends a moment after its session.
            while True:
                try:
                    await root.execute(statement)
                except asyncpg.ObjectInUseError:
                    await asyncio.sleep(0.05)
                else:
                    return
        finally:
            await root.close()

    asyncio.run(run(f"create database {name} template {template} owner app"))
    yield as_app(postgres.database_url(name))
    asyncio.run(run(f"drop database {name} with (force)"))


@pytest.fixture
async def project(project_url: str) -> AsyncIterator[Stack]:
    async with running(project_url) as stack:
        yield stack


@pytest.fixture
async def owner(project_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner of the project, in the SQL editor."""
    connection = await asyncpg.connect(project_url)
    yield connection
    connection.terminate()


@pytest.fixture
async def user(owner: asyncpg.Connection) -> str:
    """The id of somebody who has signed up."""
    user = str(uuid.uuid4())
    await owner.execute("insert into auth.users (id, email) values ($1, 'someone@example.com')", user)
    return user


@pytest.fixture
async def browser(project: Stack, user: str) -> AsyncIterator[httpx.AsyncClient]:
    """That user's browser, which knows the publishable key."""
    headers = {"apikey": project.publishable_key, "Authorization": f"Bearer {project.user_token(user)}"}
    async with httpx.AsyncClient(base_url=project.url, headers=headers, trust_env=False) as client:
        yield client


def as_app(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"app:app@{parts.hostname}:{parts.port}").geturl()
