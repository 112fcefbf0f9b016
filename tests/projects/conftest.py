"""The tables of projects in the test's database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import asyncpg
import pytest

from handlers.projects import AsyncProjects
from listener.database import migrate
from listener.kit import ffmpeg
from listener.kit.storage import LocalStorage
from listener.kit.tables.postgres import PostgresTables
from listener.kit.tables.rest import RestTables
from tests.support.standin.stack import running


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `red.mp4` and `blue.mp4`, 2 s of 320 × 180, the red one with a tone, and `music.mp3`, 3 s."""
    folder = tmp_path_factory.mktemp("media")

    async def make() -> None:
        encode = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"]
        tone = ["-f", "lavfi", "-i", "sine=f=440:d=2"]
        for colour, sound in (("red", tone), ("blue", [])):
            picture = ["-f", "lavfi", "-i", f"color={colour}:s=320x180:d=2:r=25"]
            await ffmpeg.run([*picture, *sound, *encode, folder / f"{colour}.mp4"])
        await ffmpeg.run(["-f", "lavfi", "-i", "sine=f=880:d=3", folder / "music.mp3"])

    anyio.run(make)
    return folder


@pytest.fixture
async def installed(db: asyncpg.Connection, database: str) -> str:
    for preset in ("supabase_shim", "projects", "projects"):
        await db.execute(migrate.preset(preset))
    return database


@pytest.fixture(params=["postgres", "rest"])
async def projects(
    request: pytest.FixtureRequest, installed: str, tmp_path: Path
) -> AsyncIterator[AsyncProjects]:
    """Over each way to the tables, with the service's rights."""
    files = LocalStorage(tmp_path / "files", "http://127.0.0.1:3001")
    if request.param == "postgres":
        made = AsyncProjects(PostgresTables(installed), files)
        yield made
        await made.close()
        return
    async with running(installed) as project:
        made = AsyncProjects(RestTables(project.url, project.secret_key), files)
        yield made
        await made.close()
