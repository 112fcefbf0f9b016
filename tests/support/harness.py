"""A user's table, and the service in this process that works on it."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import asyncpg
import httpx
from anyio.abc import TaskStatus

from listener import App, Job
from listener.config import Settings
from listener.engine.engine import Engine

WORDS = {
    "ready": "queued",
    "running": "processing",
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}

QUICK = {"lease": 1.5, "heartbeat": 0.3, "poll_interval": 30.0, "shutdown_grace": 0.0}
"""Settings of a service that a test has to wait for: its leases are short, but nothing depends on sweeps."""


async def until(condition: Callable[[], Any], within: float = 10.0) -> Any:
    """Wait for a condition, plain or async, to answer something true, and answer that."""
    with anyio.fail_after(within):
        while True:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            await anyio.sleep(0.01)


@dataclass
class Table:
    """`public.jobs` or another, attached as the queue of the same name."""

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

    async def add(self, *keys: str, **columns: Any) -> None:
        """Insert rows in one statement."""
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", ${number}" for number in range(2, len(columns) + 2))
        await self.db.execute(
            f"insert into {self.name} (id{names}) select k{values} from unnest($1::text[]) as k",
            keys,
            *columns.values(),
        )

    async def set(self, key: str, word: str) -> None:
        """The user changes the status."""
        await self.db.execute(f"update {self.name} set status = $2 where id = $1", key, word)

    async def delete(self, key: str) -> None:
        await self.db.execute(f"delete from {self.name} where id = $1", key)

    async def row(self, key: str) -> asyncpg.Record:
        row = await self.db.fetchrow(f"select * from {self.name} where id = $1", key)
        assert row is not None
        return row

    async def becomes(self, key: str, *words: str, within: float = 10.0) -> asyncpg.Record:
        """Wait until a row shows one of these words."""

        async def shows() -> asyncpg.Record | None:
            row = await self.row(key)
            return row if row["status"] in words else None

        row: asyncpg.Record = await until(shows, within)
        return row

    async def words(self) -> dict[str, int]:
        """How many rows show which word."""
        counted = await self.db.fetch(f"select status, count(*) from {self.name} group by 1")
        return {row["status"]: row["count"] for row in counted}

    async def all_become(self, word: str, within: float = 20.0) -> None:
        """Wait until every row shows this word."""

        async def all_show() -> bool:
            return (await self.words()).keys() <= {word}

        await until(all_show, within)

    async def delivery(self, key: str) -> asyncpg.Record | None:
        return await self.db.fetchrow("select * from listener.delivery where job_key = $1", key)

    async def scheduled(self, key: str) -> float:
        """Wait until a job is scheduled; answers in how many seconds it is due."""
        seconds = (
            "select extract(epoch from run_at - clock_timestamp())::float8 from listener.delivery"
            " where job_key = $1 and state = 'scheduled'"
        )
        return float(await until(lambda: self.db.fetchval(seconds, key)))

    async def history(self, key: str) -> list[str]:
        """The outcomes of the job's attempts, oldest first."""
        rows = await self.db.fetch("select outcome from listener.attempt where job_key = $1 order by id", key)
        return [row["outcome"] for row in rows]

    async def error(self, key: str) -> str:
        """The error of the job's last attempt."""
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
        """End as a crash would: nothing is handed on."""
        self.scope.cancel()

    def metric(self, name: str, **labels: str) -> float:
        return self.engine.metrics.registry.get_sample_value(f"listener_{name}", labels) or 0.0

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as client:
            return await client.get(path)


@asynccontextmanager
async def serving(app: App, database: str, *, http: bool = False, **settings: Any) -> AsyncIterator[Service]:
    """Run a service until the block ends, and then shut it down."""
    chosen = Settings.load(
        database_url=database, host="127.0.0.1", port=0, enable_health_check=http, **(QUICK | settings)
    )
    engine = Engine(app, chosen, signals=False)
    scope = anyio.CancelScope()

    async def run(*, task_status: TaskStatus[int | None]) -> None:
        with scope:
            await engine.run(task_status=task_status)

    async with anyio.create_task_group() as group:
        port = await group.start(run)
        service = Service(engine, port, scope)
        await until(lambda: service.metric("source_connected", source="notify") == 1)
        yield service
        engine.shut_down()


def app_of(function: Callable[[Job], Any], queue: str = "jobs", **options: Any) -> App:
    """An app with one handler."""
    app = App()
    app.handler(queue, **options)(function)
    return app


class Switch:
    """A handler that notes which jobs it has started, and waits until it is released."""

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
