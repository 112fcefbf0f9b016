"""A table that can't be attached is refused by one sentence, before anything is changed."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from listener.database.store import Store
from listener.errors import DatabaseError
from tests.support.table import WORDS

PLAIN = "create table t (id int primary key, status text)"

REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "view": ("create view t as select 1 as id, 'queued' as status", {}, "t can't be attached: it is a view"),
    "materialized view": (
        "create materialized view t as select 1 as id, 'a' as status",
        {},
        "t can't be attached: it is a materialized view",
    ),
    "partitioned": (
        "create table t (id int, status text) partition by list (id)",
        {},
        "t can't be attached: it is a partitioned table",
    ),
    "partition": (
        "create table p (id int primary key, status text) partition by list (id);"
        "create table t partition of p for values in (1)",
        {},
        "t can't be attached: it is a partition, or a parent or child of other tables",
    ),
    "child": (
        "create table p (id int primary key, status text); create table t (primary key (id)) inherits (p)",
        {},
        "t can't be attached: it is a partition, or a parent or child of other tables",
    ),
    "composite key": (
        "create table t (a int, b int, status text, primary key (a, b))",
        {},
        "t has a composite primary key",
    ),
    "no key": ("create table t (id int, status text)", {}, "t has no primary key"),
    "key that may be null": (
        "create table t (id int unique, status text)",
        {"key": "id"},
        "t has no unique, not-null column id",
    ),
    "key of a strange type": (
        "create table t (id date primary key, status text)",
        {},
        "the key id of t is of type date",
    ),
    "no status": (
        "create table t (id int primary key)",
        {},
        "t has no text or enum column status or state for the status",
    ),
    "status of a strange type": (
        "create table t (id int primary key, status int)",
        {"status": "status"},
        "t has no text or enum column status for the status",
    ),
    "no such column": (PLAIN, {"progress": "percent"}, "t has no column percent for progress"),
    "column of a strange type": (
        "create table t (id int primary key, status text, percent text)",
        {"progress": "percent"},
        "column percent of t can't be the progress column: its type is text",
    ),
    "words that nothing tells": (PLAIN, {"words": None}, "the word for done in t.status is not certain"),
    "half of the words": (PLAIN, {"words": {"ready": "a"}}, "the word for done in t.status is not certain"),
    "null for a word": (
        PLAIN,
        {"words": WORDS | {"ready": None}},
        "the word for ready in t.status is not certain",
    ),
    "unknown role": (PLAIN, {"words": WORDS | {"redy": "a"}}, "words can't have the entry 'redy'"),
    "one word for two": (PLAIN, {"words": WORDS | {"done": "failed"}}, "the word 'failed' means two things"),
    "a final word as a stage": (
        PLAIN,
        {"words": WORDS, "stages": ["processing", "completed"]},
        "the word 'completed' means two things",
    ),
    "a stage twice": (
        PLAIN,
        {"words": WORDS, "stages": ["processing", "a", "a"]},
        "the word 'a' means two things",
    ),
    "word that the check forbids": (
        "create table t (id int primary key, status text"
        " check (status in ('queued', 'processing', 'completed', 'failed')))",
        {"words": WORDS},
        "t.status can't hold the word 'cancelled'",
    ),
    "word that the enum lacks": (
        "create type stand as enum ('queued', 'processing', 'completed');"
        "create table t (id int primary key, status stand)",
        {"words": {role: WORDS[role] for role in ("ready", "running", "done", "failed")}},
        "t.status can't hold the word 'failed'",
    ),
    "word of unknown meaning": (
        "create table t (id int primary key, status text"
        " check (status in ('new', 'running', 'done', 'failed', 'archived')))",
        {"words": None},
        "the meaning of the word 'archived' in t.status is not certain",
    ),
    "kind without kinds": (PLAIN, {"kind": "status"}, "kind and kinds go together"),
    "kind that is no column": (
        PLAIN,
        {"kind": "type", "kinds": ["a"]},
        "'type' is not a column of t and not a key of one of its json columns",
    ),
    "kind in a column that is not json": (
        PLAIN,
        {"kind": "status->>type", "kinds": ["a"]},
        "'status->>type' is not a column of t and not a key of one of its json columns",
    ),
    "one kind twice": (PLAIN, {"kind": "status", "kinds": ["a", "a"]}, "kinds has null, or a kind twice"),
    "a null kind": (PLAIN, {"kind": "status", "kinds": ["a", None]}, "kinds has null, or a kind twice"),
    "queue with a slash": (PLAIN, {"queue": "a/b"}, "'a/b' can't be the name of a queue"),
    "queue without a name": (PLAIN, {"queue": ""}, "'' can't be the name of a queue"),
    "no attempts": (PLAIN, {"max_attempts": 0}, "max_attempts is 0, it must be from 1 to 1000"),
    "wake by pigeon": (
        PLAIN,
        {"wake": "pigeon"},
        "wake is 'pigeon', it must be 'notify', 'realtime', 'both' or 'none'",
    ),
    "forced row-level security": (
        f"{PLAIN}; alter table t enable row level security, force row level security",
        {},
        "t forces row-level security on its owner, so app can't see its rows",
    ),
}


@pytest.mark.parametrize(("sql", "options", "sentence"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_has_one_sentence_and_changes_nothing(
    db: asyncpg.Connection, store: Store, sql: str, options: dict[str, Any], sentence: str
) -> None:
    await db.execute(sql)
    given = {"queue": "q", "words": WORDS} | options
    with pytest.raises(DatabaseError) as refused:
        await store.attach("public.t", **given)
    assert str(refused.value).replace("public.", "") == sentence
    assert refused.value.hint or "it must be" in sentence
    assert await db.fetchval("select count(*) from listener.attachment") == 0
    assert await db.fetchval("select count(*) from pg_trigger where not tgisinternal") == 0


async def test_there_must_be_such_a_table(store: Store) -> None:
    with pytest.raises(DatabaseError, match=r'relation "public\.nothing" does not exist'):
        await store.attach("public.nothing", "jobs")


async def test_a_table_of_another_owner_is_refused(store: Store, superuser: asyncpg.Connection) -> None:
    await superuser.execute(
        "create role stranger; create table t (id int primary key, status text); alter table t owner to stranger"
    )
    try:
        with pytest.raises(
            DatabaseError,
            match="t belongs to stranger, and app, which owns the schema listener, may not act as it",
        ):
            await store.attach("public.t", "jobs", words=WORDS)
    finally:
        await superuser.execute("drop table t; drop role stranger")
