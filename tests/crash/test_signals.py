"""Services that are stopped, frozen and thawed by signals."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest

from tests.support.harness import Table, until
from tests.support.processes import Serve

from .conftest import Marks


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_job_may_finish_within_the_grace(
    jobs: Table, serve: Serve, marks: Marks, tmp_path: Path, number: signal.Signals
) -> None:
    service = serve(SHUTDOWN_GRACE="20")
    await jobs.add("a", kind="wait")
    await marks.reached("a", "begun")
    service.send_signal(number)
    await until(lambda: "shutting down" in (tmp_path / "log 0").read_text())
    await jobs.add("b", kind="work")
    marks.let_go()
    assert service.wait(10) == 0
    assert (await jobs.row("a"))["status"] == "completed"
    assert (await jobs.row("b"))["status"] == "queued"
    assert await jobs.db.fetchval("select count(*) from listener.worker") == 0


@pytest.mark.parametrize("times", [1, 2])
async def test_what_is_not_finished_goes_on_elsewhere_at_once(
    jobs: Table, serve: Serve, marks: Marks, tmp_path: Path, times: int
) -> None:
    """After the grace, or at the second signal; it counts no attempt and waits for no lease."""
    first = serve(SHUTDOWN_GRACE="0.2" if times == 1 else "60", LEASE="60")
    await jobs.add("a", kind="wait")
    await marks.reached("a", "begun")
    second = serve(LEASE="60")
    for _ in range(times):
        first.send_signal(signal.SIGTERM)
        # Signals that are the same merge while they wait.
        await until(lambda: "shutting down" in (tmp_path / "log 0").read_text())
    assert first.wait(10) == 0
    begun = await marks.reached("a", "begun", 2)
    assert set(begun) == {(1, first.pid), (1, second.pid)}
    marks.let_go()
    assert (await jobs.becomes("a", "completed"))["url"] == "attempt 1"
    assert await jobs.history("a") == ["completed"]


async def test_one_that_slept_past_its_lease_changes_nothing(
    jobs: Table, serve: Serve, marks: Marks, tmp_path: Path
) -> None:
    sleeper = serve()
    await jobs.add("a", kind="wait")
    await marks.reached("a", "begun")
    sleeper.send_signal(signal.SIGSTOP)
    second = serve()
    begun = await marks.reached("a", "begun", 2)
    assert begun == [(1, sleeper.pid), (2, second.pid)]
    marks.let_go()
    assert (await jobs.becomes("a", "completed"))["url"] == "attempt 2"

    sleeper.send_signal(signal.SIGCONT)
    await jobs.add("b", kind="work")
    await jobs.becomes("b", "completed")
    sleeper.send_signal(signal.SIGTERM)
    assert sleeper.wait(10) == 0
    assert (await jobs.row("a"))["url"] == "attempt 2"
    assert await jobs.history("a") == ["lost", "completed"]
    log = (tmp_path / "log 0").read_text()
    assert '"reason": "cancelled"' in log or "outcome rejected" in log


async def test_a_service_whose_loop_hangs_loses_its_jobs_to_another(
    jobs: Table, serve: Serve, marks: Marks
) -> None:
    """Nobody beats for it; what its handler returns at last does not count."""
    hung = serve()
    await jobs.add("a", kind="block")
    await marks.reached("a", "begun")
    serve()
    await marks.reached("a", "begun", 2)
    marks.let_go()
    await jobs.becomes("a", "completed")
    hung.send_signal(signal.SIGTERM)
    assert hung.wait(10) == 0
    assert await jobs.history("a") == ["lost", "completed"]


async def test_whatever_holds_it_a_process_that_is_told_to_end_does(
    jobs: Table, serve: Serve, marks: Marks, tmp_path: Path
) -> None:
    """A thread that can't be interrupted, and a loop that doesn't even receive the signal."""
    await Table(jobs.db, "deaf").create()
    holding = []
    for table, kind in (("jobs", "block"), ("deaf", None)):
        service = serve(LEASE="60")
        await Table(jobs.db, table).add(f"{table} row", kind=kind)
        await marks.reached(f"{table} row", "begun")
        holding.append(service)
    for service in holding:
        service.send_signal(signal.SIGTERM)
    for number, (service, job) in enumerate(zip(holding, ("jobs jobs row", "deaf deaf row"), strict=True)):
        assert await anyio.to_thread.run_sync(service.wait, 15) == 1
        log = (tmp_path / f"log {number}").read_text()
        assert "shutdown took too long" in log
        assert f'"jobs": ["{job}"]' in log
