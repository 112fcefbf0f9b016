"""`listener demo`: a row of `export_jobs` becomes a film, with everything that this needs on board."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from handlers.export import handler
from handlers.export.sample import Sample, make_sample
from listener import log
from listener.kit import media, storage
from listener.testing import Stage, stage

FOLDER = Path(".demo")
PATIENCE = 300.0
FINAL = {"completed", "failed"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How the job went; times in seconds, by the database's clock."""

    url: str | None
    error: str | None
    insert_to_start: float
    start_to_done: float
    warnings: list[str]


def main() -> int:
    """Run the demonstration; 0 only when the film was probed and is right."""
    console = Console(highlight=False, soft_wrap=True)
    log.configure("error")
    FOLDER.mkdir(exist_ok=True)
    film = (FOLDER / "export.mp4").resolve()
    film.unlink(missing_ok=True)
    console.print("[bold]A row inserted into export_jobs becomes a film[/bold]")
    problem = anyio.run(_demonstrate, film, console)
    if problem:
        console.print(f"[red]export failed: {problem}[/red]")
        return 1
    console.print("Go on: [bold]make dev[/bold] keeps it running; README.md takes you to your own database.")
    print(f"export completed: {film}")
    return 0


async def _demonstrate(film: Path, console: Console) -> str | None:
    user, job = str(uuid.uuid4()), str(uuid.uuid4())
    async with stage(handler.app, FOLDER / "storage", presets=("supabase_shim", "export_jobs")) as service:
        console.print(
            "  Postgres is up, for as long as this takes: export_jobs is attached, its policies are on"
        )
        console.print(f"  service is up at {service.address}/health")
        sample = await _upload(service.files, user, job)
        console.print("  two videos, music, a picture and the timeline of an OpenCut project are uploaded")
        await _insert(service, user, job, sample)
        ended = await _follow(service.connection, job, console)
        problem = ended.error or await _fetch(str(ended.url), film, sample)
    if problem is None:
        await _report(ended, film, console)
    return problem


async def _upload(files: storage.Storage, user: str, job: str) -> Sample:
    folder = (FOLDER / "media").absolute()
    folder.mkdir(exist_ok=True)
    sample = await make_sample(folder, prefix=f"{user}/media/")
    for path in sample.files:
        await files.upload(handler.TIMELINES, path, f"{user}/media/{path.name}")
    timeline = folder / "timeline.json"
    timeline.write_text(json.dumps(sample.timeline))
    await files.upload(handler.TIMELINES, timeline, f"{user}/{job}/timeline.json")
    return sample


async def _insert(service: Stage, user: str, job: str, sample: Sample) -> None:
    """As a browser would: in the user's role, through the policies of the table."""
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
    # Elsewhere than on a terminal a bar would be a page of control characters.
    shown = -1
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as bars,
        anyio.fail_after(PATIENCE),
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


async def _fetch(url: str, film: Path, sample: Sample) -> str | None:
    """Download the film as a browser would, and measure it; answers what is wrong with it."""
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as answer:
        if answer.status_code != httpx.codes.OK:
            return f"the download answered {answer.status_code}"
        async with await anyio.open_file(film, "wb") as file:
            async for chunk in answer.aiter_bytes():
                await file.write(chunk)
    probed = await media.probe(film, count_frames=True)
    expected = sample.seconds * sample.fps
    if probed.video is None or probed.audio is None:
        return "the film lacks its picture or its sound"
    if (probed.video.width, probed.video.height) != (sample.width, sample.height):
        return f"the film is {probed.video.width}×{probed.video.height}, not {sample.width}×{sample.height}"
    if abs((probed.video.frames or 0) - expected) > 1:
        return f"the film has {probed.video.frames} frames, not {expected}"
    return None


async def _report(ended: Ended, film: Path, console: Console) -> None:
    probed = await media.probe(film, count_frames=True)
    if probed.video is None or probed.duration is None:
        raise media.MediaError("the film can't be measured")
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("insert → start", f"{ended.insert_to_start * 1000:.1f} ms")
    table.add_row("start → done", f"{ended.start_to_done:.1f} s")
    size = (await anyio.Path(film).stat()).st_size
    table.add_row("size", f"{size / 1e6:.1f} MB, {probed.video.width}×{probed.video.height}")
    table.add_row("duration", f"{float(probed.duration):.2f} s, {probed.video.frames} frames")
    for warning in ended.warnings:
        table.add_row("warning", warning)
    console.print(table)
