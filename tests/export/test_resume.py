"""A service that is killed while it renders a long film: the next one goes on with the first part that is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from listener.database import migrate
from listener.kit import ffmpeg, storage
from tests.support.harness import until
from tests.support.processes import Serve, serving
from tests.support.timelines import Json, media, timeline, track

from .viewer import colour, look, near

CLIPS = 70  # of two frames each; far more than one run of ffmpeg may hold open
USER, JOB = str(uuid4()), str(uuid4())


def many() -> Json:
    """Clips of a red video, one after the other."""
    clips = [media("red", n / 15, 3, name=f"clip {n}", trimEnd=3 - 1 / 15) for n in range(CLIPS)]
    document = timeline(track("media", *clips), items={"red": "video"})
    document["mediaItems"]["red"]["url"] = f"{USER}/red.mp4"
    return document


@pytest.fixture
def serve(database: str, tmp_path: Path) -> Iterator[Serve]:
    """A function that starts a service; all of them end with the test."""
    (tmp_path / "scratch").mkdir()
    settings = {
        "DATABASE_URL": database,
        "TEMP_DIR": str(tmp_path / "scratch"),
        "STORAGE_DIR": str(tmp_path / "storage"),
        "LEASE": "1.2",
        "HEARTBEAT": "0.3",
        "HEALTH_CHECK_PORT": "0",
        "LISTENER_FFMPEG": str(ffmpeg.binary()),
    }
    with serving(tmp_path, "listener", "run", "handlers.export.handler:app", **settings) as start:
        yield start


async def test_a_killed_service_loses_one_part_of_a_film(
    serve: Serve,
    db: asyncpg.Connection,
    shelf: dict[str, Path],
    tmp_path: Path,
) -> None:
    files = storage.LocalStorage(tmp_path / "storage", "")
    (tmp_path / "timeline.json").write_text(json.dumps(many()))
    await files.upload("export_data", tmp_path / "timeline.json", f"{USER}/{JOB}/timeline.json")
    await files.upload("export_data", shelf["red"], f"{USER}/red.mp4")
    for preset in ("supabase_shim", "export_jobs"):
        await db.execute(migrate.preset(preset))
    await db.execute("insert into auth.users (id) values ($1)", USER)
    await db.execute(
        "insert into export_jobs (id, user_id, project_id, status, width, height, fps, duration)"
        " values ($1, $2, gen_random_uuid(), 'queued', 320, 180, 30, 0)",
        JOB,
        USER,
    )

    kept = tmp_path / "scratch" / f"listener-resume-{os.getuid()}"
    service = serve()
    first = await until(lambda: next(iter(kept.glob("*/*.mp4")), None), within=40)
    service.kill()
    service.wait()
    finished = sorted(kept.glob("*/*.mp4"))
    assert len(finished) < 3, "the film was nearly done"
    await mark(first)

    serve()
    row = await until(lambda: ended(db), within=40)
    assert (row["status"], row["error_message"]) == ("completed", None)
    assert not [path for folder in kept.iterdir() for path in folder.iterdir()]

    (key,) = [key for key in await files.keys("exports", f"{USER}/{JOB}") if key.endswith(".mp4")]
    frames = await look(await files.download("exports", key, tmp_path), (0, 2 * CLIPS - 1))
    red, green, _ = colour(frames[0], 160, 90)
    assert green > red + 50, "the first part was made again"
    assert near(colour(frames[2 * CLIPS - 1], 160, 90), (200, 40, 60))


async def mark(part: Path) -> None:
    """Make a finished part one that is known again: its red turns to green."""
    marked = part.with_name("marked.mp4")
    await ffmpeg.run(
        [*("-i", part, "-vf", "hue=h=120", "-c:v", "libx264", "-preset", "veryfast", "-crf", "23"),
         *("-video_track_timescale", str(Fraction(30) * 512), "-f", "mp4", marked)]
    )  # fmt: skip
    marked.replace(part)


async def ended(db: asyncpg.Connection) -> asyncpg.Record | None:
    row = await db.fetchrow("select status, error_message from export_jobs where id = $1", JOB)
    return row if row and row["status"] in {"completed", "failed"} else None
