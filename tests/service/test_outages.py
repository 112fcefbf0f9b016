"""Outages of each connection while rows keep coming: every job is done, once, and what no event announced is counted.

Short ones here, where all that waits is impatient; those of the length that real ones have, and the patience of a real
service, by `make test-all`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import asyncpg
import pytest

from listener import Job
from listener.backoff import delays
from listener.database.transport_postgres import PostgresTransport
from listener.database.transport_rest import RestTransport
from listener.embedded import Postgres
from listener.events import realtime, realtime_connection
from tests.support.databases import as_app, throwaway
from tests.support.harness import Service, Table, app_of, serving_with, until
from tests.support.proxy import Proxy, between
from tests.support.standin.pooler import pooling
from tests.support.standin.stack import Stack, running

JOBS = 2000
SLICE = 20


@dataclass
class Way:
    """A service on one kind of connection, which a test can break.

    Attributes:
        proxies: between the service and what it talks to.
    """

    service: Service
    proxies: list[Proxy]
    project: Stack
    source: str

    async def away(self, seconds: float) -> None:
        """Break every connection, and refuse new ones for a while."""
        for proxy in self.proxies:
            proxy.refuses = True
            proxy.reset()
        await anyio.sleep(seconds)
        for proxy in self.proxies:
            proxy.refuses = False

    async def silent(self, seconds: float) -> None:
        """Pass nothing on for a while, and never what came meanwhile."""
        for proxy in self.proxies:
            proxy.drops = True
        await anyio.sleep(seconds)
        for proxy in self.proxies:
            proxy.drops = False

    async def expired(self, _: float) -> None:
        """The token that Realtime made of the key has run out, and the REST API refuses the key once."""
        self.project.faults.add("POST /rest/v1/rpc/*", status=401, body=b'{"message":"JWT expired"}')
        await self.project.realtime.expire()

    async def hears(self) -> None:
        await until(lambda: self.service.metric("source_connected", source=self.source) == 1, 200)

    def missed(self) -> float:
        return self.service.metric("missed_found_total", queue="jobs", found_by="sweep")


@asynccontextmanager
async def direct(app: Any, url: str, project: Stack, **settings: Any) -> AsyncIterator[Way]:
    async with between(url) as (proxy, way), serving_with(app, database_url=way, **settings) as service:
        yield Way(service, [proxy], project, "notify")


@asynccontextmanager
async def pooled(app: Any, url: str, project: Stack, **settings: Any) -> AsyncIterator[Way]:
    async with (
        pooling(url) as pooler,
        between(pooler) as (proxy, way),
        between(f"{project.url}/") as (gateway, address),
        serving_with(app, database_url=way, **key(project, address), **settings) as service,
    ):
        yield Way(service, [proxy, gateway], project, "realtime")


@asynccontextmanager
async def rest(app: Any, url: str, project: Stack, **settings: Any) -> AsyncIterator[Way]:
    async with (
        between(f"{project.url}/") as (gateway, address),
        serving_with(app, **key(project, address), **settings) as service,
    ):
        yield Way(service, [gateway], project, "realtime")


def key(project: Stack, address: str) -> dict[str, str]:
    return {"supabase_url": address, "supabase_service_key": project.secret_key}


WAYS: dict[str, Callable[..., AbstractAsyncContextManager[Way]]] = {
    "direct": direct,
    "pooled": pooled,
    "rest": rest,
}


@pytest.fixture
async def jobs(owner: asyncpg.Connection) -> Table:
    return await Table(owner).create()


class Rows:
    """Somebody who inserts rows all the time.

    Attributes:
        added: key -> when, in seconds of the loop's clock.
    """

    def __init__(self, jobs: Table, pause: float) -> None:
        self._jobs = jobs
        self._pause = pause
        self.added: dict[str, float] = {}

    async def run(self) -> None:
        for first in range(0, JOBS, SLICE):
            keys = [f"{number}" for number in range(first, first + SLICE)]
            await self._jobs.add(*keys)
            self.added |= dict.fromkeys(keys, anyio.current_time())
            await anyio.sleep(self._pause)

    def between(self, begin: float, end: float) -> int:
        return sum(begin < at < end for at in self.added.values())


async def endure(
    open_way: Callable[..., Any],
    url: str,
    project: Stack,
    jobs: Table,
    troubles: list[tuple[str, float]],
    *,
    length: float,
    late: float,
    **settings: Any,
) -> None:
    """Have these troubles, while the rows come over `length` seconds.

    Args:
        late: seconds after which a job counts as missed.
    """
    begun: Counter[str] = Counter()

    async def handle(job: Job) -> None:
        begun[job.key] += 1

    rows = Rows(jobs, length * SLICE / JOBS)
    surely = at_most = 0
    async with open_way(app_of(handle, concurrency=50), url, project, **settings) as way:
        await way.hears()
        async with anyio.create_task_group() as group:
            group.start_soon(rows.run)
            for kind, seconds in troubles:
                await anyio.sleep(late)
                trouble: Callable[[float], Awaitable[None]] = getattr(way, kind)
                start = anyio.current_time()
                await trouble(seconds)
                back = anyio.current_time()
                await way.hears()
                hears = anyio.current_time()
                surely += rows.between(start + 2 * late, back - 2 * late)
                at_most += rows.between(start - late, hears + 2 * late)
        await jobs.all_become("completed", 120)
        assert surely <= way.missed() <= at_most
    assert len(begun) == JOBS
    assert set(begun.values()) == {1}
    done = await jobs.db.fetchval(
        "select count(*) from (select from listener.attempt where outcome = 'completed' group by job_key"
        " having count(*) = 1) as once"
    )
    assert done == JOBS


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten every wait for an answer."""
    monkeypatch.setattr("listener.engine.backend.NOTIFICATION_TIMEOUT", 0.3)
    monkeypatch.setattr("listener.engine.dispatcher.MISSED_AFTER", 0.3)
    monkeypatch.setattr("listener.engine.dispatcher.delays", lambda: delays(0.05, most=0.2))
    monkeypatch.setattr("listener.events.base.delays", lambda: delays(0.05, most=0.2))
    for name, seconds in (("PROBE_INTERVAL", 0.2), ("PROBE_TIMEOUT", 0.4), ("CONNECT_TIMEOUT", 0.6)):
        monkeypatch.setattr(f"listener.events.postgres.{name}", seconds)
    monkeypatch.setattr(realtime_connection, "PROBE_INTERVAL", 0.2)
    monkeypatch.setattr(realtime_connection, "ANSWER_TIMEOUT", 0.5)
    monkeypatch.setattr(realtime, "SECOND_LOOK_AFTER", 0.5)
    for transport in (PostgresTransport, RestTransport):
        monkeypatch.setattr(f"listener.engine.backend.{transport.__name__}", partial(transport, timeout=0.8))


