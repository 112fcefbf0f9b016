"""The service chooses a way to the database, and reports it."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from listener import Job
from listener.config import Settings
from listener.engine.backend import Backend
from listener.engine.engine import Engine
from listener.errors import ConfigError, DatabaseUnavailable
from listener.metrics import Metrics
from tests.support.harness import Table, app_of, serving_with, until
from tests.support.proxy import between
from tests.support.standin.pooler import pooling
from tests.support.standin.stack import Stack


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notification is given up soon."""
    monkeypatch.setattr("listener.engine.backend.NOTIFICATION_TIMEOUT", 0.3)


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[tuple[Backend, str]]:
    """The connection, and what it said of itself."""
    connection = Backend(Settings.load(**settings))
    with capture_logs() as logs:
        await connection.open()
        await connection.open()
    (said,) = [log for log in logs if log["event"] == "connection chosen"]
    yield connection, f"{said['database']}: {said['why']}"
    await connection.close()


async def test_where_notifications_arrive_it_listens(project: Stack, project_url: str) -> None:
    async with opened(database_url=project_url, **keys(project)) as (connection, said):
        assert (connection.events, connection.pooled) == ("notify", False)
        assert said.startswith("Postgres at 127.0.0.1:")
        assert said.endswith(": notifications arrive, so LISTEN announces jobs")
        assert "app" not in said
        assert await connection.call("schema_version")


async def test_behind_a_transaction_pooler_realtime_tells(project: Stack, project_url: str) -> None:
    async with pooling(project_url) as url, opened(database_url=url, **keys(project)) as (connection, said):
        assert (connection.events, connection.pooled) == ("realtime", True)
        assert said.endswith(
            ": a transaction-mode pooler passes no notifications, so Realtime announces jobs"
        )
        assert await connection.call("schema_version")


async def test_behind_a_transaction_pooler_alone_jobs_are_swept(project_url: str) -> None:
    async with pooling(project_url) as url, opened(database_url=url) as (connection, said):
        assert (connection.events, connection.pooled) == (None, True)
        assert said.endswith("so jobs are found every 30 s only")
        assert connection.sources(["jobs"], Nobody(), Metrics()) == []
        (problem,) = connection.problems([])
        assert "set DATABASE_URL to the session pooler (port 5432 at Supabase)" in problem
        assert "SUPABASE_URL and SUPABASE_SERVICE_KEY" in problem


async def test_supabases_own_pooler_is_known_by_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("listener.engine.backend.notification_time")
    url = "postgresql://postgres.abc:x@aws-0-eu-central-1.pooler.supabase.com:6543/postgres"
    async with opened(database_url=url) as (connection, _):
        assert connection.pooled


async def test_without_a_database_url_it_is_the_rest_api(project: Stack) -> None:
    async with opened(**keys(project)) as (connection, said):
        assert (connection.events, connection.pooled) == ("realtime", False)
        assert said == f"the REST API of {project.url}: DATABASE_URL is not set, so Realtime announces jobs"
        assert await connection.call("schema_version")


async def test_a_database_that_is_away_may_be_tried_again(project_url: str) -> None:
    async with between(project_url) as (proxy, url):
        proxy.refuses = True
        connection = Backend(Settings.load(database_url=url))
        with pytest.raises(DatabaseUnavailable, match="can't be reached"):
            await connection.open()
        assert connection.pooled, "careful as long as it is not known"
        proxy.refuses = False
        await connection.open()
        assert not connection.pooled
        await connection.close()


def test_settings_that_lead_nowhere_are_refused() -> None:
    with pytest.raises(ConfigError, match="set DATABASE_URL, or SUPABASE_URL and SUPABASE_SERVICE_KEY"):
        Backend(Settings.load())


