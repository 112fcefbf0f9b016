"""Any earlier state of the schema comes to the newest one, once, and never goes back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from listener.database import migrate
from listener.database.store import Store
from listener.database.transport_postgres import PostgresTransport
from listener.errors import SchemaError
from tests.support.databases import Connect
from tests.support.table import StoreTable


async def migrate_once(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return await migrate.migrate(connection)
    finally:
        await connection.close()


async def check(url: str) -> None:
    transport = PostgresTransport(url)
    try:
        await Store(transport).check_schema()
    finally:
        await transport.close()


async def definitions(connection: asyncpg.Connection) -> str:
    """All that the schema is made of, as text."""
    return str(await connection.fetchval(
        "select jsonb_build_array("
        " (select jsonb_agg(pg_get_functiondef(p.oid) order by p.oid::regprocedure::text) from pg_proc as p"
        "  where p.pronamespace = 'listener'::regnamespace),"
        " (select jsonb_agg(jsonb_build_array(relname, attname, atttypid::regtype) order by relname, attnum)"
        "  from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
        "  where c.relnamespace = 'listener'::regnamespace and a.attnum > 0))"
    ))  # fmt: skip


async def test_eight_programs_start_at_once_and_one_of_them_migrates(bare_database: str) -> None:
    applied = await asyncio.gather(*(migrate_once(bare_database) for _ in range(8)))
    everything = [file.name for file in migrate.migrations() + migrate.functions()]
    assert sorted(applied) == [[]] * 7 + [everything]
    await check(bare_database)


async def test_the_script_does_the_same_and_may_be_pasted_twice(
    bare_database: str, db: asyncpg.Connection
) -> None:
    pasted = await asyncpg.connect(bare_database)
    for _ in range(2):
        await pasted.execute(migrate.script())
    assert await migrate.migrate(pasted) == []
    assert await definitions(pasted) == await definitions(db)
    await pasted.close()


async def test_a_database_without_the_schema_says_what_to_do(bare_database: str) -> None:
    with pytest.raises(SchemaError, match=r"no schema listener yet; run `listener migrate` first"):
        await check(bare_database)


async def test_an_edited_migration_is_refused(db: asyncpg.Connection) -> None:
    await db.execute(
        "update listener.migration set checksum = 'of another text' where name like 'migrations/%'"
    )
    with pytest.raises(SchemaError, match=r"0001_schema\.sql was edited after it had been applied"):
        await migrate.migrate(db)


async def test_a_newer_schema_is_refused(database: str, db: asyncpg.Connection) -> None:
    await db.execute("insert into listener.migration values ('migrations/9999_future.sql', '')")
    for attempt in (migrate.migrate(db), check(database)):
        with pytest.raises(SchemaError, match=r"the database has the newer schema 9999_future\.sql"):
            await attempt


async def test_an_older_schema_is_refused(database: str, db: asyncpg.Connection) -> None:
    await db.execute("delete from listener.migration where name = 'migrations/0001_schema.sql'")
    with pytest.raises(SchemaError, match=r"older than this program .* run `listener migrate`"):
        await check(database)


async def test_a_failed_migration_leaves_nothing(
    bare_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(migrate.sql_folder(), tmp_path, dirs_exist_ok=True)
    (tmp_path / "verbs" / "zzz.sql").write_text("select 1/0")
    monkeypatch.setattr(migrate, "sql_folder", lambda: tmp_path)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate_once(bare_database)
    monkeypatch.undo()
    with pytest.raises(SchemaError, match="no schema listener yet"):
        await check(bare_database)


async def test_an_upgrade_renews_the_functions_of_attached_tables(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await db.execute(
        "create or replace function listener.capture_insert_1() returns trigger language plpgsql as"
        " 'begin return null; end'; update listener.migration set checksum = '' where name = 'internals/triggers.sql'"
    )
    await jobs.add(1)
    assert await jobs.delivery(1) is None
    assert await migrate.migrate(db) == ["internals/triggers.sql"]
    await jobs.add(2)
    assert await jobs.state(2) == "waiting"


@pytest.mark.parametrize(
    "fate", ["drop table jobs", "alter table jobs rename to old", "alter table jobs rename status to s"]
)
async def test_an_upgrade_survives_what_became_of_a_table(
    jobs: StoreTable, db: asyncpg.Connection, fate: str
) -> None:
    await db.execute(fate)
    for _ in range(2):
        await db.execute("update listener.migration set checksum = '' where name = 'internals/triggers.sql'")
        assert await migrate.migrate(db) == ["internals/triggers.sql"]


async def test_an_upgrade_finds_a_table_that_was_made_anew(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute(
        "create table fresh (like jobs including all); drop table jobs; alter table fresh rename to jobs"
    )
    for _ in range(2):
        await db.execute("update listener.migration set checksum = '' where name = 'internals/triggers.sql'")
        await migrate.migrate(db)
    await jobs.add(1)
    assert (await jobs.claim_one()).origin == "insert"


async def test_presets_run_twice_on_a_plain_postgres(
    db: asyncpg.Connection, store: Store, connect: Connect
) -> None:
    for _ in range(2):
        await db.execute(migrate.preset("supabase_shim"))
        await db.execute(migrate.preset("export_jobs"))
    assert [queue["queue"] for queue in (await store.stats() or {})["queues"]] == ["export"]


async def test_a_function_whose_arguments_changed_takes_the_place_of_the_old_one(
    db: asyncpg.Connection,
) -> None:
    await db.execute(
        "drop function listener.backlog;"
        "create function listener.backlog(name text) returns int language sql as 'select 1';"
        "create function listener.backlog(name text, kind text) returns int language sql as 'select 2';"
        "update listener.migration set checksum = 'of an older text' where name = 'verbs/backlog.sql'"
    )
    assert await migrate.migrate(db) == ["verbs/backlog.sql"]
    assert await db.fetchval("select listener.backlog(queue => 'jobs')") == 0
    assert (
        await db.fetchval(
            "select count(*) from pg_proc where proname = 'backlog' and pronamespace = 'listener'::regnamespace"
        )
        == 1
    )
