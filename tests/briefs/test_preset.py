"""The preset without a service: pipelines whose steps any program may end; cancelling; installing and removing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from listener.database import migrate
from tests.support.databases import Connect
from tests.support.harness import until

from .conftest import USER, Briefs

# Everything that a schema dump would show, but of temporary and toast tables.
CATALOG = """
select string_agg(line, e'\n' order by line) from (
  select format('%s %s.%s %s %s', relkind, relnamespace::regnamespace, relname, relacl::text, relrowsecurity) as line
  from pg_class where relnamespace::regnamespace::text not like 'pg\\_%' and relname not like 'pg\\_toast%'
  union all select format('%s %s', oid::regprocedure, proacl::text) from pg_proc
  where pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  union all select format('%s %s %s', tgname, tgrelid::regclass, tgenabled) from pg_trigger where not tgisinternal
  union all select format('%s %s %s', polname, polrelid::regclass, polcmd) from pg_policy
  union all select format('%s %s', p.pubname, r.prrelid::regclass)
  from pg_publication_rel as r join pg_publication as p on p.oid = r.prpubid
  union all select format('%s %s %s', conname, conrelid::regclass, contype) from pg_constraint
  where connamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  union all select format('%s %s', nspname, nspacl::text) from pg_namespace where nspname not like 'pg\\_%'
  union all select format('%s %s', typname, typacl::text) from pg_type
  where typnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) and typname not like '\\_%'
) as catalog
"""


async def test_every_media_type_has_its_pipeline(briefs: Briefs) -> None:
    expected = {
        "video": ["analysis", "asset_prep", "video_generation", "render"],
        "image": ["analysis", "asset_prep", "image_processing", "render"],
        "audio": ["analysis", "asset_prep", "render"],
        "text": ["analysis", "text_analysis", "render"],
    }
    for media_type, steps in expected.items():
        brief = await briefs.create(media_type)
        for _ in steps:
            job = await briefs.claim()
            assert job["brief_id"] is not None
            await briefs.complete(job["id"], {"by": job["type"]})
        assert await briefs.steps(brief) == [(step, "completed") for step in steps]
        ended = await briefs.brief(brief)
        assert (ended["status"], json.loads(ended["result"])) == ("completed", {"by": "render"})
    last = await briefs.db.fetchval("select payload from jobs where type = 'render' order by created_at desc")
    assert json.loads(last)["results"] == {
        "analysis": {"by": "analysis"},
        "text_analysis": {"by": "text_analysis"},
    }


async def test_a_plain_update_goes_on_too_in_its_own_transaction(briefs: Briefs) -> None:
    brief = await briefs.create("audio", steps=["analysis", "storyboard"])
    done = "update jobs set status = 'completed', result = '{\"n\": 1}' where brief_id = $1"
    transaction = briefs.db.transaction()
    await transaction.start()
    await briefs.db.execute(done, brief)
    assert await briefs.steps(brief) == [("analysis", "completed"), ("storyboard", "pending")]
    await transaction.rollback()
    assert await briefs.steps(brief) == [("analysis", "pending")]
    for _ in range(2):
        await briefs.db.execute(done, brief)
    assert await briefs.steps(brief) == [("analysis", "completed"), ("storyboard", "completed")]
    assert (await briefs.brief(brief))["status"] == "completed"


async def test_a_job_beside_the_pipeline_leaves_the_brief_alone(briefs: Briefs) -> None:
    brief = await briefs.create("audio")
    for word in ("completed", "failed"):
        await briefs.db.execute("insert into jobs (brief_id, type) values ($1, 'analysis')", brief)
        await briefs.db.execute("update jobs set status = $1 where step is null and status = 'pending'", word)
    assert (await briefs.brief(brief))["status"] == "pending"
    assert await briefs.db.fetchval("select count(*) from jobs") == 3


async def test_what_fails_is_tried_again_and_then_ends_its_brief(briefs: Briefs) -> None:
    brief = await briefs.create()
    for attempt in (1, 2):
        job = await briefs.claim("old-7")
        assert (job["attempts"], job["worker_id"], job["status"]) == (attempt, "old-7", "processing")
        job = await briefs.fail(job["id"], "the model is away")
        assert (job["status"], job["worker_id"], job["error"]) == ("pending", None, "the model is away")
        assert await briefs.claim() is None, "it waits for a while"
        await briefs.db.execute("update jobs set run_at = null")
    job = await briefs.claim()
    job = await briefs.fail(job["id"], "the model is gone")
    assert (job["status"], job["attempts"]) == ("failed", 3)
    ended = await briefs.brief(brief)
    assert (ended["status"], ended["error"]) == ("failed", "analysis failed: the model is gone")
    assert ended["completed_at"] is not None
    # What has ended changes no more.
    assert (await briefs.complete(job["id"], 1))["status"] == "failed"

    await briefs.db.execute("update jobs set status = 'pending'")
    again = await briefs.brief(brief)
    assert (again["status"], again["error"], again["completed_at"]) == ("processing", None, None)
    job = await briefs.claim()
    assert job["attempts"] == 1
    await briefs.complete(job["id"], {})
    assert (await briefs.steps(brief))[1] == ("text_analysis", "pending")


async def test_a_step_done_again_has_those_after_it_done_again(briefs: Briefs) -> None:
    brief = await briefs.create("text", steps=["analysis", "render"])
    for result in (1, 2):
        job = await briefs.claim()
        await briefs.complete(job["id"], result)
    await briefs.db.execute("update jobs set status = 'pending' where type = 'analysis'")
    assert (await briefs.brief(brief))["status"] == "processing"
    for result in (3, 4):
        job = await briefs.claim()
        await briefs.complete(job["id"], result)
    assert json.loads(job["payload"])["results"] == {"analysis": 3}
    ended = await briefs.brief(brief)
    assert (ended["status"], ended["result"]) == ("completed", "4")
    assert len(await briefs.steps(brief)) == 2


async def test_cancelling_takes_along_the_step_that_an_ending_one_makes(
    briefs: Briefs, connect: Connect
) -> None:
    brief = await briefs.create("video")
    job = await briefs.claim()
    user = await connect()
    ending = briefs.db.transaction()
    await ending.start()
    await briefs.complete(job["id"], {})
    cancelling = asyncio.create_task(
        user.execute("update briefs set status = 'cancelled' where id = $1", brief)
    )
    other = await connect()
    waits = "select true from pg_locks where pid = $1 and not granted"
    await until(lambda: other.fetchval(waits, user.get_server_pid()))
    await ending.commit()
    await cancelling
    assert await briefs.steps(brief) == [("analysis", "completed"), ("asset_prep", "cancelled")]
    ended = await briefs.brief(brief)
    assert ended["status"] == "cancelled"
    assert ended["completed_at"] is not None


async def test_the_last_step_gives_way_to_who_cancels(briefs: Briefs, connect: Connect) -> None:
    """Both hold what the other wants; neither is taken for a deadlock."""
    brief = await briefs.create("text", steps=["analysis"])
    job = await briefs.claim()
    user, other = await connect(), await connect()
    cancelling = user.transaction()
    await cancelling.start()
    await user.execute("select from briefs where id = $1 for no key update", brief)
    ending = asyncio.create_task(briefs.complete(job["id"], {}))
    waits = "select true from pg_locks where pid = $1 and not granted"
    await until(lambda: other.fetchval(waits, briefs.db.get_server_pid()))
    await user.execute("update briefs set status = 'cancelled' where id = $1", brief)
    with pytest.raises(asyncpg.LockNotAvailableError):
        await ending
    await cancelling.commit()
    assert await briefs.steps(brief) == [("analysis", "cancelled")]
    assert (await briefs.complete(job["id"], {}))["status"] == "cancelled"


async def test_a_brief_that_somebody_edits_holds_up_no_claim(briefs: Briefs, connect: Connect) -> None:
    brief = await briefs.create("text", steps=["analysis"])
    user = await connect()
    editing = user.transaction()
    await editing.start()
    await user.execute("update briefs set title = 'Another' where id = $1", brief)
    job = await asyncio.wait_for(briefs.claim(), 0.25)
    assert (await briefs.brief(brief))["status"] == "pending"
    await editing.commit()
    await briefs.complete(job["id"], {})
    assert (await briefs.brief(brief))["status"] == "completed"


async def test_two_workers_never_get_the_same_job(briefs: Briefs, connect: Connect) -> None:
    await briefs.db.execute(
        "insert into jobs (type, priority) select 'analysis', n % 3 from generate_series(1, 60) n"
    )

    async def work(name: str) -> list[tuple[int, Any]]:
        session = await connect()
        done: list[tuple[int, Any]] = []
        while job := await session.fetchrow(
            "select id, priority from claim_job($1, '{analysis,render}')", name
        ):
            done.append((job["priority"], job["id"]))
        return done

    first, second = await asyncio.gather(work("a"), work("b"))
    assert len(first) + len(second) == len({*first, *second}) == 60
    for done in (first, second):
        assert [priority for priority, _ in done] == sorted((priority for priority, _ in done), reverse=True)
    assert await briefs.claim() is None
    assert await briefs.db.fetchval("select count from job_stats") == 60


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ("{}", "needs at least one step"),
        ("{analysis,NULL,render}", "must not have gaps"),
        ("{analysis,render,analysis}", "must not come back to a step"),
        ("{analysis,dreaming}", "'dreaming' is no type of a job; the types are analysis"),
    ],
)
async def test_pipelines_that_make_no_sense_are_refused(briefs: Briefs, steps: str, problem: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=problem):
        await briefs.db.execute(f"update pipelines set steps = '{steps}' where name = 'video'")
    with pytest.raises(asyncpg.CheckViolationError, match=problem):
        await briefs.db.execute(
            f"insert into briefs (user_id, title, steps) values (gen_random_uuid(), 'A', '{steps}')"
        )


async def test_a_large_result_is_refused_and_the_step_is_still_the_workers(briefs: Briefs) -> None:
    brief = await briefs.create()
    job = await briefs.claim()
    with pytest.raises(
        asyncpg.CheckViolationError, match=r"the result has 10\.0 MB, but a row may keep 1 MB"
    ):
        await briefs.complete(job["id"], "x" * 10 * 1024**2)
    assert (await briefs.steps(brief)) == [("analysis", "processing")]
    await briefs.complete(job["id"], "x" * 1000)
    assert (await briefs.steps(brief))[1] == ("text_analysis", "pending")


async def test_browsers_see_their_own_and_may_only_cancel(briefs: Briefs, stranger: str) -> None:
    own, theirs = await briefs.create(), await briefs.create(user=stranger)

    async def act(sql: str) -> list[asyncpg.Record]:
        async with briefs.db.transaction():
            claims = json.dumps({"sub": USER, "role": "authenticated"})
            await briefs.db.execute("select set_config('request.jwt.claims', $1, true)", claims)
            await briefs.db.execute("set local role authenticated")
            return await briefs.db.fetch(sql)

    for relation in ("jobs", "pending_jobs_queue"):
        assert [str(row["brief_id"]) for row in await act(f"select * from {relation}")] == [own]
    assert [str(row["id"]) for row in await act("select * from briefs")] == [own]
    for forbidden in (
        "update jobs set status = 'completed'",
        "update briefs set title = 'mine'",
        "update briefs set status = 'completed'",
        "select * from claim_job('me')",
        "select create_brief_with_job(auth.uid(), 'A')",
        "insert into jobs (type) values ('render')",
        "delete from briefs",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await act(forbidden)
    await act("update briefs set status = 'cancelled'")
    assert await briefs.steps(own) == [("analysis", "cancelled")]
    assert await briefs.steps(theirs) == [("analysis", "pending")]


async def test_old_ones_are_trimmed_in_batches(briefs: Briefs) -> None:
    old = [await briefs.create("text", steps=["analysis"]) for _ in range(3)]
    young, open_ = await briefs.create("text", steps=["analysis"]), await briefs.create()
    for id in (*old, young):  # noqa: A001
        await briefs.db.execute("update jobs set status = 'completed' where brief_id = $1", id)
    await briefs.db.execute(
        "update briefs set completed_at = now() - interval '31 days' where id = any($1)", old
    )
    await briefs.db.execute(
        "insert into jobs (type, status, completed_at) values ('render', 'failed', '2020-01-01')"
    )
    counts = [await briefs.db.fetchval("select trim_jobs('30 days', 2)") for _ in range(3)]
    assert counts == [2, 2, 0]
    assert {str(row["id"]) for row in await briefs.db.fetch("select id from briefs")} == {young, open_}
    assert await briefs.db.fetchval("select count(*) from jobs") == 2


async def test_removing_leaves_the_database_as_it_was(db: asyncpg.Connection) -> None:
    await db.execute(migrate.preset("supabase_shim"))
    before = await db.fetchval(CATALOG)
    await db.execute(migrate.preset("briefs"))
    assert await db.fetchval(CATALOG) != before
    await db.execute("insert into jobs (type) values ('render')")
    for _ in range(2):
        await db.execute(migrate.preset("briefs_remove"))
        assert await db.fetchval(CATALOG) == before
    assert await db.fetchval("select count(*) from listener.delivery") == 0


async def test_tables_of_somebody_elses_are_left_alone(db: asyncpg.Connection) -> None:
    await db.execute("create table jobs (id int primary key, status text)")
    before = await db.fetchval(CATALOG)
    with pytest.raises(
        asyncpg.RaiseError, match=r"public\.jobs exists already, and this preset did not make it"
    ):
        await db.execute(migrate.preset("briefs"))
    with pytest.raises(asyncpg.RaiseError, match="was not made by the preset briefs"):
        await db.execute(migrate.preset("briefs_remove"))
    assert await db.fetchval(CATALOG) == before
