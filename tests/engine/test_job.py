"""A running handler writes progress, stages, checkpoints and warnings, and has a scratch folder."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from listener import DatabaseError, Fail, Job, LeaseLost
from tests.support.harness import Switch, Table, app_of, serving, until


async def test_progress_is_coalesced_but_the_last_value_is_written(jobs: Table, database: str) -> None:
    await jobs.db.execute(
        "create table public.seen (progress float8);"
        "create function note() returns trigger language plpgsql as $$ begin"
        " if new.progress is distinct from old.progress then insert into public.seen values (new.progress); end if;"
        " return null; end $$;"
        "create trigger note after update on jobs for each row execute function note()"
    )
    go, end = anyio.Event(), anyio.Event()

    async def handle(job: Job) -> None:
        for percent in range(60):
            job.progress(percent, f"frame {percent}")
            await anyio.lowlevel.checkpoint()
        job.progress(12)
        await go.wait()
        job.progress(100)
        await end.wait()

    async def shows(percent: float) -> bool:
        return bool((await jobs.row("a"))["progress"] == percent)

    async with serving(app_of(handle), database):
        await jobs.add("a")
        await until(lambda: shows(59))
        assert (await jobs.row("a"))["message"] == "frame 59"
        go.set()
        await until(lambda: shows(99))
        end.set()
        await jobs.becomes("a", "completed")
    seen = [row["progress"] for row in await jobs.db.fetch("select progress from seen")]
    assert seen == sorted(seen), "it never goes back"
    assert seen[-3:] == [59, 99, 100], "100 comes with the done word only"
    assert len(seen) <= 5


async def test_progress_comes_from_threads_and_from_callbacks_of_any_kind(jobs: Table, database: str) -> None:
    started, go = threading.Event(), threading.Event()

    def handle(job: Job) -> None:
        for percent in (float("nan"), -5, 3.5, float("-inf"), 7):
            job.progress(percent)
        job.progress(None, "half\x00way")
        started.set()
        go.wait(10)

    async with serving(app_of(handle), database):
        await jobs.add("a")

        async def shows() -> bool:
            row = await jobs.row("a")
            return (row["progress"], row["message"]) == (7, "half\ufffdway")

        await until(shows)
        go.set()
        await jobs.becomes("a", "completed")


async def test_progress_that_met_a_locked_row_is_written_when_the_lock_is_gone(
    jobs: Table, database: str
) -> None:
    switch, said = Switch(), anyio.Event()

    async def handle(job: Job) -> None:
        await said.wait()
        job.progress(40)
        await switch(job)

    async with serving(app_of(handle), database) as service:
        await jobs.add("a")
        await jobs.becomes("a", "processing")
        async with jobs.db.transaction():
            await jobs.db.execute("update jobs set url = 'mine' where id = 'a'")
            said.set()
            await switch.has_started()
            await jobs.leases_last(0.5)  # meanwhile the first flush has skipped the row
        await until(lambda: shows_40(jobs))
        switch.go.set()
        await jobs.becomes("a", "completed")
        assert service.metric("fenced_writes_total", queue="jobs", op="progress") == 0


async def shows_40(jobs: Table) -> bool:
    return bool((await jobs.row("a"))["progress"] == 40)


async def test_the_next_attempt_resumes_at_the_stage_reached(jobs: Table, database: str) -> None:
    await jobs.attach(stages="{processing,enriching,refining}")
    seen: list[tuple[int, str | None, Any]] = []

    async def handle(job: Job) -> None:
        seen.append((job.attempt, job.reached, job.row["url"]))
        if job.reached is None:
            await job.stage("enriching", url="draft")
            reached: str | None = job.reached
            assert (reached, job.row["url"]) == ("enriching", "draft")
            raise RuntimeError("crash")
        if job.attempt == 2:
            await job.stage("refining", url="final")
            await service_died.wait()

    service_died = anyio.Event()
    async with serving(app_of(handle), database) as service:
        await jobs.add("a")
        await jobs.becomes("a", "refining")
        service.die()
    async with serving(app_of(handle), database):
        await jobs.becomes("a", "completed")
    assert seen == [(1, None, None), (2, "enriching", "draft"), (3, "refining", "final")]
    assert await jobs.history("a") == ["retried", "lost", "completed"]


async def test_a_stage_that_is_none_is_an_error_of_the_handler(jobs: Table, database: str) -> None:
    await jobs.attach(stages="{processing,enriching}")

    async def handle(job: Job) -> None:
        with pytest.raises(DatabaseError, match="'dancing' is not a stage of jobs"):
            await job.stage("dancing")
        with pytest.raises(DatabaseError, match="no column colour"):
            await job.stage("enriching", colour="red")
        assert job.reached is None

    async with serving(app_of(handle), database):
        await jobs.add("a")
        await jobs.becomes("a", "completed")


async def test_a_checkpoint_outlives_a_crash(jobs: Table, database: str) -> None:
    paid: list[int] = []

    async def handle(job: Job) -> dict[str, str]:
        if job.saved is None:
            paid.append(job.attempt)
            await job.checkpoint({"request": "r-1"})
            await anyio.sleep_forever()
        return {"url": job.saved["request"]}

    async def saved() -> bool:
        delivery = await jobs.delivery("a")
        return delivery is not None and delivery["checkpoint"] is not None

    async with serving(app_of(handle), database) as service:
        await jobs.add("a")
        await until(saved)
        service.die()
    async with serving(app_of(handle), database):
        assert (await jobs.becomes("a", "completed"))["url"] == "r-1"
    assert paid == [1]


async def test_writes_after_the_lease_moved_on_raise_and_change_nothing(jobs: Table, database: str) -> None:
    await jobs.attach(stages="{processing,enriching}")
    switch = Switch()
    raised = anyio.Event()

    async def handle(job: Job) -> None:
        with anyio.CancelScope(shield=True):
            await switch(job)
            if len(switch.started) > 1:
                return
            with pytest.raises(LeaseLost):
                await job.stage("enriching", url="late")
            with pytest.raises(LeaseLost):
                await job.checkpoint("late")
        raised.set()

    async with serving(app_of(handle), database, lease=30, heartbeat=10) as service:
        await jobs.add("a")
        await switch.has_started()
        await jobs.db.execute("update listener.delivery set fence = nextval('listener.fence')")
        switch.go.set()
        await raised.wait()
        await until(lambda: service.engine.status.active_jobs() == 0)
        assert service.metric("fenced_writes_total", queue="jobs", op="stage") == 1
        assert service.metric("fenced_writes_total", queue="jobs", op="checkpoint") == 1
        assert service.metric("jobs_finished_total", queue="jobs", outcome="lost") == 1
    row = await jobs.row("a")
    assert (row["status"], row["url"]) == ("processing", None)


async def test_warnings_are_kept_with_the_attempt(jobs: Table, database: str) -> None:
    async def handle(job: Job) -> None:
        job.warn("the shadow was left out")
        if job.attempt == 2:
            job.warn("and \x00 the glow")
            raise Fail("no")
        raise RuntimeError

    async with serving(app_of(handle), database):
        await jobs.add("a")
        await jobs.becomes("a", "failed")
    kept = await jobs.db.fetch("select warnings from listener.attempt order by id")
    assert [json.loads(row["warnings"]) for row in kept] == [
        ["the shadow was left out"],
        ["the shadow was left out", "and \ufffd the glow"],
    ]


@pytest.mark.parametrize("end", ["return", "raise", "timeout", "crash"])
async def test_the_scratch_folder_is_removed(jobs: Table, database: str, tmp_path: Path, end: str) -> None:
    made = anyio.Event()

    async def handle(job: Job) -> None:
        assert job.workdir == job.workdir
        (job.workdir / "big.bin").write_bytes(b"x")
        assert job.workdir.parent.parent == tmp_path
        made.set()
        if end == "raise":
            raise Fail("no")
        if end != "return":
            await anyio.sleep_forever()

    async with serving(app_of(handle, timeout=0.2), database, temp_dir=tmp_path) as service:
        await jobs.add("a")
        await made.wait()
        if end == "crash":
            service.die()
        await until(lambda: list(tmp_path.glob("*/job-*")) == [])
