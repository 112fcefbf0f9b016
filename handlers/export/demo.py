"""`listener demo`: insert a row into `export_jobs` and wait for its film, with an embedded Postgres and storage."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import asyncpg
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from handlers.export import handler
from handlers.export.sample import Sample, make_sample
from listener.kit import media, storage
from listener.testing import DemoFailed, Harness, download, running_app

TITLE = "A row inserted into export_jobs becomes a film"
MAX_WAIT_SECONDS = 300.0
FINAL = {"completed", "failed"}


@dataclass(frozen=True, slots=True)
class Ended:
    """The outcome of the job; times in seconds, by the database's clock."""

    url: str | None
    error: str | None
    insert_to_start: float
    start_to_done: float
    warnings: list[str]


async def show(folder: Path, console: Console) -> str:
    """Run the demonstration, probe the film, and return its path."""
    user, job = str(uuid.uuid4()), str(uuid.uuid4())
    async with running_app(
        handler.app, folder / "storage", presets=("supabase_shim", "export_jobs")
    ) as service:
        console.print(
            "  Postgres is up, for as long as this takes: export_jobs is attached, its policies are on"
        )
        console.print(f"  service is up; its dashboard: {service.address}/dashboard")
        sample = await _upload(folder / "media", service.files, user, job)
        console.print("  two videos, music, a picture and the timeline of an OpenCut project are uploaded")
        await _insert(service, user, job, sample)
        ended = await _follow(service.connection, job, console)
        if ended.error:
            raise DemoFailed(ended.error)
        film = await download(str(ended.url), folder / "export.mp4")
    await _report(ended, film, sample, console)
    console.print("Go on: [bold]make dev[/bold] keeps it running; README.md takes you to your own database.")
    return str(film)


async def _upload(folder: Path, files: storage.Storage, user: str, job: str) -> Sample:
    await anyio.Path(folder).mkdir(exist_ok=True)
    sample = await make_sample(folder, prefix=f"{user}/media/")
    for path in sample.files:
        await files.upload(handler.TIMELINES, path, f"{user}/media/{path.name}")
    timeline = folder / "timeline.json"
    timeline.write_text(json.dumps(sample.timeline))
    await files.upload(handler.TIMELINES, timeline, f"{user}/{job}/timeline.json")
    return sample


async def _insert(service: Harness, user: str, job: str, sample: Sample) -> None:
    """Insert as a browser does: in the user's role, under the policies of the table."""
    async with service.acting_as(user) as connection:
        await connection.execute(
            "insert into export_jobs (id, user_id, project_id, status, width, height, fps, duration)"
            " values ($1, $2, $3, 'queued', $4, $5, $6, $7)",
            job,
            user,
            str(uuid.uuid4()),
            sample.width,
            sample.height,
            sample.fps,
            float(sample.seconds),
        )


async def _follow(connection: asyncpg.Connection, job: str, console: Console) -> Ended:
    columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    # If the output is no terminal, a bar would be a page of control characters.
    shown = -1
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as bars,
        anyio.fail_after(MAX_WAIT_SECONDS),
    ):
        bar = bars.add_task("export_jobs: queued", total=100)
        while True:
            row: Any = await connection.fetchrow(
                "select status, progress from export_jobs where id = $1", job
            )
            bars.update(bar, description=f"export_jobs: {row['status']}", completed=row["progress"])
            if not console.is_terminal and row["progress"] >= shown + 10:
                shown = row["progress"]
                console.print(f"  export_jobs: {row['status']} {shown} %")
            if row["status"] in FINAL:
                break
            await anyio.sleep(0.1)
    ended: Any = await connection.fetchrow(
        "select j.download_url, j.error_message, t.warnings,"
        " t.started_at - j.created_at as waited, t.finished_at - t.started_at as ran"
        " from export_jobs as j, listener.attempt as t"
        " where j.id = $1 and t.job_key = j.id::text order by t.id desc limit 1",
        job,
    )
    waited: timedelta = ended["waited"]
    ran: timedelta = ended["ran"]
    warnings = json.loads(ended["warnings"] or "[]")
    return Ended(
        ended["download_url"], ended["error_message"], waited.total_seconds(), ran.total_seconds(), warnings
    )


async def _measured(film: Path, sample: Sample) -> str:
    found = await media.probe(film, count_frames=True)
    expected = sample.seconds * sample.fps
    if found.video is None or found.audio is None or found.duration is None:
        raise DemoFailed("the film lacks its picture or its sound")
    if (found.video.width, found.video.height) != (sample.width, sample.height):
        raise DemoFailed(
            f"the film is {found.video.width}×{found.video.height}, not {sample.width}×{sample.height}"
        )
    if abs((found.video.frames or 0) - expected) > 1:
        raise DemoFailed(f"the film has {found.video.frames} frames, not {expected}")
    return f"{float(found.duration):.2f} s, {found.video.frames} frames"


async def _report(ended: Ended, film: Path, sample: Sample, console: Console) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("insert → start", f"{ended.insert_to_start * 1000:.1f} ms")
    table.add_row("start → done", f"{ended.start_to_done:.1f} s")
    size = (await anyio.Path(film).stat()).st_size
    table.add_row("size", f"{size / 1e6:.1f} MB, {sample.width}×{sample.height}")
    table.add_row("duration", await _measured(film, sample))
    for warning in ended.warnings:
        table.add_row("warning", warning)
    console.print(table)
