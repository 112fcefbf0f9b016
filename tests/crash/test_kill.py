"""kill -9 wherever it hurts: the job ends once, after one more attempt."""

from __future__ import annotations

import pytest

from tests.support.harness import Table
from tests.support.processes import Serve

from .conftest import Marks

PHASES = {"handler": "begun", "progress": "progress", "stage": "stage"}


@pytest.mark.parametrize(("phase", "mark"), PHASES.items(), ids=PHASES)
async def test_killed_while_the_handler_runs(
    jobs: Table, serve: Serve, marks: Marks, phase: str, mark: str
) -> None:
    victim = serve()
    await jobs.add("a", kind=f"stall in {phase}")
    await marks.reached("a", mark)
    victim.kill()
    serve()
    row = await jobs.becomes("a", "completed")
    assert (row["url"], row["progress"]) == ("attempt 2", 100)
    assert await jobs.history("a") == ["lost", "completed"]
    assert len(marks.of("a", "ended")) == 1


async def test_killed_while_its_end_is_being_written(jobs: Table, serve: Serve, marks: Marks) -> None:
    """The transaction that waits for the row's lock dies with its service, or counts; nothing lies between."""
    victim = serve()
    await jobs.add("a", kind="wait")
    await marks.reached("a", "begun")
    async with jobs.db.transaction():
        await jobs.db.execute("select from jobs where id = 'a' for update")
        marks.let_go()
        await marks.reached("a", "ended")
        victim.kill()
    serve()
    await jobs.becomes("a", "completed")
    assert (await jobs.history("a"))[-1] == "completed"
    assert (await jobs.history("a")).count("completed") == 1


async def test_killed_again_and_again_under_load(jobs: Table, serve: Serve, marks: Marks) -> None:
    """However the kills fall between claim and end, every job ends, each once."""
    await jobs.attach(stages="{processing,enriching}", max_attempts=20)
    await jobs.add(*(f"{n}" for n in range(24)), kind="work")
    for number in range(4):
        victim = serve()
        await marks.reached(f"{number * 4}", "begun")
        victim.kill()
    serve()
    await jobs.all_become("completed", within=30)
    completed = await jobs.db.fetch(
        "select job_key, count(*) from listener.attempt where outcome = 'completed' group by 1"
    )
    assert {row["count"] for row in completed} == {1}
    assert len(completed) == 24
    assert await jobs.db.fetchval("select count(*) from listener.delivery") == 0


async def test_a_job_that_kills_its_service_ends_failed_and_starves_nobody(
    jobs: Table, serve: Serve, marks: Marks
) -> None:
    await jobs.attach(stages="{processing,enriching}", max_attempts=2)
    await jobs.add("poison", kind="kill")
    for attempt in (1, 2):
        process = serve()
        await marks.reached("poison", "begun", attempt)
        process.wait(10)
    await jobs.add("fine", kind="work")
    serve()
    row = await jobs.becomes("poison", "failed")
    assert row["error"] == "the worker died or lost its connection in the last of 2 attempts"
    await jobs.becomes("fine", "completed")
    assert len(marks.of("poison", "begun")) == 2
