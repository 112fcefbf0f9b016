"""Tables and statements whose form once changed what a job is, or how long a statement takes."""

from __future__ import annotations

import json
import time

import asyncpg

ALIASES = "abcdefghijklmnopqrstuvwxyz"
BULK = (
    "create table bulk (id bigint primary key, note text, status text not null default 'done'"
    " check (status in ('queued', 'processing', 'done', 'failed')));"
    "select listener.attach('bulk', 'bulk');"
)


async def test_a_column_named_like_an_alias_does_not_replace_the_row(db: asyncpg.Connection) -> None:
    columns = ", ".join(f"\"{letter}\" text default 'x'" for letter in ALIASES)
    await db.execute(
        f"create table odd (id int primary key, {columns}, status text not null default 'queued'"
        " check (status in ('queued', 'processing', 'done', 'failed'))); select listener.attach('odd', 'odd');"
        "insert into odd (id) values (1)"
    )
    [job] = json.loads(await db.fetchval("select listener.claim('w', '{odd}', '{1}')"))["jobs"]
    assert job["row"] == {"id": 1, "status": "processing", **dict.fromkeys(ALIASES, "x")}
    assert json.loads(await db.fetchval("select listener.job('odd', '1')"))["row"] == job["row"]


async def test_a_large_update_stays_linear_after_a_small_one(db: asyncpg.Connection) -> None:
    """The ratio of two durations is 4 where time is linear, and 16 where it is quadratic."""
    await db.execute(
        BULK + "insert into bulk (id) select n from generate_series(1, 16000) as n; analyze bulk"
    )
    await db.execute("update bulk set note = 'a' where id = 1")

    async def duration(rows: int, note: str) -> float:
        began = time.perf_counter()
        await db.execute("update bulk set note = $2 where id <= $1", rows, note)
        return time.perf_counter() - began

    few = max([await duration(4000, "b"), await duration(4000, "c")])
    assert await duration(16000, "d") < 9 * few
