"""A Supabase project in which the exports of OpenCut are set up, and those who use it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from listener.database import migrate
from listener.embedded import Postgres
from tests.support.databases import as_app, become_project, execute, throwaway
from tests.support.standin.stack import Stack, running

PRESETS = ("export_jobs", "export_jobs_guard", "realtime_progress")


@pytest.fixture(autouse=True)
def bare_environment(workdir: Path) -> None:
    """No setting of this machine reaches a test."""


@pytest.fixture(scope="session")
def template_project(postgres: Postgres) -> str:
    """The name of a migrated database of a project that `app` owns, with the presets of exports."""

    async def make() -> None:
        await execute(postgres.url, "create database template_exports owner app")
        url = as_app(postgres.database_url("template_exports"))
        await become_project(postgres, url)
        owner = await asyncpg.connect(url)
        await migrate.migrate(owner)
        for preset in PRESETS:
            await owner.execute(migrate.preset(preset))
        await owner.execute("alter publication supabase_realtime add table export_jobs")
        await owner.close()

    asyncio.run(make())
    return "template_exports"


@pytest.fixture
def project_url(postgres: Postgres, template_project: str) -> Iterator[str]:
    """The URL, for `app`, of a project's database that only this test uses."""
    with throwaway(postgres, template=template_project) as url:
        yield as_app(url)


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
