"""A Supabase project of each kind: an older one, which grants everything to the API by default, and a newer one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from listener.database import migrate
from listener.embedded import Postgres
from tests.support.databases import SUPABASE, as_role, execute, throwaway

from .project import Project

# What plays Supabase's role `postgres`, and its own programs. On Supabase, supautils lets `postgres` make policies on
# the tables of storage, which it does not own.
OWNER = """
do $$ begin
  create role sb_postgres login nosuperuser createdb createrole replication bypassrls password 'sb_postgres';
exception when duplicate_object or unique_violation then null;
end $$;
"""
STORAGE = """
do $$ declare t regclass; begin
  foreach t in array '{storage.buckets, storage.objects}'::regclass[] loop
    execute format('alter table %s owner to supabase_storage_admin', t);
  end loop;
end $$;
grant usage on schema storage to sb_postgres, supabase_storage_admin;
grant all on storage.buckets, storage.objects to sb_postgres;
grant supabase_storage_admin to sb_postgres;
"""


@pytest.fixture(autouse=True)
def bare_environment(workdir: Path) -> None:
    """No setting of this machine reaches a test."""


@pytest.fixture(scope="session", params=["older", "newer"])
def template_project(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """The name of a migrated database of that kind."""
    name = f"project_{request.param}"

    async def make() -> None:
        await execute(postgres.url, OWNER, f"create database {name} owner sb_postgres")
        url = postgres.database_url(name)
        exposes = "on" if request.param == "older" else "off"
        await execute(url, f"set stand_in.auto_expose = '{exposes}'", *SUPABASE, STORAGE)
        owner = await asyncpg.connect(as_role(url, "sb_postgres"))
        await migrate.migrate(owner)
        await owner.close()

    asyncio.run(make())
    return name


@pytest.fixture
def project(postgres: Postgres, template_project: str) -> Iterator[Project]:
    """A project of the test's own, of either kind."""
    with (
        throwaway(postgres, template=template_project, owner="sb_postgres") as url,
        asyncio.Runner() as runner,
    ):
        project = Project(url, runner)
        yield project
        project.close()
