"""The dashboard: its data, its callers, how often it queries the database, and its errors."""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import asyncpg
import httpx
import pytest

from listener.config import Settings
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.metrics import Metrics
from listener.web import Status, create_app, dashboard, readings
from tests.support.harness import Service, Switch, Table, serving, until

from .webtools import Clock

TOKEN = "a-token-of-some-length"
ROUTES = ["/api/v1/overview", "/api/v1/stuck", "/api/v1/job?queue=jobs&key=a", "/api/v1/events"]
WEIRD = [
    "<img src=x onerror=alert(1)>",
    "it's $(rm -rf ~)",
    "--failed",
    "a/b?c=d&e#f",
    "ключ \u202e",
    "\x1b[201~\x03",
]

# Counts how often the overview is read.
COUNTED = """
create sequence looked minvalue 0 start 0;
create or replace function listener.overview(most int default 20) returns jsonb language sql
return (select listener.stats() || listener.foremost(most) || jsonb_build_object('looked', nextval('looked')))
"""

Ask = Callable[..., Any]


@pytest.fixture
def ask(status: Status) -> Ask:
    """`await ask(path, answer, **settings)` asks a service whose database answers, or raises, this."""

    async def ask(path: str, answer: Any = None, **settings: Any) -> httpx.Response:
        async def database(_question: readings.Question, _patience: float) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        chosen = Settings.load(**settings)
        looks = dashboard.routes(status, database)
        app = create_app(chosen, status, Metrics(), [looks], [dashboard.page()])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    return ask


@asynccontextmanager
async def watching(service: Service) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """The events that a viewer gets."""

    async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
        name = ""
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)

    address = f"http://127.0.0.1:{service.port}/api/v1/events"
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", address) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)


@pytest.mark.parametrize("path", ["/dashboard", "/test-worker"])
async def test_the_page_is_open_holds_nothing_and_runs_only_its_own_scripts(ask: Ask, path: str) -> None:
    elsewhere = await ask(path, host="0.0.0.0", api_token=TOKEN)

    assert elsewhere.status_code == 200
    assert "script-src 'self'" in elsewhere.headers["content-security-policy"]
    assert "unsafe" not in elsewhere.headers["content-security-policy"]
    assert not re.search(r"<script(?! type=\"module\" src=)|<style|style=|\son\w+=", elsewhere.text)
    parts = re.findall(r'(?:src|href)="(dashboard/[^"]+)"', elsewhere.text)
    assert len(parts) == 3
    script = (await ask("/dashboard/dashboard.js")).text
    for part in [*parts, *(f"dashboard/{name}" for name in re.findall(r"from '\./(.+?)'", script))]:
        assert (await ask(f"/{part}", host="0.0.0.0", api_token=TOKEN)).status_code == 200, part
    assert (await ask("/dashboard/..%2fapp.py")).status_code == 404


@pytest.mark.parametrize("path", ROUTES)
async def test_what_is_behind_it_is_guarded(ask: Ask, path: str) -> None:
    answer = await ask(path, host="0.0.0.0", api_token=TOKEN)

    assert answer.status_code == 401
    assert answer.json() == {"error": "Send the service's API_TOKEN as `Authorization: Bearer …`."}


async def test_what_is_wrong_is_said_in_a_sentence(ask: Ask, clock: Clock, status: Status) -> None:
    async def said(answer: Any = None) -> str:
        refused = await ask("/api/v1/overview", answer)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        return str(refused.json()["error"])

    assert await said(TimeoutError()) == "The database did not respond within 4 s."
    assert await said(DatabaseUnavailable("the database can't be reached (no route)")) == (
        "The database can't be reached (no route)."
    )
    assert await said(DatabaseError("permission denied", sqlstate="42501", hint="Grant it.")) == (
        "Permission denied. Grant it."
    )
    clock.now += 5
    assert await said() == "The main loop has been blocked for 5 s, most likely by a handler."
    status.beat()
    status.connected = False
    clock.now += 1
    assert await said() == "The database has not responded for 1 s."


