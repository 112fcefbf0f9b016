"""A claim writes rows, and the table's own triggers have their say while it does."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.table import WORDS, StoreTable


async def let(db: asyncpg.Connection, when: str, does: str) -> None:
    """Run this when a row with the url `special` begins to be processed."""
    await db.execute(
        f"create function say() returns trigger language plpgsql as $$ begin {does} return new; end $$;"
        f" create trigger say {when} update on jobs for each row"
        " when (new.status = 'processing' and new.url = 'special') execute function say()"
    )


ENDS = {
    "at once": ("before", "new.status := 'cancelled';"),
    "after that": ("after", "update jobs set status = 'cancelled' where id = new.id;"),
}


@pytest.mark.parametrize(("when", "does"), ENDS.values(), ids=ENDS)
async def test_a_row_that_a_trigger_ends_is_over(
    jobs: StoreTable, db: asyncpg.Connection, when: str, does: str
) -> None:
    await let(db, when, does)
    await jobs.add(1)
    await jobs.add(2, url="special")
    one, ended = await jobs.claim()
    assert (await jobs.word(2), await jobs.state(2), await jobs.history(2)) == (
        "cancelled",
        None,
        ["cancelled"],
    )
    assert (await jobs.settle("complete", ended)).outcome == "lost"
    assert (await jobs.settle("complete", one)).outcome == "ok"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_row_that_a_trigger_makes_ready_is_a_job(
    jobs: StoreTable, db: asyncpg.Connection, when: str
) -> None:
    await let(db, when, "update jobs set status = 'queued' where id = 'job 2';")
    await jobs.add(2, status="failed")
    await jobs.add(1, url="special")
    assert [job.key for job in await jobs.claim()] == ["job 1"]
    assert await jobs.state(2) == "waiting"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_row_that_a_trigger_cancels_is_none_any_more(
    jobs: StoreTable, db: asyncpg.Connection, when: str
) -> None:
    await let(db, when, "update jobs set status = 'cancelled' where id = 'job 2';")
    await jobs.add(1, url="special")
    await jobs.add(2)
    assert (await jobs.claim_one()).key == "job 1"
    assert (await jobs.state(2), await jobs.history(2)) == (None, ["cancelled"])


async def test_what_follows_a_claim_in_its_transaction_is_captured(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.add(1, 2)
    async with db.transaction():
        await db.execute("select listener.claim('w1', '{jobs}', '{1}')")
        await jobs.set(1, "cancelled")
        await jobs.set(2, "cancelled")
    assert await db.fetchval("select count(*) from listener.delivery") == 0


async def test_the_columns_may_be_called_as_they_like(db: asyncpg.Connection, jobs: StoreTable) -> None:
    await db.execute(
        "create table others (id int primary key, status text not null default 'queued', moment text, most text,"
        " jobs text, fence text, queue text, worker text, lease text, one text, word text, started_at timestamptz)"
    )
    await jobs.store.attach("public.others", "others", words=WORDS)
    await db.execute("insert into others (id, moment) values (1, 'mine')")
    (job,) = (await jobs.store.claim("w1", {"others": 1})).jobs
    assert (job.row["status"], job.row["moment"]) == ("processing", "mine")


async def test_who_hides_an_update_from_us_only_makes_it_late(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    """By the setting that a claim uses for itself, and that anybody with SQL may set."""
    await jobs.add(1)
    await jobs.add(2, status="failed")
    running = await jobs.claim_one()
    async with db.transaction():
        await db.execute("set local listener.claiming = 'on'")
        await jobs.set(1, "cancelled")
        await jobs.set(2, "queued")
    assert (await jobs.state(1), await jobs.state(2)) == ("running", None)
    assert (await jobs.settle("complete", running)).outcome == "lost"
    assert await jobs.word(1) == "cancelled"
    await jobs.store.reconcile()
    assert (await jobs.claim_one()).key == "job 2"
