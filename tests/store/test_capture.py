"""Changes of the user's rows change their deliveries."""

from __future__ import annotations

import asyncpg
import pytest

from listener.database.store import Store
from tests.support.table import StoreTable, settle

STAGED = {"stages": ["processing", "enriching"]}


async def test_an_insert_that_rolls_back_leaves_nothing(jobs: StoreTable) -> None:
    transaction = jobs.db.transaction()
    await transaction.start()
    await jobs.add(1)
    assert await jobs.state(1) == "waiting"
    await transaction.rollback()
    assert await jobs.delivery(1) is None


async def test_one_statement_wakes_once_and_only_when_it_commits(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    woken: list[object] = []
    await db.add_listener("listener_wake", lambda *event: woken.append(event[-1]))
    async with db.transaction():
        await jobs.add(*range(100))
        await db.execute("select 1")
        assert woken == []
    await db.execute("select 1")
    assert woken == ["jobs"]


async def test_rows_with_other_words_get_no_delivery(jobs: StoreTable) -> None:
    await jobs.add(1, status="draft")
    await jobs.add(2, status="completed")
    assert (await jobs.delivery(1), await jobs.delivery(2)) == (None, None)


# The design's table: a row's new word × its delivery.


@pytest.mark.parametrize("word", ["draft", "completed", "failed", "cancelled", "processing"])
async def test_ready_without_a_delivery_is_a_new_job(jobs: StoreTable, word: str) -> None:
    await jobs.add(1, status=word)
    await jobs.set(1, "queued")
    job = await jobs.claim_one()
    assert (job.attempt, job.origin) == (1, "update")


async def test_a_failed_job_is_redriven_by_its_row(jobs: StoreTable) -> None:
    await jobs.add(1)
    await jobs.settle("fail", await jobs.claim_one(), error="no use")
    await jobs.set(1, "queued")
    assert (await jobs.claim_one()).attempt == 1


async def test_ready_with_a_waiting_delivery_changes_nothing(jobs: StoreTable) -> None:
    await jobs.add(1)
    before = await jobs.delivery(1)
    await jobs.set(1, "queued")
    assert await jobs.delivery(1) == before


async def test_ready_with_a_scheduled_delivery_changes_nothing(jobs: StoreTable) -> None:
    await jobs.add(1)
    await jobs.settle("snooze", await jobs.claim_one(), delay=60)
    before = await jobs.delivery(1)
    await jobs.set(1, "queued")
    assert await jobs.delivery(1) == before
    await jobs.become_due()
    assert (await jobs.claim_one()).row["status"] == "processing"


async def test_ready_while_it_runs_is_a_restart(jobs: StoreTable) -> None:
    await jobs.add(1)
    old = await jobs.claim_one()
    await jobs.settle("checkpoint", old, value="half way")
    await jobs.set(1, "queued")

    (lost,) = await jobs.store.heartbeat("w1", [(old.id, old.fence)])
    assert not lost.cancelled
    new = await jobs.claim_one("w2")
    assert (new.attempt, new.saved) == (1, None)
    assert new.fence > old.fence
    assert (await jobs.settle("complete", old)).outcome == "lost"
    assert (await jobs.settle("complete", new)).outcome == "ok"


@pytest.mark.parametrize("word", ["processing", "enriching"])
async def test_a_running_word_on_a_waiting_job_means_that_somebody_else_drives_it(
    db: asyncpg.Connection, store: Store, word: str
) -> None:
    jobs = await StoreTable(db, store).create(**STAGED)
    await jobs.add(1, 2)
    await jobs.settle("snooze", await jobs.claim_one(), delay=60)
    await db.execute("update jobs set status = 'queued'")
    await db.execute("update jobs set status = $1", word)
    assert await db.fetchval("select count(*) from listener.delivery") == 0
    assert await jobs.claim() == []
    assert await jobs.words() == [word, word]


async def test_another_running_word_on_a_running_job_changes_nothing_until_its_worker_writes(
    db: asyncpg.Connection, store: Store
) -> None:
    jobs = await StoreTable(db, store).create(**STAGED)
    await jobs.add(1)
    job = await jobs.claim_one()
    await jobs.set(1, "enriching")
    assert await store.heartbeat("w1", [(job.id, job.fence)]) == []
    assert await jobs.state(1) == "running"


@pytest.mark.parametrize("state", ["waiting", "scheduled", "running"])
@pytest.mark.parametrize("word", ["completed", "failed", "cancelled", "archived", None])
async def test_a_final_or_unknown_word_or_a_delete_cancels(
    jobs: StoreTable, state: str, word: str | None
) -> None:
    await jobs.add(1)
    claimed = [] if state == "waiting" else await jobs.claim()
    if state == "scheduled":
        await settle(jobs.store, "snooze", claimed, delay=60)
    assert await jobs.state(1) == state

    await (jobs.delete(1) if word is None else jobs.set(1, word))

    assert await jobs.delivery(1) is None
    assert await jobs.history(1) == ["cancelled"]
    for job in claimed:
        (lost,) = await jobs.store.heartbeat("w1", [(job.id, job.fence)])
        assert lost.cancelled
        assert (await jobs.settle("complete", job)).outcome == "lost"
    if word is not None:
        assert await jobs.word(1) == word
        warning = await jobs.db.fetchval("select error from listener.attempt")
        assert ("no status word" in warning) == (word == "archived")


async def test_a_worker_is_told_at_once_when_its_job_is_cancelled(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    stopped: list[object] = []
    await jobs.add(1)
    await jobs.claim_one()
    await db.add_listener("listener_stop", lambda *event: stopped.append(event[-1]))
    await jobs.set(1, "cancelled")
    await db.execute("select 1")
    assert stopped == ["jobs"]


async def test_a_deleted_row_may_come_back(jobs: StoreTable) -> None:
    await jobs.add(1)
    old = await jobs.claim_one()
    await jobs.delete(1)
    await jobs.add(1)
    new = await jobs.claim_one()
    assert new.attempt == 1
    assert (await jobs.settle("complete", old)).outcome == "lost"
    assert (await jobs.settle("complete", new)).outcome == "ok"


async def test_a_job_whose_key_changes_starts_anew(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.add(1)
    old = await jobs.claim_one()
    await db.execute("update jobs set id = 'job 2', status = 'queued'")
    assert (await jobs.settle("complete", old)).outcome == "lost"
    assert (await jobs.claim_one()).key == "job 2"


async def test_an_upsert_is_captured(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.add(1, status="failed")
    await db.execute(
        "insert into jobs (id) values ('job 1'), ('job 2') on conflict (id) do update set status = excluded.status"
    )
    assert sorted(job.key for job in await jobs.claim()) == ["job 1", "job 2"]


async def test_a_truncated_table_has_no_jobs(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.add(1, 2)
    running = await jobs.claim_one()
    await db.execute("truncate jobs")
    assert await db.fetchval("select count(*) from listener.delivery") == 0
    assert await jobs.history(1) == await jobs.history(2) == ["cancelled"]
    (lost,) = await jobs.store.heartbeat("w1", [(running.id, running.fence)])
    assert lost.cancelled
    assert (await jobs.settle("complete", running)).outcome == "lost"


async def test_our_triggers_never_make_a_users_statement_fail(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    warnings: list[object] = []
    db.add_log_listener(lambda _, message: warnings.append(message.message))
    await db.execute("alter table listener.delivery rename to hidden")
    await jobs.add(1)
    await jobs.set(1, "draft")
    await jobs.set(1, "queued")
    await jobs.delete(1)
    await jobs.add(2)
    assert all(
        str(warning).startswith("listener could not capture a change of public.jobs: ")
        for warning in warnings
    )
    assert warnings
    await db.execute("alter table listener.hidden rename to delivery")
    assert [found["queues"] for found in await jobs.store.reconcile()] == [{"jobs": 1}]


async def test_the_user_may_change_the_table_as_ever(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute(
        "alter table jobs alter column status type varchar(30), alter column priority type bigint"
    )
    await jobs.add(1)
    assert (await settle(jobs.store, "complete", await jobs.claim()))[0].outcome == "ok"


async def test_a_delivery_that_was_left_behind_begins_anew_with_its_row(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.add(1)
    old = await jobs.claim_one()
    await db.execute(
        "alter table jobs disable trigger user; delete from jobs; alter table jobs enable trigger user"
    )
    await jobs.add(1)
    new = await jobs.claim_one()
    assert (new.attempt, new.origin) == (1, "insert")
    assert (await jobs.settle("complete", old)).outcome == "lost"
    assert (await jobs.settle("complete", new)).outcome == "ok"