async def test_it_shows_what_runs_what_is_overdue_and_each_job(database: str, db: asyncpg.Connection) -> None:
    jobs = await Table(db).create()
    switch = Switch()
    async with serving(switch.app(), database, http=True) as service:
        await jobs.add("a", url="https://private.example.com")
        await switch.has_started()
        await jobs.add(*WEIRD)
        await db.execute(
            "update listener.delivery set state = 'broken', error = 'no such column' where job_key = $1",
            WEIRD[0],
        )

        seen = (await service.get("/api/v1/overview")).json()
        (stuck,) = (await service.get("/api/v1/stuck")).json()["stuck"]
        one = (await service.get("/api/v1/job?queue=jobs&key=a")).json()
        typed = {}
        for key in WEIRD:
            path = str(httpx.URL("/api/v1/job", params={"queue": "jobs", "key": key}))
            typed[key] = (await service.get(path)).json()["commands"]
        unknown = await service.get("/api/v1/job?queue=jobs&key=none%00")
        nowhere = await service.get("/api/v1/job?queue=none&key=a")
        switch.go.set()

    assert [job["key"] for job in seen["running"]] == ["a"]
    assert (seen["service"]["status"], seen["service"]["worker_id"]) == ("healthy", service.engine.worker_id)
    assert (stuck["key"], stuck["because"], stuck["error"]) == (
        WEIRD[0],
        "the database refuses to change its row",
        "no such column",
    )
    assert shlex.split(stuck["command"]) == ["listener", "requeue", "jobs", WEIRD[0]]
    assert one["delivery"]["worker"] == service.engine.worker_id
    assert one["commands"] == ["listener cancel jobs a"]
    assert "private" not in json.dumps(one)
    for key in WEIRD[:4]:
        (line,) = [line for line in typed[key] if " cancel " in line]
        assert [word for word in shlex.split(line) if word != "--"] == ["listener", "cancel", "jobs", key]
    assert typed["--failed"] == ["listener cancel -- jobs --failed"]
    assert [typed[key] for key in WEIRD[4:]] == [[], []], "no terminal should get these"
    assert (unknown.status_code, nowhere.status_code) == (404, 404)
    assert nowhere.json() == {"error": "There is no queue 'none'. The queues are jobs."}


async def test_however_many_look_the_database_is_read_once(
    database: str, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "SECOND", 0.2)
    await Table(db).create()
    await db.execute(COUNTED)
    heard: list[list[int]] = [[], []]
    async with serving(Switch().app(), database, http=True) as service:

        async def look(seen: list[int]) -> None:
            async with watching(service) as events:
                async for name, data in events:
                    assert name == "overview"
                    seen.append(data["looked"])
                    if len(seen) == 4:
                        return

        async with anyio.create_task_group() as viewers:
            for seen in heard:
                viewers.start_soon(look, seen)
        assert set(heard[0]) & set(heard[1]), "both saw the same reading"
        assert len({*heard[0], *heard[1]}) <= 6

        # The service notices at the next event that a viewer has left.
        before = -1
        with anyio.fail_after(10):
            while before != (before := await db.fetchval("select last_value from looked")):  # noqa: ASYNC110
                await anyio.sleep(0.5)


async def test_a_database_that_does_not_answer_is_told_and_gone_on_with(
    database: str, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "ANSWER_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(readings, "SECOND", 0.1)
    await Table(db).create()
    async with serving(Switch().app(), database, http=True) as service, watching(service) as events:
        assert (await anext(events))[0] == "overview"
        async with db.transaction():
            await db.execute("lock table listener.delivery in access exclusive mode")
            while (event := await anext(events))[0] == "overview":
                pass
            name, data = event
            assert (name, data["error"]) == ("problem", "The database did not respond within 0.3 s.")
            assert data["service"]["worker_id"] == service.engine.worker_id
        while (await anext(events))[0] == "problem":
            pass


async def test_a_service_that_stops_does_not_wait_for_viewers(
    database: str, db: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await Table(db).create()
    async with serving(Switch().app(), database, http=True) as service, watching(service) as events:
        await anext(events)
        service.engine.shut_down()
        async for _ in events:
            pass
        await until(lambda: service.engine.status.closing)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
