"""`listener demo briefs`: four briefs go through their pipelines, without any set-up."""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from handlers import briefs
from handlers.briefs.step import BUCKET
from listener.kit import ffmpeg, media
from listener.testing import DemoFailed, Harness, download, running_app

TITLE = "A brief becomes a film, step by step, each step a job"
TIMEOUT_SECONDS = 240.0
FINAL = {"completed", "failed", "cancelled"}
OLD = "an older worker"

TEXT = (
    "Bees visit flowers for nectar. On the way they carry pollen from one flower to the next. "
    "A third of what we eat depends on that. "
    "Plant flowers that bloom from spring to autumn, and leave some wood to nest in."
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A brief that has ended, and its steps: (type, who did it, seconds)."""

    row: asyncpg.Record
    steps: list[tuple[str, str, float]]


async def show(folder: Path, console: Console) -> str:
    """Run the demonstration, probe each brief's film, and return a summary."""
    token = secrets.token_urlsafe()
    presets = "supabase_shim", "briefs"
    async with running_app(briefs.app, folder / "storage", presets=presets, api_token=token) as made:
        console.print(f"  service is up; its dashboard: {made.address}/dashboard")
        user = str(uuid.uuid4())
        await made.connection.execute("insert into auth.users (id) values ($1)", user)
        assets = await _upload(folder / "assets", made, user)
        console.print("  a video, two pictures and a sound are uploaded")
        await made.connection.execute("select listener.pause('jobs/text_analysis')")
        ids = await _ask(made, token, user, assets)
        console.print(
            "  four briefs are posted to /api/briefs; an older worker does text_analysis by claim_job()"
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_work_as_of_old, made.database_url)
            ended = await _follow(made, ids, console)
            tasks.cancel_scope.cancel()
        for brief in ended.values():
            await _check(folder, brief)
    _report(ended, console)
    return "four films, each step done once"


async def _upload(folder: Path, made: Harness, user: str) -> dict[str, list[str]]:
    await anyio.Path(folder).mkdir(exist_ok=True)
    sources = {
        "a.mp4": ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=2", "-f", "lavfi", "-i", "sine=440:d=2"],
        "a.png": ["-f", "lavfi", "-i", "mandelbrot=s=800x600", "-frames:v", "1"],
        "b.jpg": ["-f", "lavfi", "-i", "gradients=s=400x700", "-frames:v", "1", "-update", "1"],
        "a.wav": ["-f", "lavfi", "-i", "aevalsrc='0.4*sin(500*t*t)':d=4"],
    }
    keys = {}
    for name, arguments in sources.items():
        path = (folder / name).resolve()
        await ffmpeg.run([*arguments, "-y", path])
        keys[name] = f"{user}/uploads/{name}"
        await made.files.upload(BUCKET, path, keys[name])
    return {
        "video": [keys["a.mp4"]],
        "image": [keys["a.png"], keys["b.jpg"]],
        "audio": [keys["a.wav"]],
        "text": [],
    }


async def _ask(made: Harness, token: str, user: str, assets: dict[str, list[str]]) -> dict[str, str]:
    queries = {
        "video": "Generate a 2 second video about bees",
        "image": "Make a square slideshow of these pictures",
        "audio": "Show this sound as a film",
        "text": TEXT,
    }
    ids = {}
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=made.address, trust_env=False, headers=headers) as client:
        for media_type, query in queries.items():
            brief = {
                "user_id": user,
                "title": f"Bees as {media_type}",
                "query": query,
                "media_type": media_type,
            }
            options = {"use_pipeline": True, "metadata": {"assets": assets[media_type]}}
            answer = await client.post("/api/briefs", json={**brief, **options})
            answer.raise_for_status()
            ids[media_type] = answer.json()["brief"]["id"]
    return ids


async def _work_as_of_old(url: str) -> None:
    """Work as a program that does not know this service."""
    connection = await asyncpg.connect(url)
    try:
        while True:
            job = await connection.fetchrow("select * from claim_job($1, '{text_analysis}')", OLD)
            if job:
                await connection.execute(
                    'select complete_job($1, \'{"summary": ["Plant flowers."]}\')', job["id"]
                )
            await anyio.sleep(0.05)
    finally:
        connection.terminate()


async def _follow(made: Harness, ids: dict[str, str], console: Console) -> dict[str, Ended]:
    ended: dict[str, Ended] = {}
    shown: set[tuple[str, str]] = set()
    with anyio.fail_after(TIMEOUT_SECONDS):
        while len(ended) < len(ids):
            await anyio.sleep(0.1)
            for media_type, id in ids.items():  # noqa: A001
                row: Any = await made.connection.fetchrow("select * from briefs where id = $1", id)
                steps = await made.connection.fetch(
                    "select type, status, coalesce(worker_id, 'the service') as who,"
                    " extract(epoch from completed_at - started_at)::float8 as seconds"
                    " from jobs where brief_id = $1 order by step",
                    id,
                )
                for step in steps:
                    if step["status"] == "completed" and (media_type, step["type"]) not in shown:
                        shown.add((media_type, step["type"]))
                        console.print(f"  {media_type}: {step['type']} done by {step['who']}")
                if row["status"] in FINAL and media_type not in ended:
                    done = [(step["type"], step["who"], step["seconds"] or 0.0) for step in steps]
                    ended[media_type] = Ended(row, done)
    return ended


async def _check(folder: Path, ended: Ended) -> None:
    """Probe the brief's film."""
    if ended.row["status"] != "completed":
        raise DemoFailed(f"{ended.row['title']} is {ended.row['status']}: {ended.row['error']}")
    result: dict[str, Any] = json.loads(ended.row["result"])
    film = await download(result["url"], folder / f"brief-{ended.row['media_type']}.mp4")
    found = await media.probe(film, count_frames=True)
    if found.video is None or found.audio is None:
        raise DemoFailed(f"{film.name} lacks its picture or its sound")
    if (found.video.width, found.video.height, found.video.frames) != (
        result["width"],
        result["height"],
        result["frames"],
    ):
        raise DemoFailed(f"{film.name} differs from its row")


def _report(ended: dict[str, Ended], console: Console) -> None:
    table = Table("brief", "step", "by", "seconds", box=None, padding=(0, 2))
    for media_type, brief in ended.items():
        for type, who, seconds in brief.steps:  # noqa: A001 - the column's name
            table.add_row(media_type, type, who, f"{seconds:.1f}")
    console.print(table)
