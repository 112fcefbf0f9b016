"""An error column of jsonb has the place, the message, the attempt and the time."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.table import StoreTable


@pytest.fixture
async def detailed(jobs: StoreTable, db: asyncpg.Connection) -> StoreTable:
    await db.execute("alter table jobs alter column error type jsonb using null")
    await jobs.attach(max_attempts=1, stages=["processing"])
    await jobs.add(1)
    return jobs


async def test_a_failure_says_where_and_what(detailed: StoreTable) -> None:
    job = await detailed.claim_one()
    await detailed.settle("fail", job, error="no sound", kind="RecordingError")
    error = (await detailed.row(1))["error"]
    assert error.pop("time") > "20"
    assert error == {"stage": "processing", "error": "RecordingError", "message": "no sound", "attempt": 1}


async def test_so_does_the_last_of_all_attempts(detailed: StoreTable) -> None:
    job = await detailed.claim_one()
    await detailed.settle("retry", job, error="busy", kind="Timeout")
    error = (await detailed.row(1))["error"]
    assert (error["error"], error["message"]) == ("Timeout", "busy")


async def test_and_a_worker_that_died(detailed: StoreTable) -> None:
    await detailed.claim_one()
    await detailed.expire()
    await detailed.store.rescue()
    error = (await detailed.row(1))["error"]
    assert (error["error"], error["attempt"]) == ("WorkerLost", 1)


async def test_who_cancels_leaves_a_reason(detailed: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute("select listener.cancel('jobs', '{job 1}', 'not needed')")
    error = (await detailed.row(1))["error"]
    assert error["message"] == "not needed"
    await db.execute("select listener.requeue('jobs', '{job 1}')")
    assert (await detailed.row(1))["error"] is None
