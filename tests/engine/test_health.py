"""A service reports its health, its readiness, its problems, and the handler that blocks its event loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from urllib.request import urlopen

import anyio
import asyncpg
import pytest
from structlog.testing import capture_logs

from listener import App, Job
from listener.engine import watchdog
from tests.support.harness import Switch, Table, app_of, serving, until


async def test_a_healthy_service_says_so(jobs: Table, database: str) -> None:
    switch = Switch()
    async with serving(switch.app(), database, http=True) as service:
        await jobs.add("a")
        await switch.has_started()
        health = (await service.get("/health")).json()
        assert health == health | {"status": "healthy", "active_jobs": 1, "problems": []}
        assert health["worker_id"] == service.engine.worker_id
        assert (await service.get("/readyz")).status_code == 200
        metrics = (await service.get("/metrics")).text
        assert 'listener_workers{queue="jobs"} 1.0' in metrics
        assert 'listener_jobs{queue="jobs",state="running"} 1.0' in metrics


async def test_a_queue_without_a_table_is_a_problem_until_it_is_attached(
    db: asyncpg.Connection, database: str
) -> None:
    async def handle(job: Job) -> str:
        return "made"

    async with serving(app_of(handle), database, http=True) as service:

        async def problems() -> list[str]:
            return list((await service.get("/health")).json()["problems"])

        found = await until(problems)
        assert found == [
            "no table is attached as queue 'jobs', which has a handler; run `listener attach TABLE jobs`"
        ]
        assert (await service.get("/health")).json()["status"] == "degraded"

        jobs = await Table(db).create()
        await until(lambda: healed(problems))
        await jobs.add("a")
        assert (await jobs.becomes("a", "completed"))["result"] == '"made"'


async def test_of_an_optional_part_a_queue_without_a_table_is_none_but_one_there_must_be(
    db: asyncpg.Connection, database: str
) -> None:
    app = App()
    for queue in ("jobs", "films"):
        app.include(Switch().app(queue), optional=True)
    async with serving(app, database) as service:
        found = await until(lambda: service.engine.status.problems)
        assert found == [
            "no table is attached as any of the queues films, jobs; run `listener attach TABLE QUEUE`"
        ]
        await Table(db).create()
        await until(lambda: not service.engine.status.problems)


async def healed(problems: Callable[[], Awaitable[list[str]]]) -> bool:
    return await problems() == []


async def test_a_queue_attached_with_rows_waiting_is_served_as_it_was_described(
    db: asyncpg.Connection, database: str
) -> None:
    """Nothing runs before the service knows where a result goes."""
    async with serving(app_of(lambda _job: "made"), database):
        jobs = Table(db)
        await db.execute("begin")
        await jobs.create()
        await jobs.add("a")
        await db.execute("commit")
        assert (await jobs.becomes("a", "completed"))["result"] == '"made"'


async def test_a_trigger_that_is_disabled_is_a_problem_and_its_rows_are_found(
    jobs: Table, database: str
) -> None:
    await jobs.db.execute("alter table jobs disable trigger user")
    await jobs.add("a")
    async with serving(app_of(lambda _job: None), database) as service:
        await jobs.becomes("a", "completed")
        await until(lambda: service.engine.status.problems)
        assert "only reconcile finds its rows" in service.engine.status.problems[0]
        assert service.metric("missed_found_total", queue="jobs", found_by="reconcile") == 1


async def test_a_column_that_vanishes_later_is_a_problem_not_the_end(jobs: Table, database: str) -> None:
    async def handle(job: Job) -> dict[str, str]:
        return {"url": "there"}

    async with serving(app_of(handle), database) as service:
        await jobs.add("a")
        await jobs.becomes("a", "completed")
        await jobs.db.execute("alter table jobs rename url to link")
        await jobs.add("b")
        assert "no column url" in (await jobs.becomes("b", "failed"))["error"]
        assert service.engine.status.connected


async def test_a_handler_that_blocks_the_loop_is_named_and_http_still_answers(
    jobs: Table, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "BEAT_INTERVAL", 0.05)
    monkeypatch.setattr(watchdog, "BLOCKED_AFTER", 0.6)
    answered: list[int] = []

    async def handle(job: Job) -> None:
        while not answered:
            time.sleep(0.01)  # noqa: ASYNC251 - the mistake that the warning names

    with capture_logs() as logs:
        async with serving(app_of(handle), database, http=True) as service:

            def ask() -> None:
                while service.engine.status.silence < 0.7:
                    time.sleep(0.01)
                with urlopen(f"http://127.0.0.1:{service.port}/livez", timeout=5) as answer:
                    answered.append(answer.status)
                    assert service.engine.status.silence > 0.6, "it answered while the loop hung"

            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, ask)
                await jobs.add("a")
            await jobs.becomes("a", "completed")
    assert answered == [200]
    (warning,) = [line for line in logs if "blocked" in line["event"]]
    assert warning["task"] == "jobs a"
    assert "test_health.py" in warning["at"]
