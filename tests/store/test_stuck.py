"""Overdue jobs are listed with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from listener.database.store import Store
from tests.support.table import StoreTable

SOON = timedelta(minutes=10)


async def test_each_job_that_is_overdue_says_why(jobs: StoreTable) -> None:
    for number in range(1, 8):
        await jobs.add(number)
    await jobs.store.register("w1", "host", "1.0", {"jobs": 9}, {"jobs": 60})
    claimed = {job.key for job in (await jobs.store.claim("w1", {"jobs": 3})).jobs}
    assert claimed == {"job 1", "job 2", "job 3"}
    assert await jobs.store.stuck() == []
    change = "update listener.delivery set"
    await jobs.db.execute(f"{change} lease_until = now() - interval '1 s' where job_key = 'job 1'")
    await jobs.db.execute(f"{change} claimed_at = now() - interval '61 s' where job_key = 'job 2'")
    await jobs.db.execute(f"{change} state = 'broken', error = 'no such column' where job_key = 'job 4'")
    await jobs.db.execute(f"{change} run_at = now() - interval '11 minutes' where job_key = 'job 5'")
    assert await why(jobs.store) == {"job 1": "silent", "job 2": "slow", "job 4": "broken"}

    await jobs.store.pause("jobs")
    assert (await why(jobs.store))["job 5"] == "paused"
    await jobs.store.resume("jobs")
    await jobs.store.unregister("w1")
    assert (await why(jobs.store))["job 5"] == "unserved"


async def test_rows_of_others_are_stuck_when_nobody_touches_them(jobs: StoreTable) -> None:
    await jobs.add(1, status="processing", updated_at=datetime.now(UTC))
    assert await why(jobs.store) == {}
    await jobs.db.execute("update jobs set updated_at = now() - interval '11 minutes'")
    assert await why(jobs.store) == {"job 1": "foreign"}
    assert await jobs.store.stuck("jobs", older=timedelta(minutes=12)) == []
    assert await jobs.store.adopt("jobs", SOON) == 1
    assert await why(jobs.store) == {}
    # A table that is gone is for reconcile to tell of.
    await jobs.db.execute("drop table jobs cascade")
    assert await why(jobs.store) == {}


async def why(store: Store) -> dict[str, str]:
    return {job["key"]: job["why"] for job in await store.stuck()}
