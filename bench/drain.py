"""drain: how fast one process finishes jobs that do nothing, also beside a backlog or an open transaction.

Each variant runs in a pair with a plain drain just before. Each has a separate database and a warm service, and is
cleaned up afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import asyncpg

from bench.report import Figure, at_least, paired
from bench.setting import Setting, connected, setting, wait_for
from listener import App, Job

_HELD = "with a transaction held open ÷ plain"
_CLAIMS = "coalesce(pg_sequence_last_value('listener.fence'), 0)"

app = App()


@app.handler("jobs", concurrency=100)
async def nothing(_: Job) -> None:
    """Do nothing."""


async def measure(jobs: int = 20_000, backlog: int = 200_000, pairs: int = 3) -> list[Figure]:
    """Drain a plain database and each variant, in turns.

    Args:
        jobs: number of jobs of each drain.
        backlog: number of further deliveries in two of the variants.
        pairs: number of pairs for each variant.
    """
    async with setting() as here, AsyncExitStack() as services:
        plain = await here.database("plain")
        variants = {
            f"with {backlog:,} due tomorrow ÷ plain": (await _tomorrow(here, backlog), at_least(0.95)),
            f"with {backlog:,} of an unserved queue ÷ plain": (
                await _unserved(here, backlog),
                at_least(0.95),
            ),
            _HELD: (await here.database("held"), at_least(0.5)),
        }
        for database in (plain, *(database for database, _ in variants.values())):
            await services.enter_async_context(here.service("bench.drain:app", database))
            await _drain(database, jobs)
        speeds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in variants}
        for _ in range(pairs):
            for name, (database, _target) in variants.items():
                speeds[name][1].append(await _drain(plain, jobs))
                speeds[name][0].append(await _drain(database, jobs, held=name == _HELD))
    plains = [speed for _, others in speeds.values() for speed in others]
    return [
        Figure("drain", "plain", median(plains), "jobs/s", len(plains), at_least(5000)),
        *(
            Figure("drain", name, paired(*speeds[name]), "×", pairs, target)
            for name, (_, target) in variants.items()
        ),
    ]


async def _drain(database: str, jobs: int, *, held: bool = False) -> float:
    """Return jobs per second from the first claim to the last final word, by the database's clock."""
    async with connected(database) as db, AsyncExitStack() as stack:
        if held:
            await stack.enter_async_context(_held(database))
        await db.execute("select listener.pause('jobs')")
        await db.execute("insert into jobs select from generate_series(1, $1::int)", jobs)
        await db.execute("checkpoint")
        claimed = jobs + await db.fetchval(f"select {_CLAIMS}")
        await db.execute("select listener.resume('jobs')")
        # A cheap query first, because an expensive one would slow the drain.
        await wait_for(db, f"select where {_CLAIMS} >= {claimed}")
        took = await wait_for(
            db,
            "select extract(epoch from clock_timestamp() - min(started_at))::float8 as seconds"
            f" from listener.attempt having count(*) = {jobs}",
            every=0.002,
        )
    await _clear(database)
    return float(jobs / took["seconds"])


async def _clear(database: str) -> None:
    async with connected(database) as db:
        await db.execute("delete from jobs where status = 'completed'")
        await db.execute("truncate listener.attempt")
        await db.execute("vacuum (analyze) jobs")
        await db.execute("vacuum (analyze) listener.delivery")


async def _tomorrow(here: Setting, backlog: int) -> str:
    database = await here.database("tomorrow")
    async with connected(database) as db:
        await db.execute(
            "insert into jobs (run_at) select now() + interval '1 day' from generate_series(1, $1::int)",
            backlog,
        )
    await _clear(database)
    return database


async def _unserved(here: Setting, backlog: int) -> str:
    database = await here.database("unserved")
    async with connected(database) as db:
        await db.execute("create table others (like jobs including all)")
        await db.execute("select listener.attach('public.others', 'others')")
        await db.execute("insert into others select from generate_series(1, $1::int)", backlog)
    await _clear(database)
    return database


@asynccontextmanager
async def _held(database: str) -> AsyncIterator[asyncpg.Connection]:
    """Hold a transaction with a snapshot and a transaction id, as a long report or pg_dump would."""
    async with connected(database) as db, db.transaction(isolation="repeatable_read"):
        await db.execute("select pg_current_xact_id(), count(*) from listener.delivery")
        yield db
