"""A claim takes jobs in order, and reports those that it can't take."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import asyncpg
import pytest

from listener.database.store import Store
from tests.support.databases import Connect
from tests.support.table import WORDS, StoreTable, waits_or_ends


async def test_high_priorities_come_first_then_the_oldest(jobs: StoreTable) -> None:
    await jobs.add(1, 2)
    await jobs.add(3, 4, priority=5)
    await jobs.add(5, priority=-1)
    order = [(await jobs.claim_one()).key for _ in range(5)]
    assert order == ["job 3", "job 4", "job 1", "job 2", "job 5"]


async def test_a_claim_takes_no_more_than_there_are_slots(jobs: StoreTable) -> None:
    await jobs.add(*range(5))
    assert [len(await jobs.claim(2)) for _ in range(4)] == [2, 2, 1, 0]
    assert await jobs.claim(0) == []


async def test_each_claim_has_a_greater_fence(jobs: StoreTable) -> None:
    await jobs.add(1, 2, 3)
    fences = [(await jobs.claim_one()).fence for _ in range(3)]
    assert fences == sorted(set(fences))


async def test_one_call_serves_several_queues(db: asyncpg.Connection, store: Store) -> None:
    for name in ("a", "b"):
        await db.execute(f"create table {name} (id int primary key, status text default 'new')")
        await store.attach(
            f"public.{name}", name, words={"ready": "new", "running": "busy", "done": "ok", "failed": "bad"}
        )
        await db.execute(f"insert into {name} values (1), (2), (3)")
    claim = await store.claim("w1", {"a": 1, "b": 2, "nobody made this": 5})
    assert [(job.queue, job.key) for job in claim.jobs] == [("a", "1"), ("b", "1"), ("b", "2")]


async def test_a_paused_queue_is_not_claimed(jobs: StoreTable) -> None:
    await jobs.add(1)
    assert await jobs.store.pause("jobs")
    assert not await jobs.store.pause("jobs")
    assert await jobs.claim() == []
    await jobs.add(2)
    assert await jobs.store.resume("jobs")
    assert not await jobs.store.resume("jobs")
    assert len(await jobs.claim()) == 2


async def test_resuming_wakes_the_service(jobs: StoreTable, db: asyncpg.Connection) -> None:
    woken: list[object] = []
    await jobs.store.pause("jobs")
    await db.add_listener("listener_wake", lambda *event: woken.append(event[-1]))
    await jobs.store.resume("jobs")
    await db.execute("select 1")
    assert woken == ["jobs"]


async def test_the_answer_names_the_next_deadlines(jobs: StoreTable) -> None:
    await jobs.add(1, 2)
    snoozed, _ = await jobs.claim()
    await jobs.settle("snooze", snoozed, delay=60)

    mine = await jobs.store.claim("w1", {"jobs": 1})
    others = await jobs.store.claim("w2", {"jobs": 1})
    assert mine.next_due == pytest.approx(60, abs=5)
    assert mine.next_lease == pytest.approx(20, abs=5)
    assert others.next_lease == pytest.approx(20, abs=5)


async def test_an_unregistered_worker_is_told_so(jobs: StoreTable) -> None:
    assert not (await jobs.store.claim("w1", {"jobs": 1})).known
    await jobs.store.register("w1", "host", "1.0", {"jobs": 1})
    assert (await jobs.store.claim("w1", {"jobs": 1})).known
    await jobs.store.unregister("w1")
    assert not (await jobs.store.claim("w1", {"jobs": 1})).known


async def test_a_row_that_somebody_has_locked_leaves_its_slot_to_the_next(
    jobs: StoreTable, connect: Connect
) -> None:
    await jobs.add(1, 2)
    user = await connect()
    async with user.transaction():
        await user.execute("update jobs set url = 'edited' where id = 'job 1'")
        claim = await jobs.store.claim("w1", {"jobs": 1})
        assert [job.key for job in claim.jobs] == ["job 2"]
        assert [(miss.key, miss.why) for miss in claim.misses] == [("job 1", "locked")]
        assert claim.next_due is not None
        assert claim.next_due < 0.5
    await jobs.become_due()
    assert (await jobs.claim_one()).row["url"] == "edited"


async def test_rows_that_are_gone_leave_their_slots_to_the_next(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.add(*range(10))
    await db.execute(
        "alter table jobs disable trigger user; delete from jobs; alter table jobs enable trigger user"
    )
    await jobs.add(11)
    claim = await jobs.store.claim("w1", {"jobs": 2})
    assert [job.key for job in claim.jobs] == ["job 11"]
    assert len(claim.misses) == 10


async def test_a_row_changed_behind_the_triggers_is_not_run(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.add(1, 2, 3)
    await db.execute("alter table jobs disable trigger user")
    await jobs.set(1, "completed")
    await jobs.delete(2)
    await db.execute("alter table jobs enable trigger user")

    claim = await jobs.store.claim("w1", {"jobs": 10})
    assert [job.key for job in claim.jobs] == ["job 3"]
    assert sorted((miss.key, miss.why) for miss in claim.misses) == [("job 1", "word"), ("job 2", "gone")]
    assert await db.fetchval("select count(*) from listener.delivery") == 1
    assert await jobs.word(1) == "completed"


async def test_a_null_status_is_a_word_like_any_other(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute("alter table jobs alter status drop not null")
    await jobs.add(1, 2)
    running, _ = await jobs.claim()
    await db.execute("update jobs set status = null")
    assert (await jobs.settle("complete", running)).outcome == "lost"
    assert await db.fetchval("select count(*) from listener.delivery") == 0


async def test_the_backlog_counts_what_could_start_now(jobs: StoreTable) -> None:
    assert await jobs.store.backlog("jobs") == 0
    await jobs.add(1, 2, 3)
    first, _ = await jobs.claim(2)
    await jobs.settle("snooze", first, delay=60)
    assert await jobs.store.backlog("jobs") == 1
    assert await jobs.store.backlog("nobody made this") == 0


async def test_a_claim_that_meets_many_rows_that_are_gone_ends_soon_and_says_so(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await db.execute("insert into jobs (id) select n::text from generate_series(1, 3000) as n")
    await db.execute(
        "alter table jobs disable trigger user; delete from jobs; alter table jobs enable trigger user"
    )
    calls = 0
    while (claim := await jobs.store.claim("w1", {"jobs": 2})).more:
        calls += 1
        assert claim.jobs == []
    assert calls > 1
    assert await db.fetchval("select count(*) from listener.delivery") == 0


async def test_what_the_tables_own_triggers_scan_is_never_compiled(
    jobs: StoreTable, db: asyncpg.Connection, database: str
) -> None:
    """A claim and an end go without sequential scans. Where a trigger has no other, Postgres takes it for a query that
    is worth half a second of compiling.
    """
    await db.execute(
        f"alter database {urlsplit(database).path[1:]} set jit = on;"
        "create function seen() returns trigger language plpgsql as $$"
        " begin new.url := coalesce(new.url, '') || current_setting('jit') || ' '; return new; end $$;"
        "create trigger seen before update on jobs for each row execute function seen()"
    )
    await jobs.add(1)
    await jobs.settle("complete", await jobs.claim_one())
    await jobs.store.requeue("jobs", ["job 1"])
    await jobs.store.cancel("jobs", ["job 1"])
    assert (await jobs.row(1))["url"] == "off " * 4


async def test_the_quick_way_leaves_what_it_can_not_have_to_a_sweep(
    jobs: StoreTable, connect: Connect
) -> None:
    await jobs.add(1, 2)
    user = await connect()
    async with user.transaction():
        await user.execute("update jobs set url = 'edited' where id = 'job 1'")
        quick = await jobs.store.claim("w1", {"jobs": 2}, sweep=False)
        assert [job.key for job in quick.jobs] == ["job 2"]
        assert quick.more
        sweep = await jobs.store.claim("w1", {"jobs": 1})
    assert [(miss.key, miss.why) for miss in sweep.misses] == [("job 1", "locked")]
    assert not sweep.more


async def test_the_quick_way_finds_out_which_row_is_refused(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.add(1, 2)
    await db.execute("alter table jobs add check (id <> 'job 1' or status = 'queued')")
    claim = await jobs.store.claim("w1", {"jobs": 2}, sweep=False)
    assert [job.key for job in claim.jobs] == ["job 2"]
    assert [(miss.key, miss.why) for miss in claim.misses] == [("job 1", "refused")]


async def test_two_tables_that_are_attached_at_once_are_both_served(
    jobs: StoreTable, connect: Connect
) -> None:
    one, other = await connect(), await connect()
    attach = "select listener.attach('public.{0}', '{0}', words => $1::text::jsonb)"
    words = json.dumps(WORDS)
    for user, table in ((one, "ones"), (other, "others")):
        await user.execute(f"create table {table} (id int primary key, status text default 'queued')")
    async with one.transaction():
        await one.execute(attach.format("ones"), words)
        waiting = asyncio.create_task(other.execute(attach.format("others"), words))
        await waits_or_ends(jobs.db, waiting)
    await waiting
    await jobs.db.execute("insert into ones values (1); insert into others values (1)")
    claim = await jobs.store.claim("w1", {"ones": 1, "others": 1})
    assert [job.queue for job in claim.jobs] == ["ones", "others"]
