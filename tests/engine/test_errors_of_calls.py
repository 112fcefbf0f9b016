"""An error of a call concerns as little as possible: one row, one queue, or the time that the database is away."""

from __future__ import annotations

import anyio
import asyncpg
import pytest

from listener import App, Job
from listener.engine import queue_writer
from tests.support.harness import Switch, Table, app_of, serving, until

SLOW = """
create function slow() returns trigger language plpgsql as $$
begin
  if new.kind = 'slow' and new.status = '{word}' then perform pg_sleep({seconds}); end if;
  return new;
end $$;
create trigger slow before update on jobs for each row execute function slow();
"""


async def set_for_services(db: asyncpg.Connection, setting: str) -> None:
    """Change a setting of the sessions that begin from now on, and end those of services."""
    await db.execute(
        "do $$ begin execute format('alter role %I in database %I "
        f"{setting}', current_user, current_database()); end $$"
    )
    await db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'listener' and datname = current_database()"
    )


async def nothing(job: Job) -> None:
    """Do nothing."""


UNREADABLE = {
    "digits": "'{\"x\": 1e5000}'",
    "depth": "(repeat('[', 3000) || repeat(']', 3000))::jsonb",
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_row_that_can_not_be_decoded_is_set_aside_and_the_others_run(
    jobs: Table, database: str, db: asyncpg.Connection, value: str
) -> None:
    await db.execute("insert into jobs (id) values ('a'), ('bad'), ('c')")
    await db.execute(f"update jobs set result = {value} where id = 'bad'")
    async with serving(app_of(nothing, concurrency=5), database):
        await jobs.becomes("a", "completed")
        await jobs.becomes("c", "completed")
        await until(lambda: db.fetchval("select state = 'broken' from listener.delivery"))
    assert "result" in await jobs.error("bad")
    assert "can't be read" in await jobs.error("bad")


async def test_a_batch_that_takes_too_long_is_written_in_smaller_ones(
    jobs: Table, database: str, db: asyncpg.Connection
) -> None:
    await db.execute(SLOW.format(word="completed", seconds=0.05))
    await set_for_services(db, "set statement_timeout = ''500ms''")
    switch = Switch()
    async with serving(switch.app(concurrency=30), database):
        await db.execute("insert into jobs (id, kind) select n, 'slow' from generate_series(1, 30) as n")
        await until(lambda: len(switch.started) == 30)
        switch.go.set()
        await jobs.all_become("completed")


async def test_a_row_that_can_not_be_written_in_time_is_set_aside_and_the_others_are_written(
    jobs: Table, database: str, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_writer, "SLOW_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(queue_writer, "SLOW_TRIES", 3)
    await db.execute(SLOW.format(word="completed", seconds=30))
    await set_for_services(db, "set statement_timeout = ''400ms''")
    switch = Switch()
    async with serving(switch.app(concurrency=5), database):
        await db.execute("insert into jobs (id, kind) values ('a', null), ('bad', 'slow'), ('c', null)")
        await until(lambda: len(switch.started) == 3)
        switch.go.set()
        await jobs.becomes("a", "completed")
        await jobs.becomes("c", "completed")
        await until(lambda: db.fetchval("select state = 'broken' from listener.delivery"))
    assert (await jobs.row("bad"))["status"] == "processing"
    assert (await jobs.error("bad")).startswith("the row could not be written in 3 tries: ")


async def test_outcomes_of_one_queue_do_not_wait_for_another(
    jobs: Table, database: str, db: asyncpg.Connection
) -> None:
    await db.execute(SLOW.format(word="completed", seconds=5))
    other = await Table(db, "other").create()
    app = App()
    app.handler("jobs")(nothing)
    app.handler("other")(nothing)
    async with serving(app, database):
        await db.execute("insert into jobs (id, kind) values ('slow', 'slow')")
        asleep = "from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        sleeping = f"select exists (select {asleep})"
        await until(lambda: db.fetchval(sleeping))
        with anyio.fail_after(3):
            await db.execute("insert into other (id) values ('a')")
            await other.becomes("a", "completed")
        assert await db.fetchval(sleeping)
        await db.execute(f"select pg_cancel_backend(pid) {asleep}")
        await db.execute("drop trigger slow on jobs")
        await jobs.becomes("slow", "completed")


async def test_an_outcome_is_kept_while_the_database_is_read_only(
    jobs: Table, database: str, db: asyncpg.Connection
) -> None:
    switch = Switch()
    async with serving(switch.app(), database):
        await jobs.add("a")
        await switch.has_started()
        await set_for_services(db, "set default_transaction_read_only = on")
        switch.go.set()
        refused = (
            "select exists (select from pg_stat_activity where application_name = 'listener'"
            " and datname = current_database() and query like '%complete%' and state = 'idle')"
        )
        await until(lambda: db.fetchval(refused))
        assert (await jobs.row("a"))["status"] == "processing"
        await set_for_services(db, "reset default_transaction_read_only")
        await jobs.becomes("a", "completed")
    assert switch.started == ["a"]
    assert await jobs.history("a") == ["completed"]


async def test_a_row_that_can_not_be_claimed_in_time_is_put_aside_and_other_queues_go_on(
    jobs: Table, database: str, db: asyncpg.Connection
) -> None:
    await db.execute(SLOW.format(word="processing", seconds=30))
    await set_for_services(db, "set statement_timeout = ''400ms''")
    other = await Table(db, "other").create()
    app = App()
    app.handler("jobs", concurrency=5)(nothing)
    app.handler("other")(nothing)
    await db.execute("insert into jobs (id, kind) values ('a', null), ('bad', 'slow'), ('c', null)")
    await db.execute("insert into other (id) values ('a')")
    async with serving(app, database):
        await other.becomes("a", "completed")
        await jobs.becomes("a", "completed")
        await jobs.becomes("c", "completed")
        assert await jobs.scheduled("bad") > 0


async def test_a_claim_is_bounded_in_bytes_and_a_row_that_is_too_large_is_set_aside(
    jobs: Table, database: str, db: asyncpg.Connection
) -> None:
    await db.execute(
        "insert into jobs (id, message) select n, repeat('x', case n when 3 then 40 else 6 end * 1024 * 1024)"
        " from generate_series(1, 7) as n"
    )
    async with serving(app_of(nothing, concurrency=10), database):
        for key in "124567":
            await jobs.becomes(key, "completed", within=30)
        broken = "select error from listener.delivery where state = 'broken'"
        assert "too large to be read: 40 MB" in await until(lambda: db.fetchval(broken))
