"""insert: the cost that attaching a table adds to INSERTs, and the share of NOTIFY in it. Postgres commits
transactions with a notification one at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import anyio
import asyncpg

from bench import floor
from bench.report import Figure
from bench.setting import connected, setting

_INSERT = "insert into jobs default values"
_WARM_UP = 20


async def measure(
    inserts: int = 300, *, clients: int = 16, rounds: int = 5, seconds: float = 1.5
) -> list[Figure]:
    """Insert rows one by one into a plain table, one with a trigger that only notifies, and an attached one, in turns.

    Args:
        inserts: of a single client into each.
        clients: that insert at once, as fast as they can.
        rounds: of those.
        seconds: that a round of many clients takes.
    """
    async with setting() as here:
        attached = await here.database("attached")
        plain, bare = (
            await here.database("plain", attached=False),
            await here.database("bare", attached=False),
        )
        async with _listening(attached, "listener_wake"), _listening(bare, "wake") as db:
            await db.execute(floor.TRIGGER)
            alone = await _alone((plain, bare, attached), inserts)
            many = await _together((plain, bare, attached), clients, rounds, seconds)
    tables = ("plain table", "bare NOTIFY trigger", "attached")
    return [
        *(
            Figure("insert", f"1 client, {table}, p50", median(times), "ms", inserts)
            for table, times in zip(tables, alone, strict=True)
        ),
        *(
            Figure("insert", f"{clients} clients, {table}", median(rates), "inserts/s", rounds)
            for table, rates in zip(tables, many, strict=True)
        ),
    ]


async def _alone(databases: Sequence[str], inserts: int) -> list[list[float]]:
    """Return the milliseconds of each insert by a single client, for each database."""
    taken: list[list[float]] = [[] for _ in databases]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(database)) for database in databases]
        for _ in range(_WARM_UP + inserts):
            for client, times in zip(clients, taken, strict=True):
                begun = time.perf_counter()
                await client.fetch(_INSERT)
                times.append((time.perf_counter() - begun) * 1000)
    return [times[_WARM_UP:] for times in taken]


async def _together(databases: Sequence[str], clients: int, rounds: int, seconds: float) -> list[list[float]]:
    """Return the inserts per second of each round of many clients, for each database."""
    rates: list[list[float]] = [[] for _ in databases]
    for _ in range(rounds):
        for database, found in zip(databases, rates, strict=True):
            found.append(await _round(database, clients, seconds))
    return rates


async def _round(database: str, clients: int, seconds: float) -> float:
    done = 0

    async def insert(client: asyncpg.Connection, until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await client.fetch(_INSERT)
            done += 1

    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(connected(database)) for _ in range(clients)]
        for session in sessions:
            await session.fetch(_INSERT)
        begun = time.perf_counter()
        async with anyio.create_task_group() as group:
            for session in sessions:
                group.start_soon(insert, session, begun + seconds)
        return done / (time.perf_counter() - begun)


@asynccontextmanager
async def _listening(database: str, channel: str) -> AsyncIterator[asyncpg.Connection]:
    """Listen to the events of the table, as a service does, and ignore them."""
    async with connected(database) as db:
        await db.add_listener(channel, lambda *_: None)
        yield db
