"""Health, as those see it who watch: people, hosts that restart, load balancers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from listener.config import Settings
from listener.metrics import Metrics
from listener.web import Status
from listener.web.app import create_app

from .webtools import Clock


@pytest.fixture
async def client(settings: Settings, status: Status) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, status, Metrics())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost:3001"
    ) as client:
        yield client


async def test_the_shape_of_health(client: httpx.AsyncClient, clock: Clock, status: Status) -> None:
    clock.now += 3600.4
    status.beat()

    answer = await client.get("/health")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "worker_id": "worker-12345-1234567890",
        "active_jobs": 2,
        "uptime": 3600,
        "problems": [],
    }


async def test_problems_degrade_it_but_it_works(client: httpx.AsyncClient, status: Status) -> None:
    status.problems = ["Nobody serves the queue mail."]

    answer = await client.get("/health")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["problems"] == ["Nobody serves the queue mail."]
    assert (await client.get("/readyz")).status_code == 200


async def test_a_short_gap_of_the_database_is_a_reconnect_and_a_long_one_is_not(
    client: httpx.AsyncClient, clock: Clock, status: Status
) -> None:
    status.connected = False
    clock.now += 20
    status.connected = False  # said again by each failed try: the gap still began with the first
    status.beat()
    short = await client.get("/health")
    ready = await client.get("/readyz")
    clock.now += 20
    status.beat()
    long = await client.get("/health")
    alive = await client.get("/livez")
    status.connected = True
    again = await client.get("/health")

    assert (short.status_code, short.json()["status"]) == (200, "degraded")
    assert (ready.status_code, ready.json()) == (503, {"error": "The database has not responded for 20 s."})
    assert (long.status_code, long.json()["status"]) == (503, "unhealthy")
    assert long.json()["problems"] == ["The database has not responded for 40 s."]
    assert alive.status_code == 200, "a restart would not bring the database back"
    assert (again.status_code, again.json()["status"]) == (200, "healthy")


async def test_a_schema_that_does_not_fit_is_not_ready(client: httpx.AsyncClient, status: Status) -> None:
    status.schema_ok = False

    answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert "listener migrate" in answer.json()["error"]


async def test_a_process_that_shuts_down_says_so(client: httpx.AsyncClient, status: Status) -> None:
    status.draining = True

    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/livez")).status_code == 200
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "draining")


async def test_strangers_read_only_the_number_of_problems(client: httpx.AsyncClient, status: Status) -> None:
    status.problems = ["rows of public.secret_clients can't be read"]
    answer = await client.get("/health", headers={"X-Forwarded-For": "203.0.113.9"})

    assert answer.json()["problems"] == ["1 problems; send the service's API_TOKEN to read them."]
    assert answer.json()["status"] == "degraded"
