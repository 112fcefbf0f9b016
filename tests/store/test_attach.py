"""Attaching: what is found by name, what is reported, and that nothing else of the table changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from listener.database.store import Store
from listener.errors import DatabaseError
from tests.support.databases import Connect
from tests.support.table import COLUMNS, WORDS, StoreTable, waits_or_ends

SHAPE = """
with t as (select 'jobs'::regclass as oid)
select jsonb_build_object(
  'columns', (select jsonb_agg(to_jsonb(a) - 'attmissingval' order by attnum)
              from pg_attribute as a, t where attrelid = t.oid),
  'policies', (select jsonb_agg(to_jsonb(p)) from pg_policies as p),
  'constraints', (select jsonb_agg(pg_get_constraintdef(c.oid) order by c.oid)
                  from pg_constraint as c, t where conrelid = t.oid),
  'class', (select jsonb_build_object('owner', relowner, 'options', reloptions, 'acl', relacl, 'rules', relhasrules,
                                      'security', array[relrowsecurity, relforcerowsecurity])
            from pg_class natural join t),
  'triggers', (select jsonb_agg(tgname order by tgname)
               from pg_trigger, t where tgrelid = t.oid and tgname !~ '^listener'))
"""


async def make(db: asyncpg.Connection, status: str = "status text not null default 'queued'") -> None:
    """The user's table, not attached, with a status column to choose."""
    columns = COLUMNS.format(key="text", clock="timestamptz").replace(
        "status text not null default 'queued'", status
    )
    await db.execute(f"create table jobs ({columns})")


async def test_columns_and_words_are_found_by_name(db: asyncpg.Connection, store: Store) -> None:
    await make(db, "status text check (status in ('pending', 'in_progress', 'done', 'error', 'canceled'))")
    answer = await store.attach("public.jobs", "jobs")
    assert answer == {
        "queue": "jobs", "table": "public.jobs", "key": "id", "status": "status", "queues": ["jobs"], "stages": [],
        "attached": True, "waiting": 0, "stuck": 0,
        "words": {
            "ready": "pending", "running": "in_progress", "done": "done", "failed": "error", "cancelled": "canceled"
        },
        "columns": {
            role: role
            for role in (
                "progress", "message", "error", "result", "started_at", "finished_at", "updated_at", "run_at",
                "priority",
            )
        },
    }  # fmt: skip


async def test_an_enum_has_its_words(db: asyncpg.Connection, store: Store) -> None:
    await db.execute("create type stand as enum ('NEW', 'RUNNING', 'DONE', 'FAILED')")
    await make(db, "status stand not null default 'NEW'")
    answer = await store.attach("public.jobs", "jobs")
    assert answer["words"] == {"ready": "NEW", "running": "RUNNING", "done": "DONE", "failed": "FAILED"}
    await db.execute("insert into jobs (id) values ('1'), ('2'), ('3')")
    jobs = StoreTable(db, store)
    one, two, three = await jobs.claim()
    assert (await jobs.settle("complete", one)).outcome == "ok"
    assert (await jobs.settle("fail", two, error="no use")).outcome == "ok"
    assert (await jobs.settle("retry", three, error="again")).outcome == "ok"
    assert await jobs.words() == ["DONE", "FAILED", "NEW"]


async def test_a_dry_run_changes_nothing(db: asyncpg.Connection, store: Store) -> None:
    await make(db)
    await db.execute(
        "insert into jobs (id, status) values ('1', 'queued'), ('2', 'processing'), ('3', 'completed')"
    )
    before = await db.fetchval(SHAPE)
    answer = await store.attach("public.jobs", "jobs", words=WORDS, dry_run=True)
    assert (answer["waiting"], answer["stuck"], answer["attached"]) == (1, 1, False)
    assert await db.fetchval(SHAPE) == before
    assert await db.fetchval("select count(*) from pg_trigger where tgname like 'listener%'") == 0
    assert await db.fetchval("select count(*) from listener.attachment") == 0


async def test_rows_that_wait_are_picked_up_and_stuck_ones_reported(
    db: asyncpg.Connection, store: Store
) -> None:
    await make(db)
    await db.execute(
        "insert into jobs (id, status) values ('1', 'queued'), ('2', 'processing'), ('3', 'completed')"
    )
    answer = await store.attach("public.jobs", "jobs", words=WORDS)
    assert (answer["waiting"], answer["stuck"]) == (1, 1)
    jobs = StoreTable(db, store)
    job = await jobs.claim_one()
    assert (job.key, job.origin) == ("1", "reconcile")
    assert (await jobs.attach())["stuck"] == 1


async def test_the_table_is_as_before_while_attached_and_after(db: asyncpg.Connection, store: Store) -> None:
    await make(db, "status text default 'queued' check (status <> '')")
    await db.execute(
        "alter table jobs enable row level security; create policy mine on jobs using (id = current_user)"
    )
    before = await db.fetchval(SHAPE)
    await store.attach("public.jobs", "jobs", words=WORDS)
    assert await db.fetchval(SHAPE) == before
    await store.detach("jobs")
    assert await db.fetchval(SHAPE) == before
    assert await db.fetchval("select count(*) from pg_trigger where tgname like 'listener%'") == 0
    assert (
        await db.fetchval(
            "select count(*) from pg_proc where proname ~ '_[0-9]+$' and pronamespace = 'listener'::regnamespace"
        )
        == 0
    )


