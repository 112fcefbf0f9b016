from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import asyncpg
import pytest

from listener.backoff import delays
from listener.events import RealtimeSource, base, realtime_connection
from listener.events import realtime as source
from listener.metrics import Metrics
from tests.support.databases import Connect
from tests.support.harness import Table, until
from tests.support.standin.stack import Stack, running


class Worker:
    """A worker that claims jobs when a source wakes it, and never otherwise.

    Attributes:
        found: the jobs claimed so far.
        woken, stopped: the queues of the calls of `wake` and `stop`.
        times_connected: how often the source connected.
        trips: so many wakes raise.
    """

    def __init__(self, db: asyncpg.Connection) -> None:
        self.found: set[str] = set()
        self.woken: list[str] = []
        self.stopped: list[str] = []
        self.times_connected = 0
        self.trips = 0
        self._looked_into = 0
        self._db = db
        self._news = anyio.Event()

    def wake(self, queue: str, source: str) -> None:
        self.woken.append(queue)
        self._news.set()
        if self.trips:
            self.trips -= 1
            raise RuntimeError("stumbled")

    def stop(self, queue: str) -> None:
        self.stopped.append(queue)

    def connected(self) -> None:
        self.times_connected += 1
        self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            calls = len(self.woken) + self.times_connected
            claim = json.loads(await self._db.fetchval("select listener.claim('me', '{jobs}', '{100}')"))
            self.found |= {job["key"] for job in claim["jobs"]}
            self._looked_into = calls

    @property
    def rests(self) -> bool:
        """Whether it has claimed after every call."""
        return self._looked_into == len(self.woken) + self.times_connected


class Listening:
    """A source that runs, and the worker that it wakes."""

    def __init__(self, source: RealtimeSource, worker: Worker, metrics: Metrics) -> None:
        self.source = source
        self.worker = worker
        self._metrics = metrics

    def reconnects(self, reason: str) -> float:
        return self.metric("reconnects_total", reason=reason)

    def metric(self, name: str, **labels: str) -> float:
        labels = {"source": "realtime", **labels}
        return self._metrics.registry.get_sample_value(f"listener_{name}", labels) or 0.0

    async def hears(self, times: int = 1) -> None:
        """Wait until it has joined so many times and the server has subscribed it to the database each time."""
        await until(lambda: self.worker.times_connected >= 2 * times and self.worker.rests)

    async def finds(self, *keys: str) -> None:
        await until(lambda: self.worker.found >= set(keys))


Listen = Callable[..., AbstractAsyncContextManager[Listening]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source probes soon. It gives up ten times as soon as otherwise, and so does the server (`project`)."""
    monkeypatch.setattr(realtime_connection, "PROBE_INTERVAL", 0.2)
    monkeypatch.setattr(realtime_connection, "ANSWER_TIMEOUT", realtime_connection.ANSWER_TIMEOUT / 10)
    monkeypatch.setattr(source, "SECOND_LOOK_AFTER", 60.0)
    monkeypatch.setattr(base, "delays", lambda: delays(0.1, most=0.2))


@pytest.fixture
async def project(database: str, has_realtime: None) -> AsyncIterator[Stack]:
    async with running(database) as stack:
        stack.realtime.refuses_after /= 10
        yield stack


@pytest.fixture
async def jobs(db: asyncpg.Connection, has_realtime: None) -> Table:
    """A user's table, attached as the queue `jobs`."""
    return await Table(db).create()


@pytest.fixture
def listen(project: Stack, connect: Connect) -> Listen:
    """A function that runs a source for the queue `jobs` until the block ends."""

    @asynccontextmanager
    async def listen(
        *,
        url: str | None = None,
        key: str | None = None,
        queues: Iterable[str] = ("jobs",),
        max_age: float = 3600.0,
    ) -> AsyncIterator[Listening]:
        worker, metrics = Worker(await connect()), Metrics()
        running = RealtimeSource(
            url or project.url, key or project.secret_key, queues, worker, metrics, max_age=max_age
        )
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            group.start_soon(running.run)
            yield Listening(running, worker, metrics)
            group.cancel_scope.cancel()

    return listen
