"""A Supabase project of each kind: an older one, which grants everything to the API by default, and a newer one."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from listener.database import migrate
from listener.embedded import Postgres

from .project import Project

STANDIN = Path(__file__).parents[1] / "support/standin"

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

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that the tests run on reaches them."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session", params=["older", "newer"])
def template_project(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """The name of a migrated database of that kind."""
    name = f"project_{request.param}"

    async def make() -> None:
        root = await asyncpg.connect(postgres.url)
        await root.execute(OWNER)
        await root.execute(f"create database {name} owner sb_postgres")
        await root.close()
        root = await asyncpg.connect(postgres.database_url(name))
        if request.param == "older":
            await root.execute("set stand_in.auto_expose = 'on'")
        for file in ("schema.sql", "storage.sql"):
            await root.execute((STANDIN / file).read_text(encoding="utf-8"))
        await root.execute(STORAGE)
        await root.close()
        owner = await asyncpg.connect(postgres.database_url(name), user="sb_postgres", password="sb_postgres")
        await migrate.migrate(owner)
        await owner.close()

    asyncio.run(make())
    return name


@pytest.fixture
def project(postgres: Postgres, template_project: str) -> Iterator[Project]:
    """A project of the test's own, of either kind."""
    name = f"project_{next(_numbers)}"

    async def run(statement: str) -> None:
        root = await asyncpg.connect(postgres.url)
        await root.execute(statement)
        await root.close()

    asyncio.run(run(f"create database {name} template {template_project} owner sb_postgres"))
    with asyncio.Runner() as runner:
        project = Project(postgres.database_url(name), runner)
        yield project
        project.close()
    asyncio.run(run(f"drop database {name} with (force)"))
