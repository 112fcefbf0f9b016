"""Every verb, for every type of key and of time."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import asyncpg
import pytest

from listener.database.store import Store
from tests.support.table import KEYS, StoreTable

SHAPES = list(product(KEYS, ["timestamptz", "bigint"]))


@pytest.fixture(params=SHAPES, ids=["-".join(shape) for shape in SHAPES])
async def jobs(request: pytest.FixtureRequest, db: asyncpg.Connection, store: Store) -> StoreTable:
    key, clock = request.param
    return await StoreTable(db, store, key, clock).create(stages=["processing", "enriching"])


def is_now(value: Any) -> bool:
    """Whether a time, in either unit, is about now."""
    seconds = value / 1000 if isinstance(value, int) else datetime.fromisoformat(value).timestamp()
    return abs(seconds - time.time()) < 30


async def test_an_inserted_row_is_claimed_runs_and_is_completed(jobs: StoreTable) -> None:
    await jobs.add(1)

    job = await jobs.claim_one()
    assert (job.queue, job.key, job.attempt, job.max_attempts, job.origin) == (
        "jobs",
        str(KEYS[jobs.key](1)),
        1,
        3,
        "insert",
    )
    assert job.row == await jobs.row(1)
    assert job.row["status"] == "processing"
    assert job.row["progress"] == 0
    assert is_now(job.row["started_at"])
    assert is_now(job.row["updated_at"])

    assert (await jobs.settle("progress", job, percent=42.7, message="half way")).outcome == "ok"
    row = await jobs.row(1)
    assert (row["progress"], row["message"]) == (42, "half way")

    assert await jobs.store.heartbeat("w1", [(job.id, job.fence)]) == []

    assert (
        await jobs.settle("complete", job, columns={"url": "https://…", "result": {"frames": 3}})
    ).outcome == "ok"
    row = await jobs.row(1)
    assert (row["status"], row["progress"], row["url"], row["result"]) == (
        "completed",
        100,
        "https://…",
        {"frames": 3},
    )
    assert is_now(row["finished_at"])
    assert await jobs.delivery(1) is None
    assert await jobs.history(1) == ["completed"]


async def test_a_failed_attempt_is_retried_from_the_stage_it_reached(jobs: StoreTable) -> None:
    await jobs.add(1)
    job = await jobs.claim_one()
    assert (await jobs.settle("stage", job, stage="enriching", columns={"url": "draft"})).outcome == "ok"
    assert (await jobs.settle("checkpoint", job, value={"request": 7})).outcome == "ok"
    assert (await jobs.settle("retry", job, error="the provider sneezed")).outcome == "ok"
    assert (await jobs.word(1), await jobs.state(1)) == ("enriching", "scheduled")

    await jobs.become_due()
    job = await jobs.claim_one()
    assert (job.attempt, job.reached, job.saved, job.row["url"]) == (2, "enriching", {"request": 7}, "draft")
    assert (await jobs.settle("fail", job, error="no use")).outcome == "ok"
    row = await jobs.row(1)
    assert (row["status"], row["error"]) == ("failed", "no use")
    assert is_now(row["finished_at"])
    assert await jobs.history(1) == ["retried", "failed"]


async def test_a_job_is_snoozed_released_and_rescued_without_a_flicker_of_its_word(jobs: StoreTable) -> None:
    await jobs.add(1)
    await jobs.settle("snooze", await jobs.claim_one(), delay=60)
    assert await jobs.claim() == []
    await jobs.become_due()
    await jobs.settle("release", await jobs.claim_one())
    job = await jobs.claim_one()
    assert (job.attempt, job.snoozes, job.row["status"]) == (1, 1, "processing")

    await jobs.expire()
    assert [found["key"] for found in await jobs.store.rescue()] == [job.key]
    assert await jobs.word(1) == "processing"
    assert (await jobs.claim_one("w2")).attempt == 2


async def test_people_requeue_and_cancel(jobs: StoreTable) -> None:
    await jobs.add(1)
    job = await jobs.claim_one()
    await jobs.settle("fail", job, error="no use")

    assert await jobs.store.requeue("jobs", [job.key]) == 1
    row = await jobs.row(1)
    assert (row["status"], row["progress"], row["error"], row["finished_at"]) == ("queued", 0, None, None)
    assert await jobs.state(1) == "waiting"

    assert await jobs.store.cancel("jobs", [job.key], "not wanted") == 1
    row = await jobs.row(1)
    assert (row["status"], row["error"]) == ("cancelled", "not wanted")
    assert await jobs.delivery(1) is None


async def test_a_row_that_another_program_left_behind_is_adopted(jobs: StoreTable) -> None:
    await jobs.add(1, status="processing")
    assert await jobs.delivery(1) is None

    assert await jobs.store.adopt("jobs", timedelta()) == 1
    job = await jobs.claim_one()
    assert (job.attempt, job.origin) == (1, "adopt")


async def test_adoption_leaves_alone_what_was_touched_a_moment_ago(jobs: StoreTable) -> None:
    now = (
        "clock_timestamp()" if jobs.clock == "timestamptz" else "extract(epoch from clock_timestamp()) * 1000"
    )
    await jobs.add(1, 2, status="processing")
    await jobs.db.execute(f"update jobs set updated_at = {now} where id = $1", KEYS[jobs.key](1))

    assert await jobs.store.adopt("jobs", timedelta(minutes=10)) == 1
    assert (await jobs.delivery(1), await jobs.state(2)) == (None, "waiting")


async def test_rows_that_came_unheard_are_reconciled(jobs: StoreTable) -> None:
    await jobs.db.execute("alter table jobs disable trigger user")
    await jobs.add(1, 2)
    assert await jobs.claim() == []

    (found,) = await jobs.store.reconcile()
    assert (found["attachment"], found["queues"], found["more"]) == ("jobs", {"jobs": 2}, False)
    assert [job.origin for job in await jobs.claim()] == ["reconcile", "reconcile"]


async def test_a_row_may_ask_for_a_later_start(jobs: StoreTable) -> None:
    tomorrow = {
        "timestamptz": "now() + interval '1 day'",
        "bigint": "extract(epoch from now()) * 1000 + 86400000",
    }
    await jobs.db.execute(
        f"insert into jobs (id, run_at) values ($1, {tomorrow[jobs.clock]})", KEYS[jobs.key](1)
    )

    claim = await jobs.store.claim("w1", {"jobs": 1})
    assert claim.jobs == []
    assert claim.next_due == pytest.approx(86400, abs=30)

    await jobs.become_due()
    assert (await jobs.claim_one()).late < 30


async def test_the_tables_own_triggers_find_what_their_owner_finds(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.attach(stages=["processing", "enriching"])
    await db.execute(
        """
        create table seen (n int generated always as identity, word text);
        create function note() returns trigger language plpgsql as
          $$ begin insert into seen (word) values (new.status); return new; end $$;
        create trigger note after insert or update on jobs for each row execute function note()
        """
    )
    await jobs.add(1)
    job = await jobs.claim_one()
    await jobs.settle("stage", job, stage="enriching")
    await jobs.settle("complete", job, columns={"url": "u"})
    words = [row["word"] for row in await db.fetch("select word from seen order by n")]
    assert words == ["queued", "processing", "enriching", "completed"]
