"""The dispatcher starts the right jobs, in time, and never more than there are slots."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import anyio
import asyncpg
import pytest

from listener import App, Job
from tests.support.harness import Switch, Table, app_of, serving, until


async def running(jobs: Table) -> int:
    return int(await jobs.db.fetchval("select count(*) from listener.delivery where state = 'running'"))


async def test_no_more_is_claimed_than_can_start(jobs: Table, database: str) -> None:
    switch = Switch()
    async with serving(switch.app(concurrency=3), database):
        await jobs.add(*(f"{n}" for n in range(10)))
        await switch.has_started(3)
        for _ in range(20):
            assert await running(jobs) == 3
        switch.go.set()
        await jobs.all_become("completed")
    assert len(switch.started) == 10


async def test_the_process_has_its_own_limit_which_queues_share_fairly(
    db: asyncpg.Connection, database: str
) -> None:
    tables = [await Table(db, name).create() for name in ("big", "small")]
    active: Counter[str] = Counter()
    most, order = 0, []

    switch = Switch()

    async def handle(job: Job) -> None:
        nonlocal most
        active[job.queue] += 1
        most = max(most, active.total())
        order.append(job.queue)
        await switch(job)
        active[job.queue] -= 1

    app = App()
    app.handler("big", concurrency=100)(handle)
    app.handler("small", concurrency=100)(handle)
    await tables[0].add(*(f"b{n}" for n in range(60)))
    await tables[1].add(*(f"s{n}" for n in range(6)))
    async with serving(app, database, max_concurrent_jobs=8):
        await switch.has_started(8)
        assert await running(tables[0]) == 8
        switch.go.set()
        for table in tables:
            await table.all_become("completed")
    assert most == 8
    assert Counter(order[:8]) == {"big": 4, "small": 4}


async def test_a_queue_that_is_full_does_not_hold_up_another(db: asyncpg.Connection, database: str) -> None:
    slow, quick = [await Table(db, name).create() for name in ("slow", "quick")]
    switch = Switch()
    app = switch.app("slow")
    app.include(app_of(lambda _job: None, "quick"))
    async with serving(app, database):
        await slow.add("a", "b")
        await switch.has_started()
        await quick.add("c")
        await quick.becomes("c", "completed")


async def test_higher_priorities_start_first_and_equals_in_order(jobs: Table, database: str) -> None:
    switch = Switch()
    switch.go.set()
    await jobs.add("a", "b")
    await jobs.add("urgent", priority=9)
    await jobs.add("later", priority=-1)
    async with serving(switch.app(), database):
        await jobs.all_become("completed")
    assert switch.started == ["urgent", "a", "b", "later"]


async def test_a_delayed_job_starts_on_time_without_polling(jobs: Table, database: str) -> None:
    switch = Switch()
    switch.go.set()
    async with serving(switch.app(), database):
        await jobs.add("warm")
        await jobs.becomes("warm", "completed")
        due = datetime.now(UTC) + timedelta(seconds=1.5)
        await jobs.add("a", run_at=due)
        await jobs.add("b")
        await jobs.becomes("b", "completed")
        assert switch.started == ["warm", "b"]
        await jobs.becomes("a", "completed")
        assert timedelta() <= datetime.now(UTC) - due < timedelta(seconds=5)


async def test_delayed_jobs_are_not_starved_by_a_backlog(jobs: Table, database: str) -> None:
    """A queue whose slots are always taken still lets in what has become due, in its turn."""
    await jobs.add("due", run_at=datetime.now(UTC) + timedelta(seconds=0.2), priority=5)
    await jobs.add(*(f"{n}" for n in range(150)))

    async def work(job: Job) -> None:
        await anyio.sleep(0.02)

    async with serving(app_of(work), database, poll_interval=0.3):
        await jobs.becomes("due", "completed")
        assert (await jobs.counts())["queued"] > 0


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(jobs: Table, database: str) -> None:
    switch = Switch()
    async with serving(switch.app(), database):
        await jobs.add("a")
        await switch.has_started()
        await jobs.db.execute("select listener.pause('jobs')")
        await jobs.add("b")
        switch.go.set()
        await jobs.becomes("a", "completed")
        assert await running(jobs) == 0
        assert (await jobs.row("b"))["status"] == "queued"
        await jobs.db.execute("select listener.resume('jobs')")
        await jobs.becomes("b", "completed")


async def test_two_services_share_the_work_and_none_is_done_twice(jobs: Table, database: str) -> None:
    done: Counter[str] = Counter()
    by: Counter[int] = Counter()

    def app(number: int) -> App:
        async def handle(job: Job) -> None:
            done[job.key] += 1
            by[number] += 1

        return app_of(handle, concurrency=20)

    async with serving(app(1), database), serving(app(2), database):
        for start in range(0, 2000, 100):
            await jobs.add(*(f"{n}" for n in range(start, start + 100)))
        await jobs.all_become("completed")
    assert set(done.values()) == {1}
    assert len(done) == 2000
    assert min(by.values()) > 0
    assert await jobs.db.fetchval("select count(*) from listener.attempt where outcome = 'completed'") == 2000


async def test_rows_that_came_while_nobody_served_are_drained_by_priority(jobs: Table, database: str) -> None:
    await jobs.add(*(f"{n}" for n in range(200)))
    await jobs.add("first", priority=1)
    switch = Switch()
    switch.go.set()
    async with serving(switch.app(concurrency=10), database):
        await jobs.all_become("completed")
    assert switch.started[0] == "first"
    assert len(switch.started) == len(set(switch.started)) == 201


async def test_a_locked_row_is_passed_over_and_taken_when_it_is_free(jobs: Table, database: str) -> None:
    switch = Switch()
    switch.go.set()
    async with serving(switch.app(concurrency=5), database):
        async with jobs.db.transaction():
            await jobs.add("mine")
        await jobs.becomes("mine", "completed")
        await jobs.db.execute("select listener.pause('jobs')")
        await jobs.add("locked", "free")
        other = await asyncpg.connect(database)
        try:
            async with jobs.db.transaction():
                await jobs.db.execute("update jobs set url = 'x' where id = 'locked'")
                await other.execute("select listener.resume('jobs')")
                await Table(other).becomes("free", "completed")
                assert "locked" not in switch.started
            await jobs.becomes("locked", "completed")
        finally:
            await other.close()


async def test_a_row_that_refuses_to_run_is_kept_aside_and_shown(jobs: Table, database: str) -> None:
    await jobs.db.execute("alter table jobs add check (id <> 'bad' or status <> 'processing')")
    switch = Switch()
    switch.go.set()
    async with serving(switch.app(concurrency=5), database, http=True) as service:
        await jobs.add("good", "bad", "fine")
        await jobs.becomes("good", "completed")
        await jobs.becomes("fine", "completed")
        delivery = await jobs.delivery("bad")
        assert delivery is not None
        assert delivery["state"] == "broken"
        assert "violates check constraint" in delivery["error"]
        assert 'listener_jobs{queue="jobs",state="broken"} 1.0' in (await service.get("/metrics")).text


@pytest.mark.parametrize("crash", [False, True], ids=["handed on", "crashed"])
async def test_work_goes_on_in_another_service(jobs: Table, database: str, crash: bool) -> None:
    """A job of a crashed worker is rescued when its lease ends, without a poll."""
    first, second = Switch(), Switch()
    second.go.set()
    await jobs.add(*(f"{n}" for n in range(4)))
    async with serving(first.app(concurrency=2), database) as service:
        await first.has_started(2)
        async with serving(second.app(concurrency=2), database) as survivor:
            await second.has_started(2)
            if crash:
                service.die()
            else:
                service.engine.shut_down()
            await jobs.all_become("completed")
            assert survivor.metric("lease_expirations_total", queue="jobs") == (2 if crash else 0)
    assert sorted(first.stopped) == ["0", "1"]
    assert sorted(second.started) == ["0", "1", "2", "3"]


async def test_an_idle_service_says_nothing_to_its_database(jobs: Table, database: str) -> None:
    async with serving(Switch().app(), database):
        await jobs.add("a")
        await jobs.set("a", "cancelled")

        async def statements() -> list[asyncpg.Record]:
            return list(
                await jobs.db.fetch(
                    "select pid, query_start from pg_stat_activity where application_name like 'listener%'"
                    " and datname = current_database() order by 1"
                )
            )

        async def settled() -> bool:
            quiet = await jobs.db.fetchval(
                "select clock_timestamp() - max(query_start) > interval '0.6 seconds' from pg_stat_activity"
                " where application_name like 'listener%' and datname = current_database()"
            )
            return bool(quiet)

        await until(settled)
        before = await statements()
        await jobs.db.execute("select pg_sleep(2.5)")
        assert await statements() == before
