"""The database wakes services through Realtime, and a user's statement never fails because of it."""

from __future__ import annotations

import json

import asyncpg
import pytest

from tests.support.harness import Table


async def said(db: asyncpg.Connection) -> list[tuple[str, str, str, bool]]:
    """The messages sent so far: topic, event, queue, and whether they are private."""
    rows = await db.fetch(
        "select topic, event, payload->>'queue', private from realtime.messages order by inserted_at"
    )
    return [tuple(row) for row in rows]


WAKE = ("listener:events", "wake", "jobs", True)
STOP = ("listener:events", "stop", "jobs", True)


async def test_a_table_is_announced_in_both_ways_where_there_is_realtime(
    jobs: Table, db: asyncpg.Connection
) -> None:
    notified: list[object] = []
    await db.add_listener("listener_wake", lambda *event: notified.append(event[-1]))
    await jobs.add("a")
    await db.execute("select 1")
    assert await said(db) == [WAKE, WAKE]
    assert notified == ["jobs"]


async def test_a_plain_database_has_no_realtime(db: asyncpg.Connection) -> None:
    await Table(db).create()
    assert await db.fetchval("select wake from listener.attachment") == "notify"
    with pytest.raises(asyncpg.RaiseError, match="has no Supabase Realtime that it could use"):
        await Table(db).attach(wake="realtime")


@pytest.mark.parametrize(
    ("wake", "notifies", "broadcasts"),
    [("notify", True, False), ("realtime", False, True), ("none", False, False)],
)
async def test_a_table_is_announced_as_it_was_attached(
    jobs: Table, db: asyncpg.Connection, wake: str, notifies: bool, broadcasts: bool
) -> None:
    await db.execute("delete from realtime.messages")
    notified: list[object] = []
    await jobs.attach(wake=wake)
    await db.add_listener("listener_wake", lambda *event: notified.append(event[-1]))
    await db.execute("delete from realtime.messages")
    await jobs.add("a")
    await db.execute("select 1")
    assert (bool(notified), bool(await said(db))) == (notifies, broadcasts)


async def test_a_transaction_says_it_once_for_each_queue(jobs: Table, db: asyncpg.Connection) -> None:
    await jobs.attach(kind="kind", kinds="{x,y}")
    await db.execute("delete from realtime.messages")
    async with db.transaction():
        for n in range(5):
            await jobs.add(f"x{n}", kind="x")
            await jobs.add(f"y{n}", kind="y")
    queues = [queue for _, _, queue, _ in await said(db)]
    assert sorted(queues) == ["jobs/x", "jobs/y"]


async def test_what_a_savepoint_takes_back_is_said_again(jobs: Table, db: asyncpg.Connection) -> None:
    await db.execute("delete from realtime.messages")
    async with db.transaction():
        savepoint = db.transaction()
        await savepoint.start()
        await jobs.add("a")
        await savepoint.rollback()
        await jobs.add("b")
    assert await said(db) == [WAKE]


async def test_stopping_is_said_beside_waking(jobs: Table, db: asyncpg.Connection) -> None:
    await jobs.add("a")
    await db.execute("select listener.claim('me', '{jobs}', '{1}')")
    await db.execute("delete from realtime.messages")
    # A restart: one event for the job that runs, one for the job that waits.
    await jobs.set("a", "queued")
    assert sorted(await said(db)) == [STOP, WAKE]


async def test_the_users_own_topic_is_left_alone(jobs: Table, db: asyncpg.Connection) -> None:
    async with db.transaction():
        await db.execute("select set_config('realtime.topic', 'room 1', true)")
        await jobs.add("a")
        assert await db.fetchval("select realtime.topic()") == "room 1"


BREAK = {
    "a function that may not be called": "revoke execute on function realtime.send from public",
    "a schema that may not be used": "revoke usage on schema realtime from app, supabase_realtime_admin",
    "no place for messages": "drop table realtime.messages cascade",
    "no function at all": "drop function realtime.send",
}


@pytest.mark.parametrize("sql", BREAK.values(), ids=BREAK)
async def test_whatever_breaks_the_insert_and_its_delivery_stand(
    jobs: Table, db: asyncpg.Connection, superuser: asyncpg.Connection, sql: str
) -> None:
    await superuser.execute(sql)
    warnings: list[object] = []
    db.add_log_listener(lambda _, message: warnings.append(message))
    await jobs.add("a")
    assert await jobs.delivery("a")
    assert warnings == []


async def test_nothing_is_sent_while_there_is_no_partition_for_today(
    jobs: Table, db: asyncpg.Connection, superuser: asyncpg.Connection
) -> None:
    """Realtime makes partitions only while clients are connected."""
    await db.execute("delete from realtime.messages")
    partitions = await superuser.fetch(
        "select inhrelid::regclass::text as name, pg_get_expr(relpartbound, oid) as bounds"
        " from pg_inherits join pg_class on oid = inhrelid where inhparent = 'realtime.messages'::regclass"
    )
    for name, _ in partitions:
        await superuser.execute(f"drop table {name}")
    errors: list[object] = []
    db.add_log_listener(lambda _, message: errors.append(message))
    await jobs.add("a")
    assert errors == []
    for number, (_, bounds) in enumerate(partitions):
        await superuser.execute(
            f"create table realtime.another_name_{number} partition of realtime.messages {bounds}"
        )
    await jobs.add("b")
    assert await said(db) == [WAKE]


async def test_a_service_learns_what_it_must_know(jobs: Table, db: asyncpg.Connection) -> None:
    await db.execute("alter table jobs add user_id uuid")
    await jobs.attach(wake="notify")

    async def registered() -> tuple[object, object]:
        (one,) = json.loads(await db.fetchval("select listener.register('me', 'here', '1', '{\"jobs\": 1}')"))
        return one["tenant"], one["changes"]

    assert await registered() == ("user_id", None)
    await db.execute("alter publication supabase_realtime add table jobs")
    assert await registered() == ("user_id", ["public", "jobs"])
    await jobs.attach(wake="both")
    assert await registered() == ("user_id", None)
