"""pickup: time from just before an INSERT is sent to the first line of the handler, compared with the floor.

Both hold the insert's durable commit. The service and the floor are each alone in a database, since a NOTIFY
wakes every listener of its database.
"""

from __future__ import annotations

import time
import uuid
from statistics import median

import anyio
import asyncpg

from bench import floor
from bench.report import Figure, at_most, p99
from bench.setting import Program, connected, report, setting
from listener import App, Job

_WARM_UP = 10
_PATIENCE = 60.0

app = App()


@app.handler("jobs", concurrency=10)
async def note(job: Job) -> None:
    report(job.key)


async def measure(pairs: int = 200, rate: float = 20.0) -> list[Figure]:
    """Insert into both databases in turns.

    Args:
        pairs: of inserts.
        rate: inserts a second.
    """
    ours: list[float] = []
    raw: list[float] = []
    async with setting() as here:
        attached, bare = await here.database("attached"), await here.database("bare", attached=False)
        async with connected(attached) as inserter, connected(bare) as floor_inserter:
            await floor_inserter.execute(floor.TRIGGER)
            await floor_inserter.execute(floor.INDEX)
            async with (
                here.service("bench.pickup:app", attached) as service,
                here.program("bench.floor", database=bare) as floor_program,
            ):
                for _ in range(_WARM_UP + pairs):
                    ours.append(await _once(inserter, service, 1 / rate))
                    raw.append(await _once(floor_inserter, floor_program, 1 / rate))
    ours, raw = ours[_WARM_UP:], raw[_WARM_UP:]
    return [
        Figure("pickup", "insert → handler, p50", median(ours), "ms", pairs),
        Figure("pickup", "insert → handler, p99", p99(ours), "ms", pairs),
        Figure("pickup", "floor, p50", median(raw), "ms", pairs),
        Figure("pickup", "floor, p99", p99(raw), "ms", pairs),
        Figure("pickup", "p50 ÷ floor's p50", median(ours) / median(raw), "×", pairs, at_most(1.5)),
    ]


async def _once(db: asyncpg.Connection, program: Program, pause: float) -> float:
    """Return the milliseconds from an insert to its report."""
    key = uuid.uuid4()
    before = time.monotonic_ns()
    with anyio.fail_after(_PATIENCE):
        await db.execute("insert into jobs (id) values ($1)", key)
        started = await program.report()
    assert started.word == str(key)
    await anyio.sleep(pause)
    return (started.moment - before) / 1e6
