"""The webhook: a wake and nothing else, for those who know the secret."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import asyncpg
import httpx
import pytest
from fastapi import APIRouter, FastAPI

from listener import App
from listener.config import Settings
from listener.web import errors
from listener.web.webhook import Doorbell, routes
from tests.support.harness import Switch, Table, serving, until

SECRET = "a-secret-of-some-length"
KNOWN = {"X-Webhook-Secret": SECRET}
CHANGE = {"type": "INSERT", "table": "jobs", "schema": "public", "record": {"id": 1}, "old_record": None}

Call = Callable[..., Any]


@pytest.fixture
def woken() -> list[None]:
    return []


@pytest.fixture
def call(woken: list[None]) -> Call:
    """`await call(body, headers, **settings)` calls a service that is reached from elsewhere."""

    async def call(
        body: Any = None, headers: dict[str, str] | None = None, **settings: Any
    ) -> httpx.Response:
        app = FastAPI()
        errors.install(app)
        chosen = Settings.load(**({"host": "0.0.0.0", "webhook_secret": SECRET} | settings))
        app.include_router(routes(chosen, lambda: woken.append(None)))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
        ) as client:
            content = body if isinstance(body, bytes) else json.dumps(body or {"job_id": "1"})
            return await client.post(
                "/webhook/new-job", content=content, headers=KNOWN if headers is None else headers
            )

    return call


@pytest.mark.parametrize(
    "body",
    [{"job_id": "7d444840-9dc0"}, {"job_id": 7}, CHANGE, CHANGE | {"type": "DELETE", "record": None}],
)
async def test_both_shapes_wake(call: Call, woken: list[None], body: Any) -> None:
    answer = await call(body)

    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    await until(lambda: woken == [None])


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"job_id": {}}', b'{"type": "DROP"}', b"\xff"]
)
async def test_anything_else_is_refused_with_a_sentence(call: Call, woken: list[None], body: bytes) -> None:
    answer = await call(body)

    assert answer.status_code == 422
    assert answer.json()["error"].startswith('Send {"job_id": …}')
    assert woken == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Webhook-Secret": SECRET + "x"},
        {"X-Webhook-Secret": ""},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": "Bearer "},
        {"X-Webhook-Secret": SECRET.upper()},
    ],
)
async def test_without_the_secret_nobody_wakes_it(
    call: Call, woken: list[None], headers: dict[str, str]
) -> None:
    answer = await call(headers=headers)
    here = await call(headers=headers, host="127.0.0.1")

    assert (answer.status_code, here.status_code) == (401, 401)
    assert SECRET not in answer.text
    assert woken == []


async def test_the_secret_may_come_as_a_bearer(call: Call) -> None:
    assert (await call(headers={"Authorization": f"Bearer {SECRET}"})).status_code == 202


async def test_where_no_secret_is_configured_only_the_machine_itself_may_call(call: Call) -> None:
    elsewhere = await call(headers={}, webhook_secret=None)
    proxied = await call(headers={"X-Forwarded-For": "203.0.113.9"}, webhook_secret=None, host="127.0.0.1")
    here = await call(headers={}, webhook_secret=None, host="127.0.0.1")

    assert [elsewhere.status_code, proxied.status_code, here.status_code] == [503, 503, 202]
    assert "set WEBHOOK_SECRET" in elsewhere.json()["error"]


async def test_a_large_body_is_not_read_to_its_end(call: Call, woken: list[None]) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 8192
            yield b" " * 8192

    app = FastAPI()
    errors.install(app)
    app.include_router(routes(Settings.load(webhook_secret=SECRET), lambda: woken.append(None)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        answer = await client.post("/webhook/new-job", content=endless(), headers=KNOWN)

    assert (answer.status_code, woken) == (413, [])
    assert read <= 2 * 64 * 1024


async def test_a_flood_of_calls_rings_now_and_once_after_the_pause() -> None:
    rings: list[float] = []
    bell = Doorbell(lambda: rings.append(time.monotonic()), pause=0.1)
    for _ in range(1000):
        bell.press()
    await until(lambda: rings)
    for _ in range(1000):
        bell.press()
        await anyio.lowlevel.checkpoint()
    await until(lambda: len(rings) == 2)

    assert rings[1] - rings[0] >= 0.1


async def test_a_call_starts_a_job_that_nothing_else_announces(database: str, db: asyncpg.Connection) -> None:
    jobs = await Table(db).create(wake="none")
    switch = Switch()
    async with serving(switch.app(concurrency=5), database, http=True, webhook_secret=SECRET) as service:
        assert service.metric("events_received_total", source="webhook", queue="jobs") == 0
        await jobs.add("a")
        async with httpx.AsyncClient() as client:
            for _ in range(50):
                answer = await client.post(
                    f"http://127.0.0.1:{service.port}/webhook/new-job", json={"job_id": "a"}, headers=KNOWN
                )
                assert answer.status_code == 202
        await switch.has_started()
        assert 1 <= service.metric("events_received_total", source="webhook", queue="jobs") <= 10
        switch.go.set()


async def test_an_app_brings_routes_of_its_rooms(database: str, db: asyncpg.Connection) -> None:
    await Table(db).create()
    room, app = App(), Switch().app()
    router = APIRouter()
    router.add_api_route("/api/jobs", lambda: ["a"])
    room.add_routes(router)
    app.include(room)
    async with serving(app, database, http=True) as service:
        assert (await service.get("/api/jobs")).json() == ["a"]
