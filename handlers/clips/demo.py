"""`listener demo clips`: three prompts become clips, and these a film, without any set-up."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import anyio
import asyncpg
from rich.console import Console
from rich.table import Table

from handlers import projects
from handlers.clips.handler import app as clips
from listener import App
from listener.kit import media
from listener.testing import DemoFailed, Harness, download, running_app

TITLE = "Three prompts become clips, and the clips a film"
TIMEOUT_SECONDS = 240.0
PROMPTS = (
    "A lighthouse at dawn, gulls above a calm sea",
    "A red fox crosses a frozen river while snow falls",
    "City lights in the rain, seen from a slow tram",
)
SECONDS, FPS, WIDTH, HEIGHT = 3, 30, 1280, 720


async def show(folder: Path, console: Console) -> str:
    """Run the demonstration, probe film, clips and thumbnails, and return the path of the film."""
    # A demonstration must not pay a provider, even if one is configured.
    os.environ["CLIPS_PROVIDER"] = "synthetic"
    app = App()
    app.include(clips)
    app.include(projects.app)
    presets = ("supabase_shim", "projects", "clip_jobs")
    async with running_app(app, folder / "storage", presets=presets) as made:
        console.print(f"  Postgres and service are up; their dashboard: {made.address}/dashboard")
        user = str(uuid.uuid4())
        with anyio.fail_after(TIMEOUT_SECONDS):
            project = await _order(made, user)
            console.print("  a user's project, and three rows in clip_jobs, each with a prompt")
            rows = await _made(made, console)
            export = await _ask_for_film(made, user, project)
            ended = await _over(made.connection, "exports", export, ("completed", "failed"))
        if ended["status"] != "completed":
            raise DemoFailed(ended["error"])
        console.print("  exports: completed, the clips in their order")
        film = await download(ended["file_url"], folder / "clips.mp4")
        table = Table(box=None, padding=(0, 2))
        for title in ("prompt", "clip", "thumbnail"):
            table.add_column(title)
        for row in rows:
            table.add_row(row["prompt"], *await _looked_into(folder, row))
        table.add_row("the film", await _film(film), "")
        console.print(table)
    return str(film)


async def _order(made: Harness, user: str) -> str:
    """Insert the rows as a browser would, in the user's role and under the policies of the tables."""
    async with made.acting_as(user) as browser:
        project: uuid.UUID = await browser.fetchval(
            "insert into projects (title) values ('A journey') returning id"
        )
        for prompt in PROMPTS:
            await browser.execute(
                "insert into clip_jobs (project_id, prompt, duration) values ($1, $2, $3)",
                project,
                prompt,
                SECONDS,
            )
    return str(project)


async def _made(made: Harness, console: Console) -> list[asyncpg.Record]:
    rows = []
    for prompt in PROMPTS:
        key = await made.connection.fetchval("select id from clip_jobs where prompt = $1", prompt)
        row = await _over(made.connection, "clip_jobs", str(key), ("success", "error"))
        console.print(f"  clip_jobs: {row['status']}, {prompt}")
        if row["status"] != "success":
            raise DemoFailed(row["error"])
        rows.append(row)
    return rows


async def _ask_for_film(made: Harness, user: str, project: str) -> str:
    async with made.acting_as(user) as browser:
        clips = await browser.fetch("select id, prompt from clips where project_id = $1", project)
        wanted = [clip["id"] for clip in sorted(clips, key=lambda clip: PROMPTS.index(clip["prompt"]))]
        await browser.execute("select reorder_clips($1, $2)", project, wanted)
        return str(
            await browser.fetchval("insert into exports (project_id) values ($1) returning id", project)
        )


async def _over(connection: asyncpg.Connection, table: str, key: str, words: tuple[str, ...]) -> Any:
    while True:
        row = await connection.fetchrow(f"select * from {table} where id = $1", key)  # noqa: S608
        if row is not None and row["status"] in words:
            return row
        await anyio.sleep(0.1)


async def _looked_into(folder: Path, row: asyncpg.Record) -> tuple[str, str]:
    clip = await media.probe(await download(row["file_url"], folder / "clip.mp4"), count_frames=True)
    thumbnail = await media.probe(await download(row["thumbnail_url"], folder / "clip.jpg"))
    if clip.video is None or clip.audio is None or (clip.video.width, clip.video.height) != (WIDTH, HEIGHT):
        raise DemoFailed(f"the clip of {row['prompt']!r} is not {WIDTH}×{HEIGHT} with sound")
    if clip.duration != SECONDS:
        raise DemoFailed(f"the clip of {row['prompt']!r} does not last {SECONDS} s")
    if thumbnail.video is None or not thumbnail.video.is_image:
        raise DemoFailed(f"the thumbnail of {row['prompt']!r} is no picture")
    return _size(clip), f"{thumbnail.video.width}×{thumbnail.video.height}"


async def _film(film: Path) -> str:
    found = await media.probe(film, count_frames=True)
    expected = len(PROMPTS) * SECONDS * FPS
    if found.video is None or found.audio is None or abs((found.video.frames or 0) - expected) > 1:
        raise DemoFailed(f"the film has not {expected} frames with sound")
    if (found.video.width, found.video.height) != (WIDTH, HEIGHT):
        raise DemoFailed(f"the film is {found.video.width}×{found.video.height}, not {WIDTH}×{HEIGHT}")
    return _size(found)


def _size(found: media.Media) -> str:
    shown = f"{found.video.width}×{found.video.height}" if found.video else "no picture"
    return f"{float(found.duration or 0):.2f} s, {shown}"
