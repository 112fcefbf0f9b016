"""Tables of users: the part that every test shares, and the table of the tests that call the verbs themselves."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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


Key = TypeVar("Key", str, int)  # by what a test names a row


class UserTable(Generic[Key]):
    """A table of a user, attached as the queue of its name, and what that user does with its rows.

    Attributes:
        db: the session of the user.
        name: of the table and of the queue.
        key: the type of the primary key.
    """

    db: asyncpg.Connection
    name: str = "jobs"
    key: str = "text"

    def key_of(self, row: Key) -> Any:
        """Return the primary key of a row."""
        return row

    async def add(self, *rows: Key, **columns: Any) -> None:
        """Insert rows in one statement; all get the same values in the other columns."""
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", ${number}" for number in range(2, len(columns) + 2))
        await self.db.execute(
            f"insert into {self.name} (id{names}) select k{values} from unnest($1::{self.key}[]) as k",
            [self.key_of(row) for row in rows],
            *columns.values(),
        )

    async def set(self, row: Key, word: str) -> None:
        """Change the status of a row."""
        await self.db.execute(f"update {self.name} set status = $2 where id = $1", self.key_of(row), word)

    async def delete(self, row: Key) -> None:
        await self.db.execute(f"delete from {self.name} where id = $1", self.key_of(row))

    async def delivery(self, row: Key) -> asyncpg.Record | None:
        return await self.db.fetchrow(
            "select * from listener.delivery where job_key = $1", str(self.key_of(row))
        )

    async def history(self, row: Key) -> list[str]:
        """Return the outcomes of the job's attempts, oldest first."""
        rows = await self.db.fetch(
            "select outcome from listener.attempt where job_key = $1 order by id", str(self.key_of(row))
        )
        return [row["outcome"] for row in rows]


@dataclass
class StoreTable(UserTable[int]):
    """A table whose rows have numbers, and a worker that calls the verbs of a store one by one."""

    db: asyncpg.Connection
    store: Store
    key: str = "text"
    clock: str = "timestamptz"

    def key_of(self, row: int) -> Any:
        return KEYS[self.key](row)

    async def create(self, **options: Any) -> StoreTable:
        await self.db.execute(f"create table jobs ({COLUMNS.format(key=self.key, clock=self.clock)})")
        await self.attach(**options)
        return self

    async def attach(self, **options: Any) -> dict[str, Any]:
        return await self.store.attach("public.jobs", "jobs", **({"words": WORDS} | options))

    async def row(self, number: int) -> dict[str, Any]:
        row = await self.db.fetchval("select to_jsonb(j) from jobs as j where id = $1", self.key_of(number))
        return dict(json.loads(row))

    async def word(self, number: int) -> Any:
        return await self.db.fetchval("select status from jobs where id = $1", self.key_of(number))

    async def words(self) -> list[str]:
        return [row["status"] for row in await self.db.fetch("select status from jobs order by id")]

    async def state(self, number: int) -> str | None:
        delivery = await self.delivery(number)
        return None if delivery is None else str(delivery["state"])

    async def claim(self, slots: int = 10, worker: str = "w1") -> list[Delivery]:
        return (await self.store.claim(worker, {"jobs": slots})).jobs

    async def claim_one(self, worker: str = "w1") -> Delivery:
        (job,) = await self.claim(1, worker)
        return job

    async def settle(self, verb: Verb, job: Delivery, **rest: Any) -> Answer:
        return (await settle(self.store, verb, [job], **rest))[0]

    async def expire(self) -> None:
        """End every lease now."""
        await self.db.execute(
            "update listener.delivery set lease_until = clock_timestamp() where state = 'running'"
        )

    async def become_due(self) -> None:
        """Let time pass until every scheduled job is due."""
        await self.db.execute(
            "update listener.delivery set run_at = clock_timestamp() where state = 'scheduled'"
        )


async def waits_or_ends(db: asyncpg.Connection, statement: asyncio.Future[Any]) -> None:
    """Wait until a statement of another session has ended or waits for a lock."""
    async with asyncio.timeout(10):
        while not statement.done() and not await db.fetchval(WAITING):  # noqa: ASYNC110 - only Postgres knows
            await asyncio.sleep(0.002)


def named(job: Delivery, **rest: Any) -> dict[str, Any]:
    """Return the item of a batch that names an attempt."""
    return {"delivery": job.id, "fence": job.fence, **rest}


async def settle(store: Store, verb: Verb, jobs: Sequence[Delivery], **rest: Any) -> list[Answer]:
    """Settle several attempts alike in one batch. Returns the answers in the order of the jobs."""
    answers = await store.settle(verb, [named(job, **rest) for job in jobs])
    return [answers[job.id] for job in jobs]
