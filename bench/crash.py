"""crash: time from kill -9 of a service to the next start of its job by another service, with default settings."""

from __future__ import annotations

import time

import anyio

from bench.report import Figure, at_most
from bench.setting import Program, Setting, connected, report, setting, wait_for
from listener import App, Job

app = App()


@app.handler("jobs")
async def wait(job: Job) -> None:
    """Never return."""
    report(job.key)
    await anyio.sleep_forever()


async def measure(runs: int = 2, running: float = 7.0) -> list[Figure]:
    """Start two services and kill the one that has the job. All runs are concurrent, each in its own database.

    Args:
        running: seconds that the job runs before, so that heartbeats have been sent.
    """
    seconds: list[float] = []

    async def one_run(here: Setting, database: str) -> None:
        seconds.append(await _kill_and_wait(here, database, running))

    async with setting() as here:
        databases = [await here.database(f"run{number}") for number in range(runs)]
        async with anyio.create_task_group() as group:
            for database in databases:
                group.start_soon(one_run, here, database)
    return [Figure("crash", "kill -9 → started again, the slowest", max(seconds), "s", runs, at_most(25))]


async def _kill_and_wait(here: Setting, database: str, running: float) -> float:
    async with (
        connected(database) as db,
        here.service("bench.crash:app", database) as one,
        here.service("bench.crash:app", database) as other,
    ):
        await wait_for(db, "select from listener.worker having count(*) = 2")
        await db.execute("insert into jobs default values")
        victim, survivor = await _who_reports(one, other)
        await anyio.sleep(running)
        killed = time.monotonic_ns()
        victim.kill()
        with anyio.fail_after(120):
            again = await survivor.report()
    return (again.moment - killed) / 1e9


async def _who_reports(one: Program, other: Program) -> tuple[Program, Program]:
    """Return the program that reports first, and the other one."""
    first: list[Program] = []

    async with anyio.create_task_group() as group:

        async def listen(program: Program) -> None:
            await program.report()
            first.append(program)
            group.cancel_scope.cancel()

        group.start_soon(listen, one)
        group.start_soon(listen, other)
    return (one, other) if first[0] is one else (other, one)
