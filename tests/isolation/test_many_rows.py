"""Batches meet users who hold several rows, in the opposite order: a deadlock never reaches either side."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from listener.errors import DatabaseError
from tests.support.databases import Connect
from tests.support.table import StoreTable, named, waits_or_ends

from .verbs import BUDGET

SAYS: dict[str, dict[str, object]] = {
    "complete": {},
    "fail": {"error": "no use"},
    "retry": {"error": "again"},
    "stage": {"stage": "enriching"},
    "progress": {"percent": 5},
    "snooze": {"delay": 60},
    "release": {},
    "checkpoint": {"value": 1},
}


@pytest.mark.parametrize("verb", SAYS)
async def test_a_user_who_holds_most_of_a_batch_and_then_wants_the_rest(
    jobs: StoreTable, connect: Connect, verb: str
) -> None:
    await jobs.add(*range(1, 9))
    claimed = await jobs.claim()
    user, service = await connect(), await connect()
    async with user.transaction():
        await user.execute("update jobs set status = 'cancelled' where id > 'job 1'")
        batch = json.dumps([named(job, **SAYS[verb]) for job in claimed])
        started = time.monotonic()
        theirs = asyncio.ensure_future(service.fetchval(f"select listener.{verb}($1::jsonb)", batch))
        # The user comes back for the first row while the service, which has it, waits for the others.
        await waits_or_ends(jobs.db, theirs)
        await user.execute("update jobs set status = 'cancelled' where id = 'job 1'")
        answers = {answer["delivery"]: answer["outcome"] for answer in json.loads(await theirs)}
        assert time.monotonic() - started < BUDGET
    assert answers == {job.id: "ok" if job.key == "job 1" else "locked" for job in claimed}
    assert await jobs.words() == ["cancelled"] * 8
    assert await jobs.db.fetchval("select count(*) from listener.delivery") == 0


@pytest.mark.parametrize("verb", ["cancel", "requeue"])
async def test_a_person_who_names_rows_that_a_user_holds_in_the_opposite_order(
    jobs: StoreTable, connect: Connect, verb: str
) -> None:
    await jobs.add(*range(1, 9))
    user = await connect()
    async with user.transaction():
        await user.execute("update jobs set url = 'edited' where id > 'job 1'")
        theirs = asyncio.ensure_future(getattr(jobs.store, verb)("jobs", [f"job {n}" for n in range(1, 9)]))
        await waits_or_ends(jobs.db, theirs)
        await user.execute("update jobs set url = 'edited' where id = 'job 1'")
        with pytest.raises(DatabaseError, match=r"another transaction has locked a row of public\.jobs"):
            await theirs
    assert await jobs.db.fetchval("select count(*) from jobs where url = 'edited' and status = 'queued'") == 8


async def test_one_locked_row_does_not_hold_up_its_batch(jobs: StoreTable, connect: Connect) -> None:
    await jobs.add(1, 2, 3)
    claimed = await jobs.claim()
    user = await connect()
    async with user.transaction():
        await user.execute("select from jobs where id = 'job 2' for update")
        answers = await jobs.store.settle("complete", [named(job) for job in claimed])
        assert [answers[job.id].outcome for job in claimed] == ["ok", "locked", "ok"]
    assert (await jobs.settle("complete", claimed[1])).outcome == "ok"


async def test_a_crowd_of_users_and_workers_comes_to_an_end(jobs: StoreTable, connect: Connect) -> None:
    """Users update and delete rows in opposite orders while two workers run them; no statement fails."""
    await jobs.add(*range(20))

    async def worker(name: str) -> None:
        for _ in range(15):
            claimed = await jobs.claim(5, name)
            await jobs.store.heartbeat(name, [(job.id, job.fence) for job in claimed])
            await jobs.store.settle("stage", [named(job, stage="enriching") for job in claimed])
            await jobs.store.settle("complete", [named(job) for job in reversed(claimed)])
            await jobs.store.rescue()
            await jobs.store.reconcile()

    async def user(order: str) -> None:
        session = await connect()
        for _ in range(15):
            await session.execute(
                "update jobs set status = 'queued'"
                f" where id in (select id from jobs order by id {order} limit 10 for update)"
            )

    await asyncio.gather(worker("w1"), worker("w2"), user("asc"), user("desc"))
    lost = (
        "select count(*) from jobs where status = 'queued'"
        " and not exists (select from listener.delivery where job_key = jobs.id)"
    )
    assert await jobs.db.fetchval(lost) == 0
    await jobs.store.requeue("jobs", [f"job {n}" for n in range(20)])
    await jobs.store.settle("complete", [named(job) for job in await jobs.claim(20)])
    assert await jobs.words() == ["completed"] * 20
