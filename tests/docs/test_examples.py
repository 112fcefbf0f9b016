"""The handler of the README, with a real video and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import asyncpg
import pytest
from PIL import Image

from examples.thumbnails import app
from listener.config import Settings
from listener.engine.engine import Engine
from listener.kit import ffmpeg, storage

from .pages import ROOT


@pytest.fixture
async def videos(db: asyncpg.Connection, tmp_path: Path) -> Path:
    """The example's table, and the bucket that its rows speak of."""
    await db.execute((ROOT / "examples/thumbnails.sql").read_text(encoding="utf-8"))
    storage.use(storage.LocalStorage(tmp_path, "http://127.0.0.1:3001"))
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


@asynccontextmanager
async def serving(database: str) -> AsyncIterator[None]:
    engine = Engine(app, Settings.load(database_url=database, enable_health_check=False), signals=False)
    async with anyio.create_task_group() as group:
        await group.start(engine.run)
        yield
        engine.shut_down()


async def insert(db: asyncpg.Connection, path: str) -> asyncpg.Record:
    """Insert a row as an application does, and wait until it shows a final word."""
    key = await db.fetchval("insert into thumbnails (path) values ($1) returning id", path)
    with anyio.fail_after(20):
        while True:
            row = await db.fetchrow("select * from thumbnails where id = $1", key)
            assert row is not None
            if row["status"] in {"completed", "failed"}:
                return row
            await anyio.sleep(0.05)


async def test_a_row_gets_the_picture_of_its_video(
    database: str, db: asyncpg.Connection, videos: Path
) -> None:
    await ffmpeg.run(["-f", "lavfi", "-i", "color=red:s=320x180:d=1", videos / "clip.mp4"])
    async with serving(database):
        row = await insert(db, "clip.mp4")

    (picture,) = videos.parent.glob("thumbnails/*/*.jpg")
    with Image.open(picture) as image:
        assert image.size == (320, 180)
    assert (row["status"], row["progress"], row["error_message"]) == ("completed", 100, None)
    assert f"/storage/thumbnails/{picture.parent.name}/thumbnail.jpg?" in row["thumbnail_url"]


async def test_what_is_no_video_fails_with_a_sentence(
    database: str, db: asyncpg.Connection, videos: Path
) -> None:
    (videos / "notes.txt").write_text("no video")
    async with serving(database):
        row = await insert(db, "notes.txt")

    assert row["status"] == "failed"
    assert row["error_message"] == "A thumbnail needs an .mp4 or .mov, not notes.txt."


def test_the_handler_is_short() -> None:
    source = (ROOT / "examples/thumbnails.py").read_text(encoding="utf-8")

    assert len([line for line in source.splitlines() if line.strip()]) < 15
