"""Heartbeats keep what is really run, and rescue gives back what nobody runs."""

from __future__ import annotations

import asyncio

import asyncpg

from tests.support.table import StoreTable


async def age_claims(db: asyncpg.Connection, seconds: int) -> None:
    """Let the claims be older by so much."""
    await db.execute(
        "update listener.delivery set claimed_at = claimed_at - make_interval(secs => $1)", seconds
    )


async def lease(jobs: StoreTable, number: int) -> float:
    return float(
        await jobs.db.fetchval(
            "select extract(epoch from lease_until - clock_timestamp()) from listener.delivery where job_key = $1",
            f"job {number}",
        )
    )


async def test_a_heartbeat_extends_the_leases_it_names_and_touches_no_row(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.add(1, 2)
    one, _ = await jobs.claim()
    await db.execute("update listener.delivery set lease_until = clock_timestamp() + interval '1 second'")
    row = await db.fetchval("select xmin::text from jobs where id = 'job 1'")

    assert await jobs.store.heartbeat("w1", [(one.id, one.fence)]) == []
    assert await lease(jobs, 1) > 10 > await lease(jobs, 2)
    assert await db.fetchval("select xmin::text from jobs where id = 'job 1'") == row


async def test_a_claim_whose_answer_was_lost_goes_back_uncounted(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.add(1, 2)
    named, unnamed = await jobs.claim()
    await age_claims(db, 11)

    assert await jobs.store.heartbeat("w1", [(named.id, named.fence)]) == []
    assert (await jobs.state(1), await jobs.state(2)) == ("running", "waiting")
    assert (await jobs.settle("complete", unnamed)).outcome == "lost"
    assert (await jobs.claim_one("w2")).attempt == 1


async def test_naming_an_older_claim_of_the_same_job_does_not_keep_a_lost_one(jobs: StoreTable) -> None:
    await jobs.add(1)
    old = await jobs.claim_one()
    await jobs.settle("release", old)
    await jobs.claim_one()
    await age_claims(jobs.db, 11)
    assert [one.fence for one in await jobs.store.heartbeat("w1", [(old.id, old.fence)])] == [old.fence]
    assert await jobs.state(1) == "waiting"


async def test_a_young_unnamed_claim_may_still_be_on_its_way(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.add(1)
    await jobs.claim()
    await age_claims(db, 9)
    await jobs.store.heartbeat("w1", [])
    assert await jobs.state(1) == "running"


async def test_a_heartbeat_gives_back_nothing_of_another_worker(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.add(1)
    await jobs.claim(worker="w2")
    await age_claims(db, 60)
    await jobs.store.heartbeat("w1", [])
    assert await jobs.state(1) == "running"


async def test_the_answer_names_what_was_lost_and_what_was_cancelled(jobs: StoreTable) -> None:
    await jobs.add(1, 2, 3)
    held, moved, cancelled = await jobs.claim()
    await jobs.set(2, "queued")
    await jobs.set(3, "cancelled")
    lost = await jobs.store.heartbeat("w1", [(job.id, job.fence) for job in (held, moved, cancelled)])
    assert [(one.delivery, one.cancelled) for one in lost] == [(moved.id, False), (cancelled.id, True)]


async def test_expired_leases_are_rescued_with_their_checkpoint(jobs: StoreTable) -> None:
    await jobs.add(1, 2)
    dead, alive = await jobs.claim()
    await jobs.settle("checkpoint", dead, value=7)
    await jobs.expire()
    await jobs.store.heartbeat("w1", [(alive.id, alive.fence)])

    (rescued,) = await jobs.store.rescue()
    assert rescued == {"queue": "jobs", "key": "job 1", "worker": "w1", "spent": False}
    assert await jobs.store.rescue() == []
    again = await jobs.claim_one("w2")
    assert (again.attempt, again.saved) == (2, 7)
    assert await jobs.history(1) == ["lost"]


async def test_a_job_that_kills_its_workers_fails_in_the_end(jobs: StoreTable) -> None:
    await jobs.add(1)
    for _ in range(3):
        await jobs.claim_one()
        await jobs.expire()
        rescued = await jobs.store.rescue()
    assert [found["spent"] for found in rescued] == [True]
    row = await jobs.row(1)
    assert row["status"] == "failed"
    assert row["error"] == "the worker died or lost its connection in the last of 3 attempts"
    assert await jobs.history(1) == ["lost", "lost", "failed"]


async def test_one_process_rescues_at_a_time(jobs: StoreTable) -> None:
    await jobs.add(*range(20))
    await jobs.claim(20)
    await jobs.expire()
    found = await asyncio.gather(*(jobs.store.rescue() for _ in range(3)))
    assert sum(len(part) for part in found) == 20
    assert len(await jobs.claim(30, "w2")) == 20


async def test_rescue_wakes_the_service(jobs: StoreTable, db: asyncpg.Connection) -> None:
    woken: list[object] = []
    await jobs.add(1)
    await jobs.claim()
    await jobs.expire()
    await db.add_listener("listener_wake", lambda *event: woken.append(event[-1]))
    await jobs.store.rescue()
    await db.execute("select 1")
    assert woken == ["jobs"]
