"""A project becomes a film of its clips."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import httpx
import pytest

from handlers.projects import AsyncProjects, handler
from listener.kit import ffmpeg, storage, tables
from listener.kit import media as kit_media
from listener.testing import Harness, running_app
from tests.support.harness import until


@dataclass
class Studio:
    harness: Harness
    projects: AsyncProjects
    project: str
    media: Path

    async def add(self, name: str, **trims: Any) -> str:
        """A clip at the end of the project; returns its id."""
        url = await self.projects.upload_video_clip(self.project, None, self.media / f"{name}.mp4")
        row = await self.projects.save_clip_record(self.project, None, "pika", url, name)
        await self.projects.save_clip({"id": row["id"], "status": "ready", **trims})
        return str(row["id"])

    async def export(self, resolution: str | None = None) -> asyncpg.Record:
        """Ask for a film; returns its row when it is over."""
        export = await self.projects.request_export(self.project, resolution)
        over = "select * from exports where id = $1 and status in ('completed', 'failed')"
        row: asyncpg.Record = await until(lambda: self.harness.connection.fetchrow(over, export["id"]), 30)
        return row


Open = Callable[[], AbstractAsyncContextManager[Studio]]


@pytest.fixture
def studio(tmp_path: Path, database: str, media: Path) -> Open:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Studio]:
        async with running_app(
            handler.app, tmp_path / "files", presets=("supabase_shim", "projects"), database_url=database
        ) as made:
            projects = AsyncProjects(tables.current())
            project = (await projects.create_project(settings={"fps": 25}))["id"]
            yield Studio(made, projects, project, media)

    return opened


async def fetched(url: str, target: Path) -> Path:
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(url)
    assert answer.status_code == 200
    await anyio.Path(target).write_bytes(answer.content)
    return target


async def colour(film: Path, at: float) -> str:
    """Whether a moment of a film is red or blue, in its middle."""
    raw = film.with_name("pixel.raw")
    one = ["-frames:v", "1", "-vf", "crop=2:2,scale=1:1", "-pix_fmt", "rgb24", "-f", "rawvideo"]
    await ffmpeg.run(["-ss", f"{at}", "-i", film, *one, raw])
    red, _, blue = raw.read_bytes()[:3]
    return "red" if red > blue else "blue"


async def test_clips_follow_each_other_as_they_are_trimmed(studio: Open, tmp_path: Path) -> None:
    async with studio() as room:
        await room.add("red", start_trim=0.5, end_trim=1.5)
        last = await room.add("blue", end_trim=100)
        first = await room.add("blue", start_trim=1.6)
        await room.projects.reorder_clips(room.project, [first])
        sound = await room.projects.upload_audio(room.project, room.media / "music.mp3")
        await room.projects.save_audio_file(room.project, sound, "music", start_time=2.4, volume=0.5)
        row = await room.export()
        assert (row["status"], row["error"], row["resolution"]) == ("completed", None, "320x180")
        # 0.4 s of blue, 1 s of red, 2 s of blue.
        assert float(row["duration"]) == pytest.approx(3.4)
        film = await fetched(row["file_url"], tmp_path / "film.mp4")
        found = await kit_media.probe(film, count_frames=True)
        assert found.video is not None
        assert found.audio is not None
        assert found.video.frames == 85
        assert [await colour(film, at) for at in (0.2, 0.5, 1.3, 1.5)] == ["blue", "red", "red", "blue"]
        assert row["storage_key"].startswith(f"projects/{room.project}/final/{row['id']}/")
        loaded = await room.projects.load_project(room.project)
        assert loaded["exports"][0]["file_url"].partition("?")[0] == row["file_url"].partition("?")[0]
        assert last == loaded["clips"][-1]["id"]


CASES: list[tuple[dict[str, Any] | None, str | None, str]] = [
    (None, None, "The project has no clips."),
    ({"start_trim": 3}, None, "Nothing is left of the clip “red”: it is shown from 3 s on, and ends at 2 s."),
    ({}, "huge", "'huge' is not a resolution; write 1280x720 or 720p."),
    ({}, "9999x9998", "A film is 16 to 4096 pixels wide and high, not 9999 × 9998."),
    ({"storage_key": None, "file_url": None}, None, "“red” has no file yet."),
    ({"storage_key": None, "file_url": "http://10.0.0.1/a.mp4"}, None, "“red” could not be fetched"),
    ({"storage_key": "projects/{}/clips/gone.mp4"}, None, "“red” is not in the storage"),
]


async def test_what_can_not_be_rendered_says_why(studio: Open) -> None:
    async with studio() as room:
        for clip, resolution, says in CASES:
            room.project = (await room.projects.create_project())["id"]
            if clip is not None:
                key = clip.get("storage_key")
                await room.add("red", **clip | ({"storage_key": key.format(room.project)} if key else {}))
            row = await room.export(resolution)
            assert (says, row["status"]) == (says, "failed")
            assert says in row["error"]


async def test_a_clip_that_is_too_large_is_not_fetched(studio: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "MAX_FILE_GB", 0)
    async with studio() as room:
        await room.add("red")
        row = await room.export()
        assert (row["status"], row["error"]) == ("failed", "“red” is larger than 0 GB, the limit.")


async def test_a_film_that_came_ready_is_left_alone(studio: Open) -> None:
    async with studio() as room:
        await room.projects.save_export(room.project, "https://example.com/film.mp4")
        assert await room.harness.connection.fetchval("select count(*) from listener.delivery") == 0
        assert storage.current() is room.harness.files
