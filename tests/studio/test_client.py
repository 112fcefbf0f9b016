"""The client over each way that it may go, and its table."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from handlers.studio import (
    AsyncStudioJobsClient,
    StudioJobError,
    StudioJobNotFound,
    StudioJobOver,
    StudioJobsClient,
)
from handlers.studio.handler import app
from listener import ConfigError
from listener.database import migrate
from listener.kit.tables import TablesError
from listener.kit.tables.postgres import PostgresTables
from listener.kit.tables.rest import RestTables
from listener.testing import running_app
from tests.support.standin.stack import running

USER, OTHER = str(uuid.uuid4()), str(uuid.uuid4())


@pytest.fixture
async def installed(database: str, db: asyncpg.Connection) -> str:
    for preset in ("supabase_shim", "studio_jobs", "studio_jobs"):
        await db.execute(migrate.preset(preset))
    await db.execute("insert into auth.users (id) select unnest($1::uuid[])", [USER, OTHER])
    return database


@pytest.fixture(params=["postgres", "service key", "user"])
async def client(request: pytest.FixtureRequest, installed: str) -> AsyncIterator[AsyncStudioJobsClient]:
    async with running(installed) as project:
        match request.param:
            case "postgres":
                made = AsyncStudioJobsClient(PostgresTables(installed))
            case "service key":
                made = AsyncStudioJobsClient(RestTables(project.url, project.secret_key))
            case _:
                tables = RestTables(project.url, project.publishable_key, project.user_token(USER))
                made = AsyncStudioJobsClient(tables)
        yield made
        await made.close()


async def test_a_job_is_driven_by_hand_from_new_to_complete(client: AsyncStudioJobsClient) -> None:
    job = await client.create_job(USER, "https://example.com/a.mp3", "Be kind.")
    key = job["job_id"]
    assert (job["status"], job["system_prompt_used"]) == ("NEW", "Be kind.")
    assert (await client.update_status(key, client.STATUS_TRANSCRIBING))["status"] == "TRANSCRIBING"
    assert (await client.store_transcript(key, "so it is"))["status"] == "ENRICHING"
    await client.update_status(key, client.STATUS_REFINING)
    done = await client.store_refined_text(key, "So it is.")
    assert (done["status"], done["raw_transcript"], done["refined_text"]) == (
        "COMPLETE",
        "so it is",
        "So it is.",
    )
    assert done["processing_time_ms"] >= 0
    assert await client.get_job(key) == done
    assert [row["job_id"] for row in await client.list_jobs(USER)] == [key]
    with pytest.raises(StudioJobOver, match="has ended with the status COMPLETE"):
        await client.store_transcript(key, "late")


async def test_failures_have_details_and_are_counted(client: AsyncStudioJobsClient) -> None:
    for error in ("the file is gone", ValueError("no speech"), {"code": 7}):
        job = await client.create_job(USER, status=client.STATUS_TRANSCRIBING)
        await client.fail(job["job_id"], error)
    done = await client.create_job(USER, status=client.STATUS_REFINING)
    done = await client.store_refined_text(done["job_id"], "So.")
    counted = await client.statistics()
    assert counted.by_status == {"FAILED": 3, "COMPLETE": 1}
    assert counted.mean_ms == counted.p95_ms == done["processing_time_ms"]
    last, second, first = (one["error_details"] for one in counted.recent_failures)
    assert last == {"code": 7}
    assert (second["error"], second["message"]) == ("ValueError", "no speech")
    assert (first["stage"], first["message"]) == ("TRANSCRIBING", "the file is gone")


async def test_what_makes_no_sense_is_refused(client: AsyncStudioJobsClient) -> None:
    with pytest.raises(StudioJobError, match="'DONE' is not a status of a studio job; use one of NEW,"):
        await client.update_status(str(uuid.uuid4()), "DONE")
    with pytest.raises(StudioJobNotFound):
        await client.update_status(str(uuid.uuid4()), client.STATUS_NEW)
    assert await client.get_job(str(uuid.uuid4())) is None


async def test_a_user_sees_and_moves_no_job_of_another(installed: str) -> None:
    async with running(installed) as project:
        owner = AsyncStudioJobsClient(PostgresTables(installed))
        job = await owner.create_job(OTHER, "a.mp3")
        other = AsyncStudioJobsClient(
            RestTables(project.url, project.publishable_key, project.user_token(USER))
        )
        assert await other.get_job(job["job_id"]) is None
        assert (await other.statistics()).by_status == {}
        with pytest.raises(StudioJobNotFound):
            await other.fail(job["job_id"], "mine now")
        with pytest.raises(TablesError):
            await other.create_job(OTHER, "b.mp3")
        assert await owner.get_job(job["job_id"]) == job
        await owner.close()
        await other.close()


async def test_the_service_keeps_off_what_is_driven_by_hand(installed: str, tmp_path: Path) -> None:
    client = AsyncStudioJobsClient(PostgresTables(installed))
    before = await client.create_job(USER, "gone.mp3")
    await client.update_status(before["job_id"], client.STATUS_TRANSCRIBING)
    async with running_app(app, tmp_path, database_url=installed) as made:
        during = await client.create_job(USER, "gone.mp3", status=client.STATUS_TRANSCRIBING)
        for job in (before, during):
            await client.store_transcript(job["job_id"], "so it is")
            await client.update_status(job["job_id"], client.STATUS_REFINING)
            await client.store_refined_text(job["job_id"], "So it is.")
        counts = "select (select count(*) from listener.delivery), (select count(*) from listener.attempt)"
        assert tuple(await made.connection.fetchrow(counts) or ()) == (0, 0)
    await client.close()


def test_the_environment_says_how_to_reach_the_jobs(
    installed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_KEY", "SUPABASE_ANON_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="No database is configured"):
        StudioJobsClient()
    with pytest.raises(ConfigError, match="A user's token needs SUPABASE_URL and SUPABASE_ANON_KEY"):
        StudioJobsClient(token="t")
    monkeypatch.setenv("DATABASE_URL", installed)
    with StudioJobsClient() as client:
        job = client.create_job(USER, status=client.STATUS_ENRICHING)
        client.store_transcript(job["job_id"], "so it is")
        client.update_status(job["job_id"], client.STATUS_REFINING)
        client.store_refined_text(job["job_id"], "So it is.")
        failed = client.create_job(USER, status=client.STATUS_ENRICHING)
        client.fail(failed["job_id"], "no")
        assert [row["status"] for row in client.list_jobs(USER)] == ["FAILED", "COMPLETE"]
        assert (client.get_job(job["job_id"]) or {})["refined_text"] == "So it is."
        assert client.statistics().by_status == {"FAILED": 1, "COMPLETE": 1}


async def test_a_table_that_is_there_keeps_its_own_trigger_and_policies(db: asyncpg.Connection) -> None:
    await db.execute(migrate.preset("supabase_shim"))
    guide = Path(__file__).parents[1] / "security/guides/studio_jobs.sql"
    await db.execute(guide.read_text(encoding="utf-8"))
    await db.execute(
        "create function own() returns trigger language plpgsql as"
        " $$ begin if new.status = 'COMPLETE' then new.processing_time_ms := 42; end if; return new; end $$;"
        "create trigger own before update on studio_jobs for each row execute function own()"
    )
    before = await db.fetch("select policyname from pg_policies where tablename = 'studio_jobs'")
    await db.execute(migrate.preset("studio_jobs"))
    assert await db.fetch("select policyname from pg_policies where tablename = 'studio_jobs'") == before
    await db.execute(
        "insert into studio_jobs (status) values ('REFINING'); update studio_jobs set status = 'COMPLETE'"
    )
    assert await db.fetchval("select processing_time_ms from studio_jobs") == 42


async def test_the_database_measures_the_time_however_long(installed: str, db: asyncpg.Connection) -> None:
    await db.execute(
        f"insert into studio_jobs (user_id, status, created_at) select '{USER}', 'REFINING', now() - age"
        " from unnest(array['2 minutes', '1 year']::interval[]) as age;"
        "update studio_jobs set status = 'COMPLETE'"
    )
    times = await db.fetch("select processing_time_ms from studio_jobs order by 1")
    assert [time[0] for time in times] == [pytest.approx(120_000, abs=5000), 2**31 - 1]


async def test_browsers_have_three_rights_and_no_more(db: asyncpg.Connection) -> None:
    await db.execute(migrate.preset("supabase_shim"))
    await db.execute(
        "create schema storage; create table storage.buckets (id text primary key, name text, public boolean);"
        "create table storage.objects (id uuid, bucket_id text, name text);"
        "create function storage.foldername(name text) returns text[] language sql"
        " as 'select string_to_array($1, ''/'')'"
    )
    for _ in range(2):
        await db.execute(migrate.preset("studio_jobs"))
    policies = await db.fetch("select tablename, cmd from pg_policies order by 1, 2")
    assert [tuple(policy) for policy in policies] == [
        ("objects", "INSERT"),
        ("objects", "SELECT"),
        ("studio_jobs", "INSERT"),
        ("studio_jobs", "SELECT"),
        ("studio_jobs", "UPDATE"),
    ]
    assert await db.fetchval("select count(*) from pg_indexes where tablename = 'studio_jobs'") == 4
    assert (
        await db.fetchval("select has_function_privilege('anon', 'studio_jobs_statistics()', 'execute')")
        is False
    )
