"""render: a whole export, from claim to done, beside a bare FFmpeg command that makes the same film.

The command is written by hand. It gets its media on the local disk and its texts drawn, and nobody looks at what
it made; the export also fetches, probes, draws, reports progress, checks the film and uploads it.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import anyio
import asyncpg

from bench.report import Figure, at_most, paired
from bench.setting import connected, setting, wait_for
from handlers.export import handler, opencut, text
from handlers.export.model import Text
from handlers.export.sample import Sample, make_sample
from listener import migrate
from listener.kit import ffmpeg, storage

COMMAND = (
    "-ss 0.5 -t 6.5 -i city.mp4 -ss 1.5 -t 7.5 -i sea.mp4 -i badge.png -i text0.png -i text1.png -t 14 -i music.m4a"
    " -filter_complex [0:v][1:v]concat=n=2[main];"
    "[2:v]scale=720:720:out_color_matrix=bt709:out_range=tv,format=yuva420p[badge];"
    "[3:v]scale=out_color_matrix=bt709:out_range=tv,format=yuva420p[title];"
    "[4:v]scale=out_color_matrix=bt709:out_range=tv,format=yuva420p[end];"
    "[main][badge]overlay=280:0:enable='between(t,4.99,8.99)'[one];"
    "[one][title]overlay={0}:enable='between(t,0.99,4.99)'[two];"
    "[two][end]overlay={1}:enable='between(t,10.99,13.99)'[film];"
    "[0:a]pan=stereo|c0=c0|c1=c0[city];[1:a]aresample=48000,pan=stereo|c0=c0|c1=c0,adelay=6500:all=1[sea];"
    "[5:a]pan=stereo|c0=c0|c1=c0[music];"
    "[music][city][sea]amix=3:normalize=0,alimiter=level=0,apad=whole_dur=14,atrim=end=14[sound]"
    " -map [film] -map [sound] -frames:v 420 -r 30 -c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p"
    " -colorspace bt709 -color_primaries bt709 -color_trc bt709 -c:a aac -b:a 192k -ar 48000 -movflags +faststart"
    " bare.mp4"
)
"""`{0}` and `{1}` stand for where the two texts lie, as x:y."""

_USER = uuid.UUID(int=1)
_INSERT = """
insert into export_jobs (id, user_id, project_id, status, width, height, fps, duration)
values ($1, $2, $1, 'queued', $3, $4, $5, $6)
"""


async def measure(pairs: int = 3) -> list[Figure]:
    """Renders the sample project by the command and by the service in turn, after one of each to warm up."""
    async with setting() as here:
        database = await here.database("exports", attached=False)
        media = here.folder / "media"
        media.mkdir()
        sample = await make_sample(media, prefix=f"{_USER}/media/")
        command = [str(ffmpeg.binary()), *ffmpeg.QUIET, *COMMAND.format(*_draw(sample, media)).split(" ")]
        files = storage.LocalStorage(here.folder / "storage", "")
        for path in sample.files:
            await files.upload(handler.TIMELINES, path, f"{_USER}/media/{path.name}")
        bare: list[float] = []
        ours: list[float] = []
        async with connected(database) as db:
            for preset in ("supabase_shim", "export_jobs"):
                await db.execute(migrate.preset(preset))
            await db.execute("insert into auth.users (id, email) values ($1, 'bench@example.com')", _USER)
            places = {"STORAGE_DIR": str(here.folder / "storage"), "TEMP_DIR": str(here.folder)}
            async with here.service("handlers.export.handler:app", database, places):
                for _ in range(1 + pairs):
                    begun = time.monotonic()
                    await anyio.run_process(command, cwd=media, stdin=subprocess.DEVNULL)
                    bare.append(time.monotonic() - begun)
                    ours.append(await _export(db, files, sample, media))
    return [
        Figure("render", "bare command", median(bare[1:]), "s", pairs),
        Figure("render", "whole export, claim → done", median(ours[1:]), "s", pairs),
        Figure("render", "export ÷ command", paired(ours[1:], bare[1:]), "×", pairs, at_most(1.10)),
    ]


def _draw(sample: Sample, folder: Path) -> Sequence[str]:
    """The project's two texts as pictures text0.png and text1.png; answers where in the film they lie."""
    film = opencut.read(sample.timeline, width=sample.width, height=sample.height, fps=sample.fps).film
    places: list[str] = []
    for clip in film.clips:
        if isinstance(clip, Text) and (drawn := text.draw(clip, film, folder / f"text{len(places)}.png")):
            places.append(f"{drawn.x}:{drawn.y}")
    return places


async def _export(db: asyncpg.Connection, files: storage.Storage, sample: Sample, folder: Path) -> float:
    """Seconds of one export, by the database's clock."""
    job = uuid.uuid4()
    timeline = folder / "timeline.json"
    timeline.write_text(json.dumps(sample.timeline))
    await files.upload(handler.TIMELINES, timeline, f"{_USER}/{job}/timeline.json")
    await db.execute(_INSERT, job, _USER, sample.width, sample.height, sample.fps, float(sample.seconds))
    ended = await wait_for(
        db,
        "select outcome, error, extract(epoch from finished_at - started_at)::float8 as seconds"
        f" from listener.attempt where job_key = '{job}'",
        within=300,
    )
    assert ended["outcome"] == "completed", ended["error"]
    return float(ended["seconds"])
