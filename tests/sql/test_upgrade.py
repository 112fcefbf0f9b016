"""A database of the previous version comes to this version with its tables, its running attempts and its grants.

`previous_schema.sql.gz` is what `listener migrate --print` printed at the last version that had `sql/functions/`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from listener.database import migrate
from listener.database.store import Store
from listener.database.transport_postgres import PostgresTransport
from listener.embedded import Postgres
from tests.support.table import COLUMNS, StoreTable

PREVIOUS = gzip.decompress((Path(__file__).parent / "previous_schema.sql.gz").read_bytes()).decode()

ATTACH = """
select listener.attach('public.jobs', 'jobs', words =>
  '{"ready": "queued", "running": "processing", "done": "completed", "failed": "failed", "cancelled": "cancelled"}')
"""

FUNCTIONS = """
select array_agg(p.oid::regprocedure::text order by 1) from pg_proc as p where p.pronamespace = 'listener'::regnamespace
"""


@pytest.fixture
async def old(bare_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A database of the previous version, with `public.jobs` attached."""
    connection = await asyncpg.connect(bare_database)
    await connection.execute(PREVIOUS)
    await connection.execute(
        f"create table jobs ({COLUMNS.format(key='text', clock='timestamptz')}); {ATTACH}"
    )
    yield connection
    await connection.close()


@pytest.fixture
async def jobs(old: asyncpg.Connection, bare_database: str) -> AsyncIterator[StoreTable]:
    """The hands of the user and of the service in that database."""
    transport = PostgresTransport(bare_database)
    yield StoreTable(old, Store(transport))
    await transport.close()


async def names(db: asyncpg.Connection) -> set[str]:
    return set(await db.fetchval(FUNCTIONS))


async def test_its_functions_become_those_of_a_new_database(
    old: asyncpg.Connection, db: asyncpg.Connection
) -> None:
    await old.execute("create function listener.take_7() returns int language sql as 'select 1'")
    assert await migrate.migrate(old)
    await db.execute(f"create table jobs ({COLUMNS.format(key='text', clock='timestamptz')}); {ATTACH}")
    assert await names(old) == await names(db)
    applied = "select array_agg(name order by name) from listener.migration"
    assert await old.fetchval(applied) == await db.fetchval(applied)
    assert await migrate.migrate(old) == []


@pytest.mark.parametrize("way", ["migrate", "script"])
async def test_its_tables_and_running_attempts_go_on(jobs: StoreTable, way: str) -> None:
    await jobs.add(1, 2, 3)
    first, second = await jobs.claim(2)
    assert (await jobs.settle("progress", second, percent=40)).outcome == "ok"

    if way == "script":
        await jobs.db.execute(migrate.script())
    else:
        await migrate.migrate(jobs.db)

    assert await jobs.store.heartbeat("w1", [(first.id, first.fence), (second.id, second.fence)]) == []
    assert (await jobs.settle("complete", first, columns={"url": "u"})).outcome == "ok"
    assert (await jobs.settle("retry", second, error="again", delay=0)).outcome == "ok"
    await jobs.become_due()
    await jobs.add(4)
    assert {job.key for job in await jobs.claim()} == {"job 2", "job 3", "job 4"}
    await jobs.set(3, "cancelled")
    assert await jobs.delivery(3) is None
    await jobs.set(1, "queued")
    assert await jobs.state(1) == "waiting"


async def test_a_renamed_table_raises_no_warnings(jobs: StoreTable) -> None:
    """Nothing claims its rows, but its triggers are still there and call functions that are new."""
    await jobs.add(1)
    await jobs.db.execute("alter table jobs rename to old_jobs")
    warnings: list[object] = []
    jobs.db.add_log_listener(lambda _, message: warnings.append(message))

    await migrate.migrate(jobs.db)
    await jobs.db.execute(
        "insert into old_jobs (id) values ('job 2'); update old_jobs set status = 'cancelled'; delete from old_jobs"
    )

    assert [warning for warning in warnings if "could not capture" in str(warning)] == []
    assert await jobs.db.fetchval("select count(*) from listener.delivery") == 0


async def test_former_names_of_verbs_may_still_be_called(jobs: StoreTable) -> None:
    await jobs.add(1)
    (claimed,) = await jobs.claim()
    await migrate.migrate(jobs.db)
    await jobs.settle("checkpoint", claimed, value={"secret": 1})

    async def called(function: str) -> Any:
        return json.loads(await jobs.db.fetchval(f"select {function}('jobs', 'job 1')"))

    full = await called("public.listener_look")
    assert full == await called("listener.job") == await called("public.listener_job")
    assert full["row"]["id"] == "job 1"
    public = await called("listener.glance")
    assert public == await called("public.listener_job_public")
    assert "row" not in public
    assert "checkpoint" not in public["delivery"]


async def test_the_worker_role_keeps_its_grants(
    old: asyncpg.Connection, bare_database: str, postgres: Postgres
) -> None:
    owner = await asyncpg.connect(postgres.database_url(urlsplit(bare_database).path[1:]))
    undone = owner.transaction()
    await undone.start()
    # Roles belong to all databases of the server, so another test may have created it.
    await owner.execute(
        "do $$ begin create role listener_worker nologin; exception when duplicate_object then null; end $$;"
        "select listener.grant_verbs('listener_worker')"
    )
    await migrate.migrate(owner)
    allowed = {
        row["proname"]
        for row in await owner.fetch(
            "select proname from pg_proc where pronamespace = 'listener'::regnamespace"
            " and has_function_privilege('listener_worker', oid, 'execute')"
        )
    }
    assert allowed == {*await owner.fetchval("select listener.service_verbs()"), "glance"}
    await undone.rollback()
    await owner.close()
