"""The preset of `export_jobs` on a plain Postgres: the table, its policies, and the queue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from listener.database import migrate
from listener.embedded import Postgres

STORAGE = """
create schema storage;
create table storage.buckets (id text primary key, name text not null, public boolean);
create table storage.objects (id uuid primary key default gen_random_uuid(), bucket_id text, name text);
create function storage.foldername(name text) returns text[] immutable language sql
as $$ select (string_to_array(name, '/'))[1:cardinality(string_to_array(name, '/')) - 1] $$;
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """A fresh database with the preset, applied twice."""
    name = f"preset_{uuid4().hex}"
    owner = await asyncpg.connect(postgres.url)
    await owner.execute(f"create database {name}")
    await owner.close()
    connection = await asyncpg.connect(postgres.database_url(name))
    await migrate.migrate(connection)
    for preset in ("supabase_shim", "supabase_shim", "export_jobs", "export_jobs"):
        await connection.execute(migrate.preset(preset))
    yield connection
    await connection.close()


async def a_user(database: asyncpg.Connection) -> UUID:
    user: UUID = await database.fetchval("insert into auth.users default values returning id")
    return user


async def become(database: asyncpg.Connection, user: UUID) -> None:
    """For the rest of the transaction, act as the API does for a signed-in user."""
    claims = json.dumps({"sub": str(user), "role": "authenticated"})
    await database.execute("set local role authenticated")
    await database.execute("select set_config('request.jwt.claims', $1, true)", claims)


async def insert(database: asyncpg.Connection, owner: UUID) -> UUID:
    job: UUID = await database.fetchval(
        """
        insert into export_jobs (id, user_id, project_id, status, width, height, fps, duration)
        values (gen_random_uuid(), $1, gen_random_uuid(), 'queued', 1280, 720, 30, 14)
        returning id
        """,
        owner,
    )
    return job


async def test_a_users_insert_becomes_a_delivery(database: asyncpg.Connection) -> None:
    user = await a_user(database)
    async with database.transaction():
        await become(database, user)
        job = await insert(database, user)

    assert await database.fetchval("select job_key from listener.delivery") == str(job)


async def test_users_see_and_make_only_their_own_exports(database: asyncpg.Connection) -> None:
    user, other = await a_user(database), await a_user(database)
    await insert(database, other)

    async with database.transaction():
        await become(database, user)
        assert await database.fetchval("select count(*) from export_jobs") == 0
        assert await database.execute("update export_jobs set status = 'failed'") == "UPDATE 0"
        assert await database.execute("delete from export_jobs") == "DELETE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with database.transaction():
                await insert(database, other)


async def test_exports_go_with_their_user(database: asyncpg.Connection) -> None:
    user = await a_user(database)
    await insert(database, user)
    await database.execute("delete from auth.users")

    assert await database.fetchval("select count(*) from export_jobs") == 0


async def test_where_there_is_storage_there_are_buckets_and_their_policies(
    database: asyncpg.Connection,
) -> None:
    await database.execute(STORAGE)
    for _ in range(2):
        await database.execute(migrate.preset("export_jobs"))

    buckets = await database.fetch("select id, public from storage.buckets order by id")
    assert [tuple(bucket) for bucket in buckets] == [("export_data", False), ("exports", False)]
    policies = await database.fetch(
        "select policyname from pg_policies where tablename = 'objects' order by 1"
    )
    assert [name for (name,) in policies] == [
        "export_data_insert_policy",
        "export_data_select_policy",
        "exports_insert_policy",
        "exports_select_policy",
    ]


async def test_the_shim_keeps_away_from_a_real_supabase(database: asyncpg.Connection) -> None:
    async with database.transaction():
        await database.execute(
            "create role supabase_auth_admin; alter schema auth owner to supabase_auth_admin"
        )
        with pytest.raises(asyncpg.RaiseError, match="does not need the preset supabase_shim"):
            async with database.transaction():
                await database.execute(migrate.preset("supabase_shim"))
        await database.execute("alter schema auth owner to current_user; drop role supabase_auth_admin")
