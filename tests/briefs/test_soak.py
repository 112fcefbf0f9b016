"""Many briefs through two services, one of which is killed again and again, and an older worker beside them.

`BRIEFS_SOAK=1000 pytest -s tests/briefs/test_soak.py` takes a thousand of them, and shows the numbers.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time

import asyncpg

from tests.support.databases import Connect
from tests.support.harness import until
from tests.support.processes import Serve

from .conftest import Briefs

BRIEFS = int(os.environ.get("BRIEFS_SOAK", "40"))
PIPELINES = ("video", "image", "audio", "text")


async def test_every_brief_is_complete_and_every_step_done_once(
    briefs: Briefs, serve: Serve, connect: Connect
) -> None:
    # What dies in three workers fails for good; here that would be the workers' fault.
    await briefs.db.execute("update listener.queue set max_attempts = 100")
    ids = [await briefs.create(PIPELINES[number % 4]) for number in range(BRIEFS)]
    services = [serve(LOG_LEVEL="error"), serve(LOG_LEVEL="error")]
    old = asyncio.create_task(work_as_of_old(await connect()))
    began, kills = time.perf_counter(), 0
    open_ = "select count(*) from briefs where status in ('pending', 'processing')"
    while await briefs.db.fetchval(open_):
        assert time.perf_counter() - began < 60 + BRIEFS, await briefs.db.fetch("select * from job_stats")
        workers = await briefs.db.fetch(
            "select distinct worker from listener.delivery where state = 'running'"
        )
        busy = {int(row["worker"].split("-")[1]) for row in workers}
        # One at a time: the other one goes on while this one's successor starts.
        if busy >= {service.pid for service in services}:
            services[0].kill()
            services[0].wait()
            services = [services[1], serve(LOG_LEVEL="error")]
            kills += 1
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - began
    old.cancel()

    assert kills > 0
    statuses = await briefs.db.fetch("select status, count(*) from briefs group by 1")
    assert {row["status"]: row["count"] for row in statuses} == {"completed": BRIEFS}
    for id, media_type in zip(ids, PIPELINES * BRIEFS, strict=False):  # noqa: A001
        await check(briefs, id, media_type)
    ended = "select count(*), count(distinct job_key) from listener.attempt where outcome = 'completed'"
    by_service, jobs = await briefs.db.fetchrow(ended) or (0, 0)
    by_old = await briefs.db.fetchval("select count(*) from jobs where worker_id = 'old'")
    steps = await briefs.db.fetchval("select count(*) from jobs")
    assert by_service == jobs, "a step was completed twice"
    assert by_service + by_old == steps
    assert await briefs.db.fetchval("select count(*) from listener.delivery") == 0
    lost = await briefs.db.fetchval(
        "select count(*) from listener.attempt where outcome in ('lost', 'retried')"
    )
    print(
        f"\n{BRIEFS} briefs, {steps} steps in {seconds:.1f} s; {kills} kills, {lost} attempts lost and done again,"
        f" {by_old} steps by the older worker"
    )


async def check(briefs: Briefs, id: str, media_type: str) -> None:  # noqa: A002
    """Each step had the results of those before it, as their rows have them."""
    rows = await briefs.db.fetch(
        "select type, status, payload, result from jobs where brief_id = $1 order by step", id
    )
    expected = await briefs.db.fetchval("select steps from pipelines where name = $1", media_type)
    assert [row["type"] for row in rows] == expected
    for place, row in enumerate(rows):
        before = {earlier["type"]: json.loads(earlier["result"]) for earlier in rows[:place]}
        assert json.loads(row["payload"]).get("results", {}) == before


async def work_as_of_old(connection: asyncpg.Connection) -> None:
    while True:
        job = await connection.fetchrow("select * from claim_job('old')")
        await asyncio.sleep(random.uniform(0.1, 0.4))
        if job is not None:
            await connection.execute("select complete_job($1, $2)", job["id"], json.dumps({"by": "old"}))


async def test_a_service_that_dies_between_steps_hands_them_on(briefs: Briefs, serve: Serve) -> None:
    brief = await briefs.create("audio")
    doomed = serve(HANGS_IN="asset_prep")
    await until(
        lambda: briefs.db.fetchval(
            "select true from jobs where type = 'asset_prep' and status = 'processing'"
        )
    )
    first = await briefs.db.fetchval("select result from jobs where type = 'analysis'")
    doomed.kill()
    doomed.wait()
    serve()
    await until(
        lambda: briefs.db.fetchval("select status = 'completed' from briefs where id = $1", brief), within=20
    )
    rows = await briefs.db.fetch("select type, result, attempts from jobs order by step")
    assert [row["type"] for row in rows] == ["analysis", "asset_prep", "render"]
    assert rows[0]["result"] == first, "the first step was not done again"
    assert json.loads(rows[2]["result"])["before"] == ["analysis", "asset_prep"]


async def test_cancelling_or_deleting_stops_the_step_that_runs(briefs: Briefs, serve: Serve) -> None:
    cancelled, deleted = await briefs.create("audio"), await briefs.create("audio")
    serve(HANGS_IN="asset_prep")
    running = "select count(*) = 2 from jobs where type = 'asset_prep' and status = 'processing'"
    await until(lambda: briefs.db.fetchval(running))
    await briefs.db.execute("update briefs set status = 'cancelled' where id = $1", cancelled)
    await briefs.db.execute("delete from briefs where id = $1", deleted)
    assert await briefs.steps(cancelled) == [("analysis", "completed"), ("asset_prep", "cancelled")]
    assert await briefs.steps(deleted) == []
    outcomes = "select array_agg(outcome) from listener.attempt where outcome <> 'completed'"
    assert await briefs.db.fetchval(outcomes) == ["cancelled", "cancelled"]
    assert await briefs.db.fetchval("select count(*) from listener.delivery") == 0
