"""Users receive their jobs' progress through Realtime, and a Realtime that can't keep up costs nobody anything."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest
from realtime import AsyncRealtimeClient

from listener import Fail, Job
from listener.database import migrate
from listener.database.model import Delivery
from listener.engine import broadcast as module
from listener.engine.broadcast import Broadcast
from tests.support.harness import Table, app_of, serving, until
from tests.support.standin.stack import Stack

AUTH = """
create schema auth;
create function auth.uid() returns uuid language sql stable as $$
  select (current_setting('request.jwt.claims', true)::jsonb->>'sub')::uuid $$;
grant usage on schema auth to authenticated;
"""
ANN, BOB = (str(uuid.UUID(int=n)) for n in (1, 2))


@pytest.fixture
async def jobs(db: asyncpg.Connection, superuser: asyncpg.Connection, has_realtime: None) -> Table:
    """Make a table whose rows have users; each may receive messages about their rows."""
    await superuser.execute(AUTH)
    for _ in range(2):
        await db.execute(migrate.preset("realtime_progress"))
    table = await Table(db).create()
    await db.execute("alter table jobs add user_id uuid")
    await table.attach()
    return table


class Browser:
    """A page of a signed-in user: what it hears, and why it was not let in, if so."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.state = ""

    def hear(self, message: Any) -> None:
        self.heard.append((message["event"], {k: v for k, v in message["payload"].items() if k != "id"}))

    def change(self, state: Any, _error: Exception | None) -> None:
        self.state = state.value


@asynccontextmanager
async def open_at(project: Stack, channel_of: str, *, user: str | None = None) -> AsyncIterator[Browser]:
    """A page at the channel of a user, signed in as that or another one."""
    client = AsyncRealtimeClient(f"{project.url}/realtime/v1", project.publishable_key)
    await client.connect()
    await client.set_auth(project.user_token(user or channel_of))
    config: Any = {"config": {"broadcast": None, "presence": None, "private": True}}
    channel = client.channel(f"listener:user:{channel_of}", config)
    browser = Browser()
    channel.on_broadcast("*", browser.hear)
    await channel.subscribe(browser.change)
    try:
        yield browser
    finally:
        channel.rejoin_timer.reset()
        await client.close()


def supabase(project: Stack) -> dict[str, Any]:
    return {
        "supabase_url": project.url,
        "supabase_service_key": project.secret_key,
        "progress_broadcast": 20,
    }


async def test_a_user_hears_of_the_own_jobs(jobs: Table, project: Stack, database: str) -> None:
    go = anyio.Event()

    async def work(job: Job) -> None:
        job.progress(40, "half way")
        await go.wait()
        if job.key == "b":
            raise Fail("no use")

    async with (
        open_at(project, ANN) as ann,
        open_at(project, BOB) as bob,
        serving(app_of(work), database, **supabase(project)),
    ):
        await jobs.add("a", user_id=ANN)
        await until(lambda: ann.heard)
        assert ann.heard == [
            ("progress", {"queue": "jobs", "key": "a", "percent": 40, "message": "half way"})
        ]
        go.set()
        await until(lambda: len(ann.heard) == 2)
        assert ann.heard[1] == ("finished", {"queue": "jobs", "key": "a", "outcome": "completed"})
        await jobs.add("b", user_id=BOB)
        await until(lambda: ("finished", {"queue": "jobs", "key": "b", "outcome": "failed"}) in bob.heard)
        assert {news["key"] for _, news in ann.heard} == {"a"}


async def test_nobody_hears_of_the_jobs_of_others(jobs: Table, project: Stack) -> None:
    async with open_at(project, ANN, user=BOB) as bob, open_at(project, BOB) as let_in:
        assert (bob.state, let_in.state) == ("CHANNEL_ERROR", "SUBSCRIBED")


def delivery(key: str, tenant: Any = ANN) -> Delivery:
    return Delivery(
        1, "jobs", key, 1, 1, 3, {"id": key, "user_id": tenant}, None, None, 0, 0.0, 0.0, "insert"
    )


@asynccontextmanager
async def telling(project: Stack, rate: int = 20) -> AsyncIterator[Broadcast]:
    broadcast = Broadcast(project.url, project.secret_key, rate=rate, tenant_column=lambda _: "user_id")
    async with anyio.create_task_group() as group:
        group.start_soon(broadcast.run)
        yield broadcast
        group.cancel_scope.cancel()


def posts(project: Stack) -> int:
    return project.requests.count("POST /realtime/v1/api/broadcast")


async def test_of_one_job_only_the_latest_is_told_and_not_too_much_at_once(
    jobs: Table, project: Stack
) -> None:
    async with open_at(project, ANN) as ann, telling(project, rate=8) as broadcast:
        began = time.monotonic()
        for percent in range(100):
            broadcast.publish(delivery("a"), "progress", {"percent": percent})
        for n in range(6):
            broadcast.publish(delivery(f"job {n}"), "progress", {"percent": 0})
        await until(lambda: len(ann.heard) == 7)
        # Two at once, and then two each quarter of a second.
        assert time.monotonic() - began > 0.7
        assert posts(project) == 4
        assert ann.heard[0][1]["percent"] == 99


async def test_while_realtime_is_away_little_is_kept(
    jobs: Table, project: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    monkeypatch.setattr(module, "delays", lambda most: iter([0.05] * 1000))
    refused = project.faults.add("POST /realtime/v1/api/broadcast", times=1000, status=503)
    async with open_at(project, ANN) as ann, telling(project) as broadcast:
        broadcast.publish(delivery("first"), "progress", {})
        await refused.happened.wait()
        for n in range(20):
            broadcast.publish(delivery(f"job {n}"), "progress", {})
        project.faults.clear()
        await until(lambda: len(ann.heard) == 3)
        assert [news["key"] for _, news in ann.heard] == ["job 17", "job 18", "job 19"]


async def test_a_realtime_that_is_asked_too_much_is_asked_less(
    jobs: Table, project: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIN_PAUSE", 0.01)
    monkeypatch.setattr(module, "delays", lambda most: iter([0.2, 3600.0]))
    project.faults.add("POST /realtime/v1/api/broadcast", times=1000, status=429)
    async with telling(project, rate=1000) as broadcast:
        broadcast.publish(delivery("a"), "progress", {})
        await until(lambda: posts(project) == 1)
        broadcast.publish(delivery("a"), "progress", {})
        began = time.monotonic()
        await until(lambda: posts(project) == 2)
        assert time.monotonic() - began > 0.1
        broadcast.publish(delivery("a"), "progress", {})
        with anyio.move_on_after(0.3):
            await until(lambda: posts(project) == 3)
        assert posts(project) == 2


async def test_a_key_that_was_changed_is_followed(project: Stack, workdir: Path) -> None:
    async with telling(project) as broadcast:
        project.rotate(workdir)
        broadcast.publish(delivery("a"), "progress", {})
        await until(lambda: project.realtime.posted)


@pytest.mark.parametrize("tenant", [None, "", "a:b", "x" * 101, {"a": 1}])
async def test_a_job_of_nobody_is_told_to_nobody(project: Stack, tenant: Any) -> None:
    async with telling(project) as broadcast:
        broadcast.publish(delivery("a", tenant), "progress", {})
        broadcast.publish(delivery("b"), "progress", {})
        posted = project.realtime.posted
        await until(lambda: posted)
        assert [message["payload"]["key"] for message in posted] == ["b"]
