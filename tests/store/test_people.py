"""Verbs for people: adopt, requeue, cancel, prune, and the verbs that show jobs."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from listener.database.store import Store
from listener.errors import DatabaseError
from tests.support.databases import Connect
from tests.support.table import COLUMNS, WORDS, StoreTable, settle


async def test_adoption_resumes_at_the_stage_that_the_row_shows(db: asyncpg.Connection, store: Store) -> None:
    jobs = await StoreTable(db, store).create(stages=["processing", "enriching"])
    await jobs.add(1, status="enriching")
    await jobs.add(2, status="failed")
    assert await store.adopt("jobs", timedelta(minutes=10)) == 1
    assert (await jobs.claim_one()).reached == "enriching"


async def test_adoption_takes_nothing_from_a_live_worker(jobs: StoreTable) -> None:
    await jobs.add(1)
    job = await jobs.claim_one()
    assert await jobs.store.adopt("jobs", timedelta()) == 0
    assert (await jobs.settle("complete", job)).outcome == "ok"


async def test_adoption_without_a_clock_wants_to_be_told(db: asyncpg.Connection, store: Store) -> None:
    await db.execute("create table plain (id int primary key, status text)")
    await store.attach("public.plain", "plain", words=WORDS)
    await db.execute("insert into plain values (1, 'processing')")
    with pytest.raises(DatabaseError, match="has no updated_at or started_at column"):
        await store.adopt("plain", timedelta(minutes=10))
    assert await store.adopt("plain", timedelta()) == 1


@pytest.mark.parametrize("word", ["queued", "processing", "completed", "failed", "cancelled", "archived"])
async def test_requeue_starts_anew_from_any_word(jobs: StoreTable, word: str) -> None:
    await jobs.add(1, status=word, error="old", progress=50)
    assert await jobs.store.requeue("jobs", ["job 1", "nobody"]) == 1
    job = await jobs.claim_one()
    assert (job.attempt, job.saved, job.row["error"], job.row["progress"]) == (1, None, None, 0)


async def test_requeue_of_a_running_job_restarts_it(jobs: StoreTable) -> None:
    await jobs.add(1)
    old = await jobs.claim_one()
    await jobs.settle("checkpoint", old, value="half way")
    assert await jobs.store.requeue("jobs", ["job 1"]) == 1
    (lost,) = await jobs.store.heartbeat("w1", [(old.id, old.fence)])
    assert lost.fence == old.fence
    new = await jobs.claim_one()
    assert (new.attempt, new.saved) == (1, None)
    assert await jobs.history(1) == ["cancelled"]


async def test_requeue_brings_a_scheduled_job_forward(jobs: StoreTable) -> None:
    await jobs.add(1)
    await jobs.settle("retry", await jobs.claim_one(), error="later", delay=3600)
    await jobs.store.requeue("jobs", ["job 1"])
    assert (await jobs.claim_one()).attempt == 1


async def test_cancel_ends_what_is_not_finished_and_nothing_else(jobs: StoreTable) -> None:
    await jobs.add(1, 2, 3)
    done, running, _ = await jobs.claim(2) + [None]
    assert done is not None
    assert running is not None
    await jobs.settle("complete", done)
    assert await jobs.store.cancel("jobs", ["job 1", "job 2", "job 3", "nobody"], "not wanted") == 2
    assert await jobs.words() == ["completed", "cancelled", "cancelled"]
    (lost,) = await jobs.store.heartbeat("w1", [(running.id, running.fence)])
    assert lost.cancelled


async def test_cancel_uses_the_failed_word_where_there_is_no_other(
    db: asyncpg.Connection, store: Store
) -> None:
    words = {role: word for role, word in WORDS.items() if role != "cancelled"}
    jobs = await StoreTable(db, store).create(words=words)
    await jobs.add(1)
    assert await store.cancel("jobs", ["job 1"]) == 1
    assert (await jobs.row(1))["status"] == "failed"


async def test_a_verb_for_people_names_the_queues_when_it_does_not_know_one(jobs: StoreTable) -> None:
    with pytest.raises(DatabaseError, match="there is no queue 'jbos'") as refused:
        await jobs.store.cancel("jbos", ["job 1"])
    assert refused.value.hint == "The queues are jobs."


@pytest.mark.parametrize("verb", ["cancel", "requeue"])
async def test_a_verb_for_people_says_that_a_row_is_locked(
    jobs: StoreTable, connect: Connect, verb: str
) -> None:
    await jobs.add(1, 2)
    user = await connect()
    async with user.transaction():
        await user.execute("select from jobs where id = 'job 2' for update")
        with pytest.raises(DatabaseError, match=r"another transaction has locked a row of public\.jobs"):
            await getattr(jobs.store, verb)("jobs", ["job 1", "job 2"])
    assert await jobs.words() == ["queued", "queued"]
    assert await getattr(jobs.store, verb)("jobs", ["job 1", "job 2"]) == 2


async def test_prune_forgets_old_history_and_dead_workers(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.add(1, 2)
    await settle(jobs.store, "complete", await jobs.claim())
    await jobs.store.register("w1", "host", "1.0", {"jobs": 1})
    await jobs.store.register("w2", "host", "1.0", {"jobs": 1})
    await db.execute(
        "update listener.attempt set finished_at = now() - interval '31 days' where job_key = 'job 1'"
    )
    await db.execute("update listener.worker set seen_at = now() - interval '11 minutes' where id = 'w1'")
    assert await jobs.store.prune() == 1
    assert (await jobs.history(1), await jobs.history(2)) == ([], ["completed"])
    assert await db.fetchval("select array_agg(id) from listener.worker") == ["w2"]


async def test_register_tells_what_a_handler_must_know(jobs: StoreTable) -> None:
    (served,) = await jobs.store.register("w1", "host", "1.0", {"jobs": 2, "nobody made this": 1})
    assert (served.queue, served.table, served.stages, served.result) == ("jobs", "public.jobs", [], "result")
    assert served.columns[:3] == ["id", "status", "progress"]


async def test_stats_show_the_fleet_and_are_published_by_two(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.store.register("w1", "host", "1.0", {"jobs": 2})
    await jobs.store.register("w2", "host", "1.0", {"jobs": 3})
    await jobs.add(1, 2, 3)
    snoozed, _ = await jobs.claim(2)
    await jobs.settle("snooze", snoozed, delay=60)
    await jobs.expire()

    await db.execute("update listener.worker set started_at = now() - interval '1 minute' where id = 'w1'")
    await jobs.store.register("w3", "host", "1.0", {})
    assert await jobs.store.stats("w2") is None
    assert await jobs.store.stats("w3") is not None
    stats = await jobs.store.stats("w1")
    assert stats is not None
    (queue,) = stats["queues"]
    oldest = queue.pop("oldest")
    assert 0 <= oldest < 30
    assert queue == {
        "queue": "jobs", "table": "public.jobs", "paused": False, "waiting": 1, "scheduled": 1, "running": 1,
        "broken": 0, "expired": 1, "workers": 2, "slots": 5,
    }  # fmt: skip
    assert stats["notify_usage"] == 0

    # The oldest has died a moment ago, and the youngest still publishes. Later the next one takes its place.
    await db.execute("update listener.worker set seen_at = now() - interval '31 seconds' where id = 'w1'")
    assert await jobs.store.stats("w2") is not None
    assert await jobs.store.stats("w3") is not None


async def test_a_process_that_has_just_replaced_a_dead_one_publishes(jobs: StoreTable) -> None:
    """A fleet of one process that dies again and again still shows its numbers."""
    for number in range(5):
        await jobs.store.register(f"w{number}", "host", "1.0", {"jobs": 2})
        assert await jobs.store.stats(f"w{number}") is not None


async def test_jobs_are_listed_by_state(jobs: StoreTable) -> None:
    await jobs.add(1, 2, 3)
    first, _ = await jobs.claim(2)
    await jobs.settle("fail", first, error="no use")
    assert [(job["key"], job["state"]) for job in await jobs.store.jobs()] == [
        ("job 2", "running"),
        ("job 3", "waiting"),
    ]
    assert [job["key"] for job in await jobs.store.jobs("jobs", "waiting")] == ["job 3"]
    assert [(job["key"], job["error"]) for job in await jobs.store.jobs("jobs", "failed")] == [
        ("job 1", "no use")
    ]
    assert await jobs.store.jobs("jobs", "completed") == []
    assert len(await jobs.store.jobs("jobs", None, 1)) == 1


async def test_one_job_is_looked_at(jobs: StoreTable) -> None:
    await jobs.add(1)
    job = await jobs.claim_one()
    await jobs.settle("progress", job, percent=30, message="half way")
    seen = await jobs.store.job("jobs", "job 1")
    assert seen is not None
    assert (seen["state"], seen["word"], seen["progress"], seen["message"]) == (
        "running",
        "processing",
        30,
        "half way",
    )
    assert seen["delivery"]["worker"] == "w1"
    await jobs.settle("complete", job)
    seen = await jobs.store.job("jobs", "job 1")
    assert seen is not None
    assert (seen["state"], seen["delivery"], [attempt["outcome"] for attempt in seen["attempts"]]) == (
        "done",
        None,
        ["completed"],
    )
    assert await jobs.store.job("jobs", "nobody") is None


async def test_a_job_is_submitted(jobs: StoreTable) -> None:
    assert await jobs.store.submit("jobs", {"id": "job 1", "url": "https://…"}) == "job 1"
    job = await jobs.claim_one()
    assert (job.row["url"], job.row["status"]) == ("https://…", "processing")


async def test_a_job_is_submitted_as_its_kind(db: asyncpg.Connection, store: Store) -> None:
    await db.execute(
        f"create table jobs ({COLUMNS.format(key='serial', clock='timestamptz')}, type text, meta jsonb)"
    )
    await store.attach("public.jobs", "jobs", words=WORDS, kind="type", kinds=["render", "analysis"])
    assert await store.submit("jobs/analysis", {}) == "1"
    assert [job.key for job in (await store.claim("w", {"jobs/analysis": 1})).jobs] == ["1"]


async def test_verbs_for_people_leave_other_kinds_alone(db: asyncpg.Connection, store: Store) -> None:
    await db.execute(f"create table jobs ({COLUMNS.format(key='serial', clock='timestamptz')}, type text)")
    await store.attach("public.jobs", "jobs", words=WORDS, kind="type", kinds=["render", "analysis"])
    ours, theirs = await store.submit("jobs/render", {}), await store.submit("jobs/analysis", {})

    assert await store.cancel("jobs/render", [ours, theirs]) == 1
    assert await store.requeue("jobs/render", [ours, theirs]) == 1
    assert await store.job("jobs/render", theirs) is None
    claim = await store.claim("w", {"jobs/render": 5, "jobs/analysis": 5})
    assert {(job.queue, job.key, job.origin) for job in claim.jobs} == {
        ("jobs/render", ours, "update"),
        ("jobs/analysis", theirs, "insert"),
    }
    assert await store.cancel("jobs", [ours, theirs]) == 2, "of the whole table"
