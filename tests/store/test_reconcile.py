"""Reconcile finds rows that the triggers missed, and reports why they missed them."""

from __future__ import annotations

import asyncpg
import pytest

from listener.database.store import Store
from tests.support.table import WORDS, StoreTable


async def found(store: Store) -> list[tuple[dict[str, int], str | None]]:
    return [(part.get("queues", {}), part.get("problem")) for part in await store.reconcile()]


async def test_nothing_to_find_is_no_problem(jobs: StoreTable) -> None:
    await jobs.add(1)
    assert await found(jobs.store) == [({}, None)]


async def test_a_disabled_trigger_is_named_and_what_it_missed_is_found(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await db.execute("alter table jobs disable trigger listener_insert_1")
    await jobs.add(1)
    ((queues, problem),) = await found(jobs.store)
    assert queues == {"jobs": 1}
    assert problem is not None
    assert problem.startswith("the insert trigger is disabled of public.jobs: ")
    assert await jobs.state(1) == "waiting"


async def test_a_dropped_trigger_is_named_and_attach_makes_it_again(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await db.execute("drop trigger listener_update_1 on jobs")
    ((_, problem),) = await found(jobs.store)
    assert problem is not None
    assert problem.startswith("the update trigger is missing of public.jobs: ")
    await jobs.attach()
    assert await found(jobs.store) == [({}, None)]


async def test_it_goes_in_bounded_batches(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute("alter table jobs disable trigger user")
    await db.execute("insert into jobs (id) select 'job ' || n from generate_series(1, 1500) as n")
    assert [(part["queues"], part["more"]) for part in await jobs.store.reconcile()] == [
        ({"jobs": 1000}, True)
    ]
    assert [(part["queues"], part["more"]) for part in await jobs.store.reconcile()] == [
        ({"jobs": 500}, False)
    ]


async def test_a_later_start_is_kept(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute("alter table jobs disable trigger user")
    await db.execute("insert into jobs (id, run_at) values ('job 1', now() + interval '1 hour')")
    await jobs.store.reconcile()
    assert await jobs.state(1) == "scheduled"


async def test_what_it_finds_wakes_the_service(jobs: StoreTable, db: asyncpg.Connection) -> None:
    woken: list[object] = []
    await db.execute("alter table jobs disable trigger user")
    await jobs.add(1)
    await db.add_listener("listener_wake", lambda *event: woken.append(event[-1]))
    await jobs.store.reconcile()
    await db.execute("select 1")
    assert woken == ["jobs"]


async def test_a_dropped_table_is_reported_and_stops_no_other(
    jobs: StoreTable, db: asyncpg.Connection, store: Store
) -> None:
    await db.execute("create table more (id int primary key, status text)")
    await store.attach("public.more", "more", words=WORDS)
    await jobs.add(1)
    await db.execute(
        "drop table jobs; alter table more disable trigger user; insert into more values (1, 'queued')"
    )

    (gone, problem), (other, _) = await found(store)
    assert (gone, other) == ({}, {"more": 1})
    assert problem is not None
    assert problem.startswith("rows of public.jobs can't be read: ")
    assert (await store.claim("w1", {"jobs": 1, "more": 1})).jobs[0].queue == "more"


async def test_a_table_made_anew_is_heard_again_once_it_is_attached(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.add(1)
    await db.execute(
        "create table fresh (like jobs including all); drop table jobs; alter table fresh rename to jobs"
    )
    await jobs.add(2)
    ((queues, problem),) = await found(jobs.store)
    assert queues == {"jobs": 1}
    assert problem is not None
    assert "trigger is missing" in problem

    await jobs.attach()
    await jobs.add(3)
    claim = await jobs.store.claim("w1", {"jobs": 10})
    assert [job.key for job in claim.jobs] == ["job 2", "job 3"]
    assert [miss.why for miss in claim.misses] == ["gone"]


async def test_rows_copied_in_replica_mode_are_found(jobs: StoreTable, superuser: asyncpg.Connection) -> None:
    await superuser.execute("set session_replication_role = replica; insert into jobs (id) values ('job 1')")
    assert await jobs.delivery(1) is None
    assert await found(jobs.store) == [({"jobs": 1}, None)]


@pytest.mark.parametrize("kinds", [["render"], ["render", "analysis"]])
async def test_kinds_that_nobody_named_are_left_alone(
    db: asyncpg.Connection, store: Store, kinds: list[str]
) -> None:
    await db.execute("create table jobs (id int primary key, type text, status text)")
    await db.execute(
        "insert into jobs values (1, 'render', 'queued'), (2, 'analysis', 'queued'), (3, null, 'queued')"
    )
    await store.attach("public.jobs", "jobs", words=WORDS, kind="type", kinds=kinds)
    await store.reconcile()
    assert await db.fetchval("select count(*) from listener.delivery") == len(kinds)
