"""A project that saves itself, with a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog.testing

from handlers.projects import AsyncProjects, ProjectSync
from listener.kit.tables import TablesError
from listener.kit.tables.postgres import PostgresTables
from tests.support.harness import until


class Clock:
    """Time stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        sleeper = (self.now + seconds, asyncio.Event())
        self.sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self.sleepers.remove(sleeper)

    async def move(self, seconds: float) -> None:
        """Let time pass, and everybody act who has waited for it."""
        await self.settled()
        self.now += seconds
        for moment, wake in list(self.sleepers):
            if moment <= self.now:
                wake.set()
        await self.settled()

    async def settled(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


class Spy(AsyncProjects):
    """Notes what is written."""

    def __init__(self, tables: PostgresTables) -> None:
        super().__init__(tables)
        self.written: list[Any] = []

    async def update_project(self, project_id: str, **changes: Any) -> Any:
        self.written.append(changes)
        return await super().update_project(project_id, **changes)

    async def sync_scenes(self, project_id: str, scenes: Sequence[Any]) -> Any:
        self.written.append({"scenes": [scene["title"] for scene in scenes]})
        return await super().sync_scenes(project_id, scenes)


@pytest.fixture
async def project(installed: str, db: asyncpg.Connection) -> str:
    return str(await db.fetchval("insert into projects (title, script) values ('old', 's') returning id"))


async def test_it_writes_once_a_moment_after_the_last_change(installed: str, project: str) -> None:
    clock, spy = Clock(), Spy(PostgresTables(installed))
    reported: list[str] = []
    sync = ProjectSync(project, spy, on_status=reported.append, sleep=clock.sleep)
    assert sync.is_initial_load
    async with sync:
        assert (sync.is_initial_load, sync.project["title"]) == (False, "old")
        sync.change(title="a", script="s")
        await clock.move(1.4)
        sync.change(title="ab")
        await clock.move(1.4)
        sync.change(title="abc")
        await clock.move(1.4)
        assert spy.written == []
        await clock.move(0.2)
        await until(lambda: reported == ["saving", "saved"])
        # The script is what it was: it is not written.
        assert spy.written == [{"title": "abc"}]
        await clock.move(60)
        assert len(spy.written) == 1
        scenes: list[dict[str, Any]] = [{"title": "one"}]
        sync.change(scenes=scenes)
        scenes.append({"title": "two"})
        sync.change(scenes=scenes)
        await sync.save_now()
        assert spy.written[1:] == [{"scenes": ["one", "two"]}]
        assert all(scene["id"] for scene in sync.project["scenes"])
        with pytest.raises(TypeError, match="no colour"):
            sync.change(colour="red")
    await spy.close()


async def test_the_last_edit_is_saved_at_the_end(
    installed: str, project: str, db: asyncpg.Connection
) -> None:
    projects = AsyncProjects(PostgresTables(installed))
    async with ProjectSync(project, projects, sleep=Clock().sleep) as sync:
        sync.change(title="last words")
    assert await db.fetchval("select title from projects") == "last words"
    await projects.close()


async def test_offline_it_keeps_the_changes_and_tries_again(
    installed: str, project: str, db: asyncpg.Connection
) -> None:
    clock = Clock()
    reported: list[str] = []
    away = AsyncProjects(PostgresTables("postgresql://nobody@127.0.0.1:1/none"))
    there = AsyncProjects(PostgresTables(installed))
    async with ProjectSync(project, there, on_status=reported.append, sleep=clock.sleep) as sync:
        sync._projects = away
        sync.change(title="a")
        await clock.move(1.5)
        await until(lambda: sync.status == "offline")
        sync.change(script="b")
        sync._projects = there
        for _ in range(3):  # the pause, and the moment after the last change
            await clock.move(10)
        await until(lambda: sync.status == "saved")
        assert reported == ["saving", "offline", "saving", "saved"]
    row = await db.fetchrow("select title, script from projects")
    assert tuple(row or ()) == ("a", "b")
    await there.close()
    await away.close()


async def test_what_is_refused_is_not_lost_in_silence(
    installed: str, project: str, db: asyncpg.Connection
) -> None:
    await db.execute("alter table projects add check (title <> 'bad')")
    projects, clock = AsyncProjects(PostgresTables(installed)), Clock()

    async def edit() -> None:
        async with ProjectSync(project, projects, sleep=clock.sleep) as sync:
            sync.change(title="bad")
            await clock.move(1.5)
            await until(lambda: logs)
            assert sync.status == "offline"

    with structlog.testing.capture_logs() as logs, pytest.raises(TablesError, match="check"):
        await edit()
    with structlog.testing.capture_logs():
        async with ProjectSync(project, projects, sleep=clock.sleep) as sync:
            sync.change(title="bad", script="kept")
            with pytest.raises(TablesError):
                await sync.save_now()
            sync.change(title="good")
    row = await db.fetchrow("select title, script from projects")
    assert tuple(row or ()) == ("good", "kept")
    await projects.close()


async def test_without_a_database_it_works_in_memory_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_KEY"):
        monkeypatch.delenv(name, raising=False)
    clock = Clock()
    reported: list[str] = []
    with structlog.testing.capture_logs() as logs:
        async with ProjectSync("p", on_status=reported.append, sleep=clock.sleep) as sync:
            sync.change(title="a")
            await clock.move(2)
            await sync.save_now()
            assert (sync.project["title"], sync.status, sync.is_initial_load) == ("a", "offline", False)
    (warning,) = logs
    assert warning["event"].startswith("project is kept in memory")
    assert reported == ["offline"]
