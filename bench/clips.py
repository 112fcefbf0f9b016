"""Parts of `render` that need no service: a film of many clips beside one FFmpeg run of them all, and the end of a
long clip beside a bare command that seeks to it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import anyio
import psutil

from bench.report import Figure, at_most, paired
from handlers.export.graph.commands import whole_film
from handlers.export.graph.plan import make_plan
from handlers.export.model import Film, Output, Picture, Sound, Source
from handlers.export.render.renderer import render
from listener.kit import ffmpeg, media

_CLIPS = 60
_MB = 1024 * 1024


async def measure(pairs: int) -> list[Figure]:
    with TemporaryDirectory() as name:
        return [*await _many(Path(name), pairs), *await _late(Path(name), pairs)]


async def _many(folder: Path, pairs: int) -> list[Figure]:
    sources = {str(number): await _source(folder / f"{number}.mp4", 10, number) for number in range(4)}
    length = Fraction(1, 3)
    row = [(f"clip {n}", n * length, length, str(n % 4), Fraction(n % 9)) for n in range(_CLIPS)]
    film = _film(*(Picture(*clip) for clip in row), sounds=tuple(Sound(*clip) for clip in row))
    one: list[float] = []
    ours: list[float] = []
    peaks: list[int] = []

    async def together() -> None:
        plan = make_plan(film, sources, {}, Output(), ffmpeg.input_options())
        await _bare(*whole_film(plan, folder / "one.mp4"))

    for _ in range(pairs):
        one.append(await _timed(together))
        with TemporaryDirectory(dir=folder) as work:
            async with _peak() as peak:
                ours.append(await _timed(lambda: _render(film, sources, Path(work))))
        peaks += peak
    name = f"{_CLIPS} clips of 1080p"
    return [
        Figure("render", f"{name}: made in parts", median(ours), "s", pairs),
        Figure("render", f"{name}: parts ÷ one FFmpeg run", paired(ours, one), "×", pairs, at_most(1.25)),
        Figure("render", f"{name}: memory of FFmpeg, peak", max(peaks) / _MB, "MB", pairs, at_most(600)),
    ]


async def _late(folder: Path, pairs: int) -> list[Figure]:
    source = await _source(folder / "long.mp4", 60, 0)
    film = _film(Picture("end", Fraction(0), Fraction(5), "long", Fraction(55)))
    bare: list[float] = []
    ours: list[float] = []

    async def seek() -> None:
        silence = ["-f", "lavfi", "-t", "5", "-i", "anullsrc=r=48000:cl=stereo"]
        encode = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-c:a", "aac", "-frames:v", "150"]
        await _bare(
            "-ss", "55", "-t", "5", "-i", str(source.path), *silence, *encode, str(folder / "bare.mp4")
        )

    for _ in range(pairs):
        bare.append(await _timed(seek))
        with TemporaryDirectory(dir=folder) as work:
            ours.append(await _timed(lambda: _render(film, {"long": source}, Path(work))))
    name = "the last 5 s of a minute"
    return [
        Figure("render", f"{name}: film ÷ command", paired(ours, bare), "×", pairs, at_most(1.25)),
    ]


def _film(*clips: Picture, sounds: tuple[Sound, ...] = ()) -> Film:
    return Film(1920, 1080, Fraction(30), clips[-1].end, (0, 0, 0), clips, sounds)


async def _render(film: Film, sources: dict[str, Source], work: Path) -> None:
    await render(film, sources, work / "film.mp4", workdir=work)


async def _source(path: Path, seconds: int, hue: int) -> Source:
    picture = f"testsrc2=s=1920x1080:r=30:d={seconds},hue=h={60 * hue}"
    sound = f"sine=f={300 + 100 * hue}:d={seconds}"
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    await ffmpeg.run(["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *encode, path])
    return Source(path, await media.probe(path))


async def _bare(*args: str) -> None:
    await anyio.run_process([str(ffmpeg.binary()), *ffmpeg.QUIET, *args])


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    begun = time.monotonic()
    await work()
    return time.monotonic() - begun


@asynccontextmanager
async def _peak() -> AsyncIterator[list[int]]:
    """Measure the peak memory of all child processes together; the list has one number, in bytes, at the end."""
    peak = [0]

    async def watch() -> None:
        while True:
            held = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    held += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], held)
            await anyio.sleep(0.05)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield peak
        tasks.cancel_scope.cancel()
