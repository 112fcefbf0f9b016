"""With 50,000 jobs every verb still reads only what it needs: it scans no table and touches few pages.

The pages that a call touched are counted in its own transaction, which says more than a plan: it holds for every
statement of a verb, also for those that a function's cached plan runs.
"""

from __future__ import annotations

import json

import asyncpg
import pytest

from listener.database.model import Delivery
from listener.database.store import Store
from tests.support.databases import Connect
from tests.support.table import StoreTable, named

MANY = 50_000
BATCH = 20

# Rows read by scanning our tables or the user's, and pages touched of any table and index, so far.
COUNTS = """
select array[
  (select sum(seq_tup_read) from pg_stat_xact_user_tables where relname in ('jobs', 'more', 'delivery', 'attempt')),
  (select sum(pg_stat_get_xact_blocks_fetched(oid)) from pg_class where relkind in ('r', 'i') and relnamespace <> 11)]
"""


SAYS: dict[str, dict[str, object]] = {
    "progress": {"percent": 5},
    "checkpoint": {"value": 1},
    "complete": {},
    "fail": {"error": "no use"},
    "retry": {"error": "again"},
    "snooze": {"delay": 60},
    "release": {},
}


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> StoreTable:
    """50,000 rows that wait, with an index by which reconcile can find the ready ones."""
    jobs = await StoreTable(db, store, "bigint").create()
    await db.execute("create index on jobs (status) where status = 'queued'")
    return jobs


async def fill(jobs: StoreTable, *, word: str = "queued") -> None:
    await jobs.db.execute(
        f"insert into jobs (id, status) select n, '{word}' from generate_series(1, {MANY}) as n"
    )


async def touched(session: asyncpg.Connection, statement: str, *arguments: object) -> int:
    """Run a statement, which may not scan a table. Return how many pages it touched."""
    async with session.transaction():
        before = await session.fetchval(COUNTS)
        await session.execute(statement, *arguments)
        scanned, pages = (
            int(now - then) for now, then in zip(await session.fetchval(COUNTS), before, strict=True)
        )
        assert scanned < 1000, statement
        return pages


def batch(jobs: list[Delivery], **rest: object) -> str:
    return json.dumps([named(job, **rest) for job in jobs])


async def verbs(jobs: StoreTable, session: asyncpg.Connection) -> dict[str, int]:
    """The pages that each verb touches for a batch."""
    pages = {"claim": await touched(session, f"select listener.claim('w0', '{{jobs}}', '{{{BATCH}}}')")}
    claimed = await jobs.claim(BATCH * 7)
    for n, (verb, rest) in enumerate(SAYS.items()):
        some = claimed[n * BATCH : (n + 1) * BATCH]
        pages[verb] = await touched(session, f"select listener.{verb}($1::jsonb)", batch(some, **rest))
    claimed = await jobs.claim(BATCH)
    pages["heartbeat"] = await touched(session, "select listener.heartbeat('w1', $1::jsonb)", batch(claimed))
    keys = [job.key for job in claimed]
    pages["requeue"] = await touched(session, "select listener.requeue('jobs', $1)", keys)
    pages["cancel"] = await touched(session, "select listener.cancel('jobs', $1)", keys)
    await jobs.db.execute(
        "update listener.delivery set lease_until = now() - interval '1 s' where state = 'running'"
    )
    pages["rescue"] = await touched(session, "select listener.rescue()")
    return pages


@pytest.mark.parametrize("statistics", ["fresh", "stale"])
async def test_verbs_touch_few_pages(jobs: StoreTable, connect: Connect, statistics: str) -> None:
    session = await connect()
    await jobs.db.execute(
        "alter table jobs set (autovacuum_enabled = off); alter table listener.delivery set (autovacuum_enabled = off)"
    )
    if statistics == "stale":
        # Plans are made, and cached for good, while the tables are empty and said to be so.
        await jobs.db.execute("analyze jobs; analyze listener.delivery")
        for _ in range(12):
            await jobs.add(0)
            await session.execute("select listener.claim('w0', '{jobs}', '{5}')")
            await jobs.delete(0)
    await fill(jobs)
    if statistics == "fresh":
        await jobs.db.execute("analyze jobs; analyze listener.delivery")
    pages = await verbs(jobs, session)
    assert {verb: count for verb, count in pages.items() if count > BATCH * 100} == {}


async def test_a_capture_touches_few_pages(jobs: StoreTable) -> None:
    await fill(jobs)
    await jobs.db.execute("analyze jobs; analyze listener.delivery")
    for statement in (
        "insert into jobs (id) select n from generate_series(100001, 100020) as n",
        "update jobs set status = 'cancelled' where id between 100001 and 100010",
        "delete from jobs where id between 100011 and 100020",
    ):
        assert await touched(jobs.db, statement) < BATCH * 100, statement


async def test_a_reconcile_reads_ready_rows_only(jobs: StoreTable) -> None:
    await fill(jobs, word="completed")
    await jobs.db.execute("analyze jobs; alter table jobs disable trigger user")
    await jobs.db.execute("insert into jobs (id) values (100001)")
    assert await touched(jobs.db, "select listener.reconcile()") < 300


async def test_a_claim_steps_over_nothing_that_others_wait_for(jobs: StoreTable, store: Store) -> None:
    """Neither tomorrow's jobs nor those of a queue that nobody serves are read."""
    await jobs.db.execute("create table more (id int primary key, status text, run_at timestamptz)")
    await store.attach(
        "public.more", "more", words={"ready": "a", "running": "b", "done": "c", "failed": "d"}
    )
    await fill(jobs)
    await jobs.db.execute(
        f"insert into more select n, 'a', now() + interval '1 day' from generate_series(1, {MANY}) as n;"
        "insert into more values (0, 'a', null)"
    )
    assert await touched(jobs.db, "select listener.claim('w1', '{more}', '{20}')") < 300


@pytest.mark.parametrize("statistics", ["fresh", "stale"])
async def test_an_overview_reads_the_heads_of_its_lists(
    jobs: StoreTable, store: Store, statistics: str
) -> None:
    """Beside `stats`, which counts every delivery once."""
    if statistics == "stale":
        await jobs.db.execute("analyze jobs; analyze listener.delivery; analyze listener.attempt")
    await fill(jobs)
    await jobs.db.execute(
        "insert into listener.attempt (queue, job_key, attempt, fence, outcome)"
        f" select 1, n, 1, n, 'completed' from generate_series(1, {MANY}) as n"
    )
    if statistics == "fresh":
        await jobs.db.execute("analyze jobs; analyze listener.delivery; analyze listener.attempt")
    await store.claim("w1", {"jobs": BATCH})
    assert await touched(jobs.db, "select listener.foremost(20)") < 1000
