"""The overview that a dashboard shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from listener.database.store import Store
from listener.errors import DatabaseError
from tests.support.table import KEYS, StoreTable, settle


def keys(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["key"] for job in jobs]


async def test_without_tables_there_is_nothing(store: Store) -> None:
    seen = await store.overview()
    lists = ("queues", "workers", "running", "pending", "broken", "ended")
    assert [seen[name] for name in lists] == [[]] * 6


async def test_each_list_shows_its_jobs(jobs: StoreTable) -> None:
    await jobs.store.register("w1", "host", "1.0", {"jobs": 9}, {"jobs": 60})
    await jobs.add(*range(1, 9))
    await jobs.add(9, priority=5)
    await jobs.add(10, run_at=await jobs.db.fetchval("select now() + interval '1 hour'"))
    urgent, first, second, third = await jobs.claim(4)
    await settle(jobs.store, "progress", [first], percent=42, message="m" * 400)
    await settle(jobs.store, "retry", [second], error="again", delay=60)
    await settle(jobs.store, "fail", [third], error="no use")
    await settle(jobs.store, "complete", [urgent])
    await jobs.db.execute(
        "update listener.delivery set state = 'broken', error = 'no such column' where job_key = 'job 4'"
    )

    seen = await jobs.store.overview()

    (one,) = seen["running"]
    shown = (one["key"], one["progress"], one["message"], one["timeout"], one["silent"], one["stage"])
    assert shown == ("job 1", 42, "m" * 300, 60, False, None)
    assert keys(seen["pending"]) == ["job 5", "job 6", "job 7", "job 8", "job 2", "job 10"]
    assert [(job["key"], job["error"]) for job in seen["broken"]] == [("job 4", "no such column")]
    assert [(job["key"], job["outcome"]) for job in seen["ended"]] == [
        ("job 9", "completed"),
        ("job 3", "failed"),
        ("job 2", "retried"),
    ]
    assert [(w["id"], w["slots"], w["running"]) for w in seen["workers"]] == [("w1", {"jobs": 9}, 1)]
    (queue,) = seen["queues"]
    assert [queue[name] for name in ("waiting", "scheduled", "running", "broken", "slots")] == [4, 2, 1, 1, 9]


async def test_a_full_queue_hides_no_other_and_successes_hide_no_failure(jobs: StoreTable) -> None:
    await jobs.db.execute("create table more (id int primary key, status text)")
    words = {"ready": "a", "running": "b", "done": "c", "failed": "d"}
    await jobs.store.attach("public.more", "more", words=words)
    await jobs.add(*range(30))
    await settle(jobs.store, "fail", await jobs.claim(1), error="no use")
    await settle(jobs.store, "complete", await jobs.claim(10))
    await jobs.db.execute("insert into more select n, 'a' from generate_series(1, 9) as n")

    seen = await jobs.store.overview(most=5)

    assert [job["queue"] for job in seen["pending"]] == ["jobs"] * 5 + ["more"] * 5
    assert [job["outcome"] for job in seen["ended"]] == ["completed"] * 5 + ["failed"]


async def test_stages_and_silence_are_told(jobs: StoreTable) -> None:
    await jobs.attach(stages=["processing", "refining"])
    await jobs.add(1)
    await jobs.claim(1)
    await jobs.expire()
    (one,) = (await jobs.store.overview())["running"]
    assert (one["stage"], one["silent"]) == ("processing", True)


async def test_a_table_that_is_locked_or_gone_stops_nobody(jobs: StoreTable, connect: Any) -> None:
    await jobs.add(1)
    await jobs.claim(1)
    other = await connect()
    transaction = other.transaction()
    await transaction.start()
    await other.execute("lock table jobs in access exclusive mode")
    (locked,) = (await jobs.store.overview())["running"]
    assert "progress" not in locked
    await transaction.rollback()
    (free,) = (await jobs.store.overview())["running"]
    assert free["progress"] == 0
    await jobs.db.execute("alter table jobs rename column progress to percent")
    assert "progress" not in (await jobs.store.overview())["running"][0]


async def test_a_glance_leaves_out_what_is_the_users_own(jobs: StoreTable) -> None:
    await jobs.add(1, url="https://private.example.com")
    job = await jobs.claim_one()
    await settle(jobs.store, "checkpoint", [job], value={"ticket": "private"})
    await settle(jobs.store, "progress", [job], percent=5)

    seen = await jobs.store.job_public("jobs", str(KEYS["text"](1)))

    assert seen
    assert (seen["progress"], seen["delivery"]["state"], seen["max_attempts"]) == (5, "running", 3)
    assert "private" not in json.dumps(seen)
    assert await jobs.store.job_public("jobs", "none") is None
    with pytest.raises(DatabaseError, match="there is no queue 'other'"):
        await jobs.store.job_public("other", "1")
