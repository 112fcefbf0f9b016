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
from fractions import Fraction
from pathlib import Path
from statistics import median

import anyio
import asyncpg

from bench import clips
from bench.report import Figure, at_most, paired
from bench.setting import connected, setting, wait_for
from handlers.export import handler, opencut, text
from handlers.export.model import Text
from handlers.export.sample import Sample, make_sample
from listener.database import migrate
from listener.kit import ffmpeg, storage

COMMAND = (
    "-ss {t[0.5]} -t {t[6.5]} -i city.mp4 -ss {t[1.5]} -t {t[7.5]} -i sea.mp4 -i badge.png -i text0.png -i text1.png"
    " -t {t[14]} -i music.m4a -filter_complex [0:v][1:v]concat=n=2[main];"
    "[2:v]scale=720:720:out_color_matrix=bt709:out_range=tv,format=yuva420p[badge];"
    "[3:v]scale=out_color_matrix=bt709:out_range=tv,format=yuva420p[title];"
    "[4:v]scale=out_color_matrix=bt709:out_range=tv,format=yuva420p[end];"
    "[main][badge]overlay=280:0:enable='between(t,{t[5]}-0.01,{t[9]}-0.01)'[one];"
    "[one][title]overlay={title}:enable='between(t,{t[1]}-0.01,{t[5]}-0.01)'[two];"
    "[two][end]overlay={end}:enable='between(t,{t[11]}-0.01,{t[14]}-0.01)'[film];"
    "[0:a]pan=stereo|c0=c0|c1=c0[city];"
    "[1:a]aresample=48000,pan=stereo|c0=c0|c1=c0,adelay={t[6.5]}s:all=1[sea];"
    "[5:a]pan=stereo|c0=c0|c1=c0[music];"
    "[music][city][sea]amix=3:normalize=0,alimiter=level=0,apad=whole_dur={t[14]},atrim=end={t[14]}[sound]"
    " -map [film] -map [sound] -frames:v {frames} -r 30 -c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p"
    " -colorspace bt709 -color_primaries bt709 -color_trc bt709 -c:a aac -b:a 192k -ar 48000 -movflags +faststart"
    " bare.mp4"
)
"""`t[…]` are the project's times in seconds, `title` and `end` where its two texts lie, as x:y."""

_USER = uuid.UUID(int=1)
_INSERT = """
insert into export_jobs (id, user_id, project_id, status, width, height, fps, duration)
values ($1, $2, $1, 'queued', $3, $4, $5, $6)
"""


async def measure(pairs: int = 3) -> list[Figure]:
    """Render the sample project, and four times as much of it, by the command and by the service in turn.

    Then render films that show how much memory and time segments and seeking take.
    """
    figures: list[Figure] = []
    for times in (1, 4):
        figures += await _compare(times, pairs)
    return figures + await clips.measure(min(pairs, 2))


async def _compare(times: int, pairs: int) -> list[Figure]:
    async with setting() as here:
        database = await here.database("exports", attached=False)
        media = here.folder / "media"
        media.mkdir()
        sample = await make_sample(media, prefix=f"{_USER}/media/", times=times)
        command = [str(ffmpeg.binary()), *ffmpeg.QUIET, *_command(sample, media, times).split(" ")]
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
                    await anyio.sleep(1)  # or what the service does after a job would slow the command
    film = f"a film of {sample.seconds} s"
    return [
        Figure("render", f"{film}: bare command", median(bare[1:]), "s", pairs),
        Figure("render", f"{film}: whole export, claim → done", median(ours[1:]), "s", pairs),
        Figure("render", f"{film}: export ÷ command", paired(ours[1:], bare[1:]), "×", pairs, at_most(1.10)),
    ]


def _command(sample: Sample, folder: Path, times: int) -> str:
    title, end = _draw(sample, folder)
    frames = sample.seconds * sample.fps
    # Keys in braces of a format are integers where they look like them.
    clock = {key: float(key) * times for key in ("0.5", "1.5", "6.5", "7.5", 1, 5, 9, 11, 14)}
    return COMMAND.format(t=clock, title=title, end=end, frames=frames)


def _draw(sample: Sample, folder: Path) -> Sequence[str]:
    """Draw the project's two texts into text0.png and text1.png, and return where they lie in the film."""
    film = opencut.read(sample.timeline, width=sample.width, height=sample.height, fps=sample.fps).film
    places: list[str] = []
    for clip in film.clips:
        if isinstance(clip, Text) and (drawn := text.draw(clip, film, folder / f"text{len(places)}.png")):
            x = round((film.width - drawn.width) / 2 + clip.placement.x.at(Fraction(0)))
            y = round((film.height - drawn.height) / 2 + clip.placement.y.at(Fraction(0)))
            places.append(f"{x}:{y}")
    return places


async def _export(db: asyncpg.Connection, files: storage.Storage, sample: Sample, folder: Path) -> float:
    """Run one export, and return its seconds by the database's clock."""
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
