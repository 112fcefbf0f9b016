"""Run a service in this process on a user's table, and wait for what it does."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, overload

import anyio
import asyncpg
import httpx
from anyio.abc import TaskStatus

from listener import App, Job
from listener.config import Settings
from listener.engine.engine import Engine
from tests.support.table import WORDS, UserTable

T = TypeVar("T")

QUICK = {"lease": 1.5, "heartbeat": 0.3, "poll_interval": 30.0, "shutdown_grace": 0.0}
"""Settings of a service that a test has to wait for: its leases are short, but nothing depends on sweeps."""


@overload
async def until(condition: Callable[[], Awaitable[T | None]], within: float = ...) -> T: ...
@overload
async def until(condition: Callable[[], T | None], within: float = ...) -> T: ...
async def until(condition: Callable[[], Any], within: float = 10.0) -> Any:
    """Wait until a condition, plain or async, returns something true. Returns that.

    It looks at the condition every 10 ms. Await an event where there is one.
    """
    with anyio.fail_after(within):
        while True:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            await anyio.sleep(0.01)


@dataclass
class Table(UserTable[str]):
    """A table on which a service works, and waits for what the service does to it."""

    db: asyncpg.Connection
    name: str = "jobs"

    async def create(self, **options: Any) -> Table:
        await self.db.execute(
            f"create table {self.name} (id text primary key, status text not null default 'queued', kind text,"
            " progress float8, message text, error text, result jsonb, url text, run_at timestamptz, priority int)"
        )
        await self.attach(**options)
        return self

    async def attach(self, **options: Any) -> None:
        options = {"words": json.dumps(WORDS), "backoff": "10 milliseconds"} | options
        given = ", ".join(f"{name} => '{value}'" for name, value in options.items())
        await self.db.execute(f"select listener.attach('{self.name}', '{self.name}', {given})")

    async def row(self, key: str) -> asyncpg.Record:
        row = await self.db.fetchrow(f"select * from {self.name} where id = $1", key)
        assert row is not None
        return row

    async def becomes(self, key: str, *words: str, within: float = 10.0) -> asyncpg.Record:
        """Wait until the status of a row is one of these words. Returns the row."""

        async def shows() -> asyncpg.Record | None:
            row = await self.row(key)
            return row if row["status"] in words else None

        return await until(shows, within)

    async def counts(self) -> dict[str, int]:
        """Return how many rows there are of each status."""
        counted = await self.db.fetch(f"select status, count(*) from {self.name} group by 1")
        return {row["status"]: row["count"] for row in counted}

    async def all_become(self, word: str, within: float = 20.0) -> None:
        """Wait until every row has this status."""

        async def all_show() -> bool:
            return (await self.counts()).keys() <= {word}

        await until(all_show, within)

    async def scheduled(self, key: str) -> float:
        """Wait until a job is scheduled. Returns in how many seconds it is due."""
        seconds = (
            "select extract(epoch from run_at - clock_timestamp())::float8 from listener.delivery"
            " where job_key = $1 and state = 'scheduled'"
        )
        return float(await until(lambda: self.db.fetchval(seconds, key)))

    async def leases_last(self, seconds: float) -> None:
        """Wait until heartbeats have extended the leases of all running jobs by so many seconds."""
        extended = "select bool_and(lease_until >= $1) from listener.delivery where state = 'running'"
        end = await self.db.fetchval("select max(lease_until) from listener.delivery where state = 'running'")
        await until(lambda: self.db.fetchval(extended, end + timedelta(seconds=seconds)), 10 + seconds)

    async def error(self, key: str) -> str:
        """Return the error of the job's last attempt."""
        return str(
            await self.db.fetchval(
                "select error from listener.attempt where job_key = $1 order by id desc", key
            )
        )


@dataclass
class Service:
    """A service that runs in this process."""

    engine: Engine
    port: int | None
    scope: anyio.CancelScope

    def die(self) -> None:
        """End like a crash: no job is released."""
        self.scope.cancel()

    def metric(self, name: str, **labels: str) -> float:
        return self.engine.metrics.registry.get_sample_value(f"listener_{name}", labels) or 0.0

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as client:
            return await client.get(path)


@asynccontextmanager
async def serving_with(app: App, **settings: Any) -> AsyncIterator[Service]:
    """Run a service with these settings until the block ends, and then shut it down."""
    engine = Engine(app, Settings.load(**{"enable_health_check": False, **QUICK, **settings}), signals=False)
    scope = anyio.CancelScope()

    async def run(*, task_status: TaskStatus[int | None]) -> None:
        with scope:
            await engine.run(task_status=task_status)

    async with anyio.create_task_group() as group:
        port = await group.start(run)
        yield Service(engine, port, scope)
        engine.shut_down()


@asynccontextmanager
async def serving(app: App, database: str, *, http: bool = False, **settings: Any) -> AsyncIterator[Service]:
    """Run a service on a database, and wait until it is notified of its rows."""
    address = {"database_url": database, "host": "127.0.0.1", "port": 0, "enable_health_check": http}
    async with serving_with(app, **address, **settings) as service:
        await until(lambda: service.metric("source_connected", source="notify") == 1)
        yield service


def app_of(function: Callable[[Job], Any], queue: str = "jobs", **options: Any) -> App:
    """Return an app with one handler."""
    app = App()
    app.handler(queue, **options)(function)
    return app


class Switch:
    """A handler that records which jobs it has started, and waits until `go` is set."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.go = anyio.Event()

    async def __call__(self, job: Job) -> None:
        self.started.append(job.key)
        try:
            await self.go.wait()
        except BaseException:
            self.stopped.append(job.key)
            raise

    def app(self, queue: str = "jobs", **options: Any) -> App:
        async def run(job: Job) -> None:
            await self(job)

        return app_of(run, queue, **options)

    async def has_started(self, number: int = 1) -> None:
        await until(lambda: len(self.started) >= number)