async def test_attaching_again_changes_only_what_was_said(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.add(1, 2)
    job, _ = await jobs.claim(1) + [None]
    assert job is not None
    triggers = await db.fetch("select oid from pg_trigger where tgname like 'listener%'")
    assert await jobs.attach() == await jobs.attach()
    assert await db.fetch("select oid from pg_trigger where tgname like 'listener%'") == triggers
    await jobs.attach(max_attempts=7)
    assert (await jobs.claim_one()).max_attempts == 7
    assert (await jobs.settle("complete", job)).outcome == "ok"


async def test_kinds_become_queues_and_may_change(db: asyncpg.Connection, store: Store) -> None:
    await db.execute(f"create table jobs ({COLUMNS.format(key='text', clock='timestamptz')}, type text)")
    answer = await store.attach("public.jobs", "jobs", words=WORDS, kind="type", kinds=["render", "analysis"])
    assert answer["queues"] == ["jobs/render", "jobs/analysis"]
    await db.execute("insert into jobs (id, type) values ('1', 'render'), ('2', 'analysis'), ('3', 'upload')")
    claim = await store.claim("w1", {"jobs/render": 5, "jobs/analysis": 5})
    assert [(job.queue, job.key) for job in claim.jobs] == [("jobs/render", "1"), ("jobs/analysis", "2")]

    await store.attach("public.jobs", "jobs", words=WORDS, kind="type", kinds=["render", "upload"])
    claim = await store.claim("w1", {"jobs/upload": 5, "jobs/analysis": 5})
    assert [(job.queue, job.key) for job in claim.jobs] == [("jobs/upload", "3")]
    assert await store.pause("jobs")
    await db.execute("insert into jobs (id, type) values ('4', 'render'), ('5', 'upload')")
    assert (await store.claim("w1", {"jobs/render": 5, "jobs/upload": 5})).jobs == []
    assert await store.resume("jobs/upload")
    assert [job.key for job in (await store.claim("w1", {"jobs/render": 5, "jobs/upload": 5})).jobs] == ["5"]


@pytest.mark.parametrize("path", ["metadata->>'type'", "metadata->>type", "\"metadata\" ->> 'type'"])
@pytest.mark.parametrize("json", ["json", "jsonb"])
async def test_a_kind_may_stand_in_json(db: asyncpg.Connection, store: Store, path: str, json: str) -> None:
    await db.execute(
        f"create table jobs ({COLUMNS.format(key='text', clock='timestamptz')}, metadata {json})"
    )
    await store.attach("public.jobs", "jobs", words=WORDS, kind=path, kinds=["render", "it's"])
    await db.execute(
        """insert into jobs (id, metadata) values ('1', '{"type": "it''s"}'), ('2', '{}'), ('3', null)"""
    )
    assert [job.key for job in (await store.claim("w1", {"jobs/it's": 5, "jobs/render": 5})).jobs] == ["1"]
    assert await store.submit("jobs/render", {"id": "4", "metadata": {"size": 1}}) == "4"
    (job,) = (await store.claim("w1", {"jobs/render": 5})).jobs
    assert job.row["metadata"] == {"size": 1, "type": "render"}


async def test_names_may_be_as_odd_as_postgres_allows(db: asyncpg.Connection, store: Store) -> None:
    table = '"select"."O\'Brien ""100%"" {}"'
    await db.execute('create schema "select"; grant usage on schema "select" to service_role')
    await db.execute(
        f'create table {table} ("order" uuid primary key default gen_random_uuid(), '
        '"Sta\'tus %s" text, "group" int, "User Error" text, "%I" timestamptz, "a""b" text, "Kind\'" text)'
    )
    words = {"ready": "it's", "running": "50%", "done": '"ok"', "failed": "\\no", "cancelled": "{}"}
    answer = await store.attach(
        table, "it's 100% \"odd\"", words=words, status="Sta'tus %s", progress="group", error="User Error",
        finished_at="%I", message='a"b', kind="Kind'", kinds=["x'y"], stages=["50%", "st'age"],
    )  # fmt: skip
    (queue,) = answer["queues"]
    assert queue == "it's 100% \"odd\"/x'y"
    await db.execute(
        f"insert into {table} (\"Sta'tus %s\", \"Kind'\") select 'it''s', 'x''y' from generate_series(1, 3)"
    )

    done, failed, again = (await store.claim("w1", {queue: 5})).jobs
    ask: dict[str, object] = {"delivery": done.id, "fence": done.fence}
    assert (await store.settle("progress", [ask | {"percent": 5, "message": "m"}]))[done.id].outcome == "ok"
    assert (await store.settle("stage", [ask | {"stage": "st'age", "columns": {'a"b': "c"}}]))[
        done.id
    ].outcome == "ok"
    assert (await store.settle("complete", [ask | {"columns": {'a"b': "d"}}]))[done.id].outcome == "ok"
    ask = {"delivery": failed.id, "fence": failed.fence, "error": "e"}
    assert (await store.settle("fail", [ask]))[failed.id].outcome == "ok"
    ask = {"delivery": again.id, "fence": again.fence, "error": "e"}
    assert (await store.settle("retry", [ask]))[again.id].outcome == "ok"
    assert await store.cancel('it\'s 100% "odd"', [again.key]) == 1
    assert await store.requeue(queue, [failed.key]) == 1
    assert await store.job(queue, done.key) is not None
    rows = await db.fetch(f'select "Sta\'tus %s", "group", "a""b" from {table}')
    assert sorted(tuple(row) for row in rows) == [('"ok"', 100, "d"), ("it's", 0, None), ("{}", 0, None)]

    warnings: list[str] = []
    db.add_log_listener(lambda _, message: warnings.append(message.message))
    await db.execute("alter table listener.delivery rename to hidden")
    await db.execute(f"insert into {table} (\"Sta'tus %s\", \"Kind'\") values ('it''s', 'x''y')")
    await db.execute("alter table listener.hidden rename to delivery")
    assert len(warnings) == 1
    assert warnings[0].startswith(f"listener could not capture a change of {table}: ")
    assert [part["queues"] for part in await store.reconcile()] == [{queue: 1}]
    assert await store.detach('it\'s 100% "odd"') == {"queue": 'it\'s 100% "odd"', "deliveries": 2}


async def test_two_status_columns_of_a_table_may_be_two_queues(db: asyncpg.Connection, store: Store) -> None:
    await db.execute("create table films (id int primary key, audio text, video text)")
    await store.attach("public.films", "audio", status="audio", words=WORDS)
    await store.attach("public.films", "video", status="video", words=WORDS)
    await db.execute("insert into films values (1, 'queued', 'queued')")
    assert [job.queue for job in (await store.claim("w1", {"audio": 1, "video": 1})).jobs] == [
        "audio",
        "video",
    ]
    await store.detach("audio")
    await db.execute("insert into films values (2, 'queued', 'queued')")
    assert [job.queue for job in (await store.claim("w1", {"audio": 1, "video": 1})).jobs] == ["video"]


async def test_detaching_what_is_not_attached_says_so(store: Store) -> None:
    assert await store.detach("jobs") is None


@pytest.mark.parametrize(
    "fate", ["drop table jobs", "alter table jobs rename to old", "alter table jobs rename id to key"]
)
async def test_detaching_works_whatever_became_of_the_table(
    jobs: StoreTable, db: asyncpg.Connection, fate: str
) -> None:
    await jobs.add(1)
    await db.execute(fate)
    assert await jobs.store.detach("jobs") == {"queue": "jobs", "deliveries": 1}
    assert await db.fetchval("select count(*) from pg_trigger where tgname like 'listener%'") == 0
    for name in ("attachment", "queue", "delivery"):
        assert await db.fetchval(f"select count(*) from listener.{name}") == 0


async def test_a_renamed_table_is_attached_under_its_new_name(
    jobs: StoreTable, db: asyncpg.Connection, store: Store
) -> None:
    await jobs.add(1)
    await db.execute("alter table jobs rename to tasks")
    await store.attach("public.tasks", "jobs", words=WORDS)
    await db.execute("insert into tasks (id) values ('job 2')")
    assert [job.key for job in await jobs.claim(2)] == ["job 1", "job 2"]


@pytest.mark.parametrize("verb", ["attach", "detach"])
async def test_a_busy_table_is_tried_again_and_its_writers_do_not_wait_long(
    jobs: StoreTable, connect: Connect, verb: str
) -> None:
    await jobs.store.detach("jobs")
    if verb == "detach":
        await jobs.attach()
    user, another = await connect(), await connect()
    transaction = user.transaction()
    await transaction.start()
    await user.execute("insert into jobs (id) values ('job 1')")

    pending = asyncio.ensure_future(jobs.attach() if verb == "attach" else jobs.store.detach("jobs"))
    await waits_or_ends(another, pending)
    await another.execute("insert into jobs (id) values ('job 2')", timeout=4)
    await transaction.commit()
    assert await pending is not None


async def test_a_queue_name_and_a_table_are_taken_once(
    jobs: StoreTable, db: asyncpg.Connection, store: Store
) -> None:
    await db.execute("create table more (id int primary key, status text)")
    for table, queue in [("public.more", "jobs"), ("public.jobs", "again")]:
        with pytest.raises(DatabaseError, match=r"queue jobs is attached to public\.jobs already"):
            await store.attach(table, queue, words=WORDS)


async def test_attaching_again_keeps_what_is_not_said_again(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.attach(max_attempts=7, backoff=timedelta(seconds=9))
    await jobs.attach()
    kept = await db.fetchrow("select max_attempts, backoff from listener.queue")
    assert tuple(kept or ()) == (7, timedelta(seconds=9))