@pytest.mark.parametrize("way", WAYS)
async def test_short_outages(
    way: str, project_url: str, project: Stack, jobs: Table, impatient: None
) -> None:
    troubles = [("away", 0.2), ("silent", 1.0), ("away", 1.2)]
    if way != "direct":
        troubles.append(("expired", 0.0))
    await endure(WAYS[way], project_url, project, jobs, troubles, length=5, late=0.3)


@pytest.fixture
def project_urls(postgres: Postgres, template_project: str) -> Iterator[list[str]]:
    """A database for each way: a service also takes care of what others of its database have let go."""
    with ExitStack() as stack:
        yield [as_app(stack.enter_context(throwaway(postgres, template=template_project))) for _ in WAYS]


@pytest.mark.system
@pytest.mark.timeout(600)
async def test_long_outages(project_urls: list[str]) -> None:
    troubles = [("away", 5.0), ("silent", 30.0), ("away", 30.0), ("away", 120.0)]
    settings = {"lease": 20.0, "heartbeat": 5.0}

    async def one(way: Any, url: str) -> None:
        owner = await asyncpg.connect(url)
        jobs = await Table(owner).create()
        more = [] if way is direct else [("expired", 0.0)]
        async with running(url) as project:
            await endure(way, url, project, jobs, troubles + more, length=240, late=2.0, **settings)
        await owner.close()

    async with anyio.create_task_group() as group:
        for way, url in zip(WAYS.values(), project_urls, strict=True):
            group.start_soon(one, way, url)
