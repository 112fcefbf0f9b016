"""A user's table with jobs, and the hands of that user."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from listener.database.model import Answer, Delivery, Verb
from listener.database.store import Store

WORDS = {
    "ready": "queued",
    "running": "processing",
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}

COLUMNS = """
  id {key} primary key, status text not null default 'queued', progress int, message text, error text, result jsonb,
  started_at {clock}, finished_at {clock}, updated_at {clock}, run_at {clock}, priority int, url text
"""

WAITING = "select exists (select from pg_locks where not granted)"

KEYS: dict[str, Any] = {
    "text": lambda n: f"job {n}",
    "uuid": lambda n: uuid.UUID(int=n),
    "integer": lambda n: n,
    "bigint": lambda n: 2**40 + n,
}


@dataclass
class Table:
    """`public.jobs`, attached as the queue `jobs`: its columns are found by name, its words are WORDS."""

    db: asyncpg.Connection
    store: Store
    key: str = "text"
    clock: str = "timestamptz"

    async def create(self, **options: Any) -> Table:
        await self.db.execute(f"create table jobs ({COLUMNS.format(key=self.key, clock=self.clock)})")
        await self.attach(**options)
        return self

    async def attach(self, **options: Any) -> dict[str, Any]:
        return await self.store.attach("public.jobs", "jobs", **({"words": WORDS} | options))

    async def add(self, *numbers: int, **columns: Any) -> None:
        """Insert rows in one statement, their keys made of the numbers."""
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", ${n}" for n in range(2, len(columns) + 2))
        await self.db.execute(
            f"insert into jobs (id{names}) select k{values} from unnest($1::{self.key}[]) as k",
            [KEYS[self.key](n) for n in numbers],
            *columns.values(),
        )

    async def set(self, number: int, word: str) -> None:
        """The user changes the status."""
        await self.db.execute("update jobs set status = $2 where id = $1", KEYS[self.key](number), word)

    async def delete(self, number: int) -> None:
        await self.db.execute("delete from jobs where id = $1", KEYS[self.key](number))

    async def row(self, number: int) -> dict[str, Any]:
        row = await self.db.fetchval(
            "select to_jsonb(j) from jobs as j where id = $1", KEYS[self.key](number)
        )
        return dict(json.loads(row))

    async def word(self, number: int) -> Any:
        return await self.db.fetchval("select status from jobs where id = $1", KEYS[self.key](number))

    async def words(self) -> list[str]:
        return [row["status"] for row in await self.db.fetch("select status from jobs order by id")]

    async def delivery(self, number: int) -> asyncpg.Record | None:
        return await self.db.fetchrow(
            "select * from listener.delivery where job_key = $1", str(KEYS[self.key](number))
        )

    async def state(self, number: int) -> str | None:
        delivery = await self.delivery(number)
        return None if delivery is None else str(delivery["state"])

    async def history(self, number: int) -> list[str]:
        """The outcomes of the job's attempts, oldest first."""
        rows = await self.db.fetch(
            "select outcome from listener.attempt where job_key = $1 order by id", str(KEYS[self.key](number))
        )
        return [row["outcome"] for row in rows]

    async def claim(self, slots: int = 10, worker: str = "w1") -> list[Delivery]:
        return (await self.store.claim(worker, {"jobs": slots})).jobs

    async def claim_one(self, worker: str = "w1") -> Delivery:
        (job,) = await self.claim(1, worker)
        return job

    async def settle(self, verb: Verb, job: Delivery, **rest: Any) -> Answer:
        return (await settle(self.store, verb, [job], **rest))[0]

    async def expire(self) -> None:
        """Let every lease end now."""
        await self.db.execute(
            "update listener.delivery set lease_until = clock_timestamp() where state = 'running'"
        )

    async def become_due(self) -> None:
        """Let time pass until every scheduled job is due."""
        await self.db.execute(
            "update listener.delivery set run_at = clock_timestamp() where state = 'scheduled'"
        )


async def waits_or_ends(db: asyncpg.Connection, statement: asyncio.Future[Any]) -> None:
    """Return when a statement of another session has ended, or waits for somebody's lock."""
    async with asyncio.timeout(10):
        while not statement.done() and not await db.fetchval(WAITING):  # noqa: ASYNC110 - only Postgres knows
            await asyncio.sleep(0.002)


def named(job: Delivery, **rest: Any) -> dict[str, Any]:
    """How a worker names its attempt in a batch."""
    return {"delivery": job.id, "fence": job.fence, **rest}


async def settle(store: Store, verb: Verb, jobs: Sequence[Delivery], **rest: Any) -> list[Answer]:
    """Say the same of several attempts in one batch; answers in their order."""
    answers = await store.settle(verb, [named(job, **rest) for job in jobs])
    return [answers[job.id] for job in jobs]
