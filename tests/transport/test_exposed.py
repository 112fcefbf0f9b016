"""The REST API can call the verbs with the service's key only, and nothing on a plain Postgres."""

from __future__ import annotations

import asyncpg
import pytest

from listener.database import migrate
from listener.embedded import Postgres
from tests.support.databases import as_superuser

CALLABLE = """
select r.rolname, count(*) from pg_proc as p cross join pg_roles as r
where p.pronamespace = 'public'::regnamespace and p.proname like 'listener\\_%'
  and r.rolname in ('anon', 'authenticated', 'service_role', 'pg_monitor')
  and has_function_privilege(r.oid, p.oid, 'execute')
group by 1
"""
EXPOSED = (
    "select count(*) from pg_proc where pronamespace = 'public'::regnamespace and proname like 'listener\\_%'"
)


@pytest.mark.parametrize("grants", ["none", "older project"])
async def test_only_the_service_may_call_them(bare_database: str, grants: str) -> None:
    db = await asyncpg.connect(bare_database)
    if grants == "older project":
        await db.execute(
            "alter default privileges in schema public grant all on functions to anon, authenticated, service_role"
        )
    await migrate.migrate(db)
    exposed = await db.fetchval(EXPOSED)
    assert exposed > 20
    assert [tuple(row) for row in await db.fetch(CALLABLE)] == [("service_role", exposed)]
    await db.close()


async def test_each_says_where_its_names_are_looked_up(db: asyncpg.Connection) -> None:
    careless = await db.fetch(
        "select proname from pg_proc where pronamespace = 'public'::regnamespace and proname like 'listener\\_%'"
        " and not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false)"
    )
    assert careless == []


async def test_a_plain_postgres_has_none(postgres: Postgres, bare_database: str) -> None:
    db = await asyncpg.connect(as_superuser(postgres, bare_database))
    undone = db.transaction()
    await undone.start()
    await db.execute("alter role service_role rename to plain")
    await migrate.migrate(db)
    assert await db.fetchval(EXPOSED) == 0
    assert await db.fetchval("select cardinality(listener.schema_version()) > 0")
    await undone.rollback()
    await db.close()


async def test_a_database_without_the_schema_public_has_none(bare_database: str) -> None:
    db = await asyncpg.connect(bare_database)
    await db.execute("drop schema public")
    await migrate.migrate(db)
    assert await db.fetchval("select cardinality(listener.schema_version()) > 0")
    await db.close()


async def test_they_follow_the_verbs_and_leave_others_alone(db: asyncpg.Connection) -> None:
    await db.execute(
        "create function public.listener_of_mine() returns int language sql as 'select 1';"
        "drop function listener.backlog;"
        "create function listener.backlog(name text) returns int language sql as 'select 1';"
        "update listener.migration set checksum = 'of an older text' where name = 'verbs/backlog.sql'"
    )
    assert await migrate.migrate(db) == ["verbs/backlog.sql"]
    assert await db.fetchval("select public.listener_backlog(queue => 'jobs')") == 0
    assert await db.fetchval("select public.listener_of_mine()") == 1


async def test_the_api_is_told_to_look_again(bare_database: str) -> None:
    db, api = await asyncpg.connect(bare_database), await asyncpg.connect(bare_database)
    heard: list[object] = []
    await api.add_listener("pgrst", lambda *said: heard.append(said[-1]))
    await migrate.migrate(db)
    await api.execute("select 1")
    assert heard == ["reload schema"]
    await db.close()
    await api.close()


@pytest.mark.parametrize(
    "preset", ["export_jobs", "clip_jobs", "studio_jobs", "operations", "projects", "briefs"]
)
async def test_the_api_is_told_of_the_tables_of_a_preset(db: asyncpg.Connection, preset: str) -> None:
    for needed in ("supabase_shim", *(["projects"] if preset == "clip_jobs" else [])):
        await db.execute(migrate.preset(needed))
    heard: list[object] = []
    await db.add_listener("pgrst", lambda *said: heard.append(said[-1]))
    await db.execute(migrate.preset(preset))
    await db.execute("select 1")
    assert heard == ["reload schema"]
