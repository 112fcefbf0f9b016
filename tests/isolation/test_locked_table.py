"""A table that somebody has locked as a whole holds up its own jobs only."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from tests.support.databases import Connect
from tests.support.table import WORDS, StoreTable, named

MAX_SECONDS = 2.0  # seconds that a call may take: much less than its timeout, however many jobs the table has


@pytest.fixture
async def locked(jobs: StoreTable, connect: Connect) -> Any:
    """Locks `jobs` until the test ends, once it is called."""
    await jobs.db.execute("create table others (id text primary key, status text not null default 'queued')")
    await jobs.store.attach("public.others", "others", words=WORDS)
    user = await connect()

    async def lock() -> None:
        await user.execute("begin; lock table jobs in access exclusive mode")

    return lock


async def test_others_are_claimed(jobs: StoreTable, locked: Any) -> None:
    await jobs.add(*range(60))
    await jobs.db.execute("insert into others values ('a')")
    await locked()
    started = time.monotonic()
    claim = await jobs.store.claim("w1", {"jobs": 60, "others": 1})
    assert time.monotonic() - started < MAX_SECONDS
    assert [job.key for job in claim.jobs] == ["a"]
    assert {miss.why for miss in claim.misses} == {"locked"}
    assert await jobs.db.fetchval("select count(*) from listener.delivery where state <> 'broken'") == 61


async def test_others_are_settled(jobs: StoreTable, locked: Any) -> None:
    await jobs.add(*range(120))
    await jobs.db.execute("insert into others select n::text from generate_series(1, 9) as n")
    claimed = (await jobs.store.claim("w1", {"jobs": 120, "others": 9})).jobs
    await locked()
    started = time.monotonic()
    answers = await jobs.store.settle("complete", [named(job) for job in claimed])
    assert time.monotonic() - started < MAX_SECONDS
    assert Counter(answer.outcome for answer in answers.values()) == {"locked": 120, "ok": 9}
    assert {answers[job.id].outcome for job in claimed if job.queue == "others"} == {"ok"}


async def test_others_are_reconciled(jobs: StoreTable, locked: Any) -> None:
    await jobs.db.execute(
        "alter table others disable trigger user; insert into others values ('a');"
        " alter table others enable trigger user"
    )
    await locked()
    one, other = await jobs.store.reconcile()
    assert one["problem"] == "rows of public.jobs can't be read: canceling statement due to lock timeout"
    assert other["queues"] == {"others": 1}