async def test_a_pooled_service_runs_jobs_that_realtime_tells_of(
    project: Stack, project_url: str, jobs: Table
) -> None:
    async def handle(_: Job) -> None: ...

    async with (
        pooling(project_url) as url,
        serving_with(app_of(handle), database_url=url, **keys(project)) as service,
    ):
        keys_to_add = map(str, itertools.count())

        async def tells() -> bool:
            # As long as it does not hear yet, a sweep finds them.
            await jobs.add(key := next(keys_to_add))
            await jobs.becomes(key, "completed")
            return service.metric("events_received_total", source="realtime", queue="jobs") >= 1

        await until(tells)
        assert service.metric("events_received_total", source="notify", queue="jobs") == 0


async def test_a_job_that_is_announced_before_its_commit_is_visible_starts_soon(
    project: Stack, owner: asyncpg.Connection, jobs: Table
) -> None:
    """Realtime may announce a row when its commit is written, before other transactions can see it."""

    async def handle(_: Job) -> None: ...

    async with serving_with(app_of(handle), poll_interval=60.0, **keys(project)) as service:
        await until(
            lambda: service.engine.status.connected and service.metric("source_connected", source="realtime")
        )
        async with owner.transaction():
            await jobs.add("a")
            await owner.execute("delete from realtime.messages")  # only the message below announces it
            taken = len([line for line in project.requests if "listener_" in line])
            await _post_wake(project)
            # The claim that the message causes, and the sweep behind it, find nothing.
            await until(lambda: service.metric("events_received_total", source="realtime", queue="jobs") == 1)
            await until(lambda: len([line for line in project.requests if "listener_" in line]) >= taken + 2)
        began = time.monotonic()
        await jobs.becomes("a", "completed")
        assert time.monotonic() - began < 4


async def _post_wake(project: Stack) -> None:
    message = {"topic": "listener:events", "event": "wake", "payload": {"queue": "jobs"}, "private": True}
    async with httpx.AsyncClient(headers={"apikey": project.secret_key}) as http:
        answer = await http.post(
            f"{project.url}/realtime/v1/api/broadcast",
            json={"messages": [message]},
            headers={"Authorization": f"Bearer {project.secret_key}"},
        )
    assert answer.status_code == 202


async def test_a_pooled_service_without_realtime_sweeps_and_says_so(project_url: str, jobs: Table) -> None:
    async def handle(_: Job) -> None: ...

    async with (
        pooling(project_url) as url,
        serving_with(app_of(handle), database_url=url, poll_interval=0.2) as service,
    ):
        await jobs.add("a")
        await jobs.becomes("a", "completed")
        await until(lambda: service.engine.status.problems)
        assert "passes no notifications" in service.engine.status.problems[0]
        # Nothing was expected to announce it.
        assert service.metric("missed_found_total", queue="jobs", found_by="sweep") == 0


async def test_a_table_that_realtime_does_not_tell_of_is_named(
    project: Stack, jobs: Table, owner: asyncpg.Connection
) -> None:
    async def handle(_: Job) -> None: ...

    await jobs.attach(wake="notify")
    app = app_of(handle)
    async with serving_with(app, **keys(project)) as service:
        (problem,) = await until(lambda: service.engine.status.problems)
        assert problem.startswith("public.jobs sends no events that realtime receives")
        assert "listener attach public.jobs jobs --wake both" in problem
        # Another way to mend it.
        await owner.execute(
            "alter publication supabase_realtime add table jobs; grant select on jobs to service_role"
        )
        service.engine.dispatcher.connected()
        await until(lambda: not service.engine.status.problems)


class Nobody:
    def wake(self, queue: str, source: str) -> None: ...
    def stop(self, queue: str) -> None: ...
    def connected(self) -> None: ...


def keys(project: Stack) -> dict[str, str]:
    return {"supabase_url": project.url, "supabase_service_key": project.secret_key}


@pytest.fixture
async def jobs(owner: asyncpg.Connection) -> Table:
    return await Table(owner).create()


def test_the_engine_needs_no_database_url(project: Stack) -> None:
    async def handle(_: Job) -> None: ...

    assert Engine(app_of(handle), Settings.load(**keys(project)), signals=False)
