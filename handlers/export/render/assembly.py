"""Make a long film: its picture segment by segment, its sound group by group, and then join them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from handlers.export.graph import commands
from handlers.export.graph.composition import Composition
from handlers.export.graph.expressions import seconds
from handlers.export.graph.plan import Plan
from handlers.export.render.segments import Mixture, Names, Segment, compile_mixtures, compile_segments
from handlers.export.settings import limits
from listener.kit import ffmpeg, media
from listener.kit.media.probe_process import ProbeProcess

_JOINING_PERCENT = 3.0  # of the progress: what is left when all segments are finished

Report = Callable[[float, str | None], None]


async def assemble(
    plan: Plan,
    parts: Sequence[Composition],
    target: Path,
    *,
    workdir: Path,
    resume_in: Path,
    damage: Counter[Path],
    by: ProbeProcess | None,
    on_progress: Report | None,
) -> None:
    """Make the film at `target`.

    Args:
        parts: what each segment shows.
        workdir: for files that only this attempt needs.
        resume_in: for finished segments; those that it holds already are not made again.
        damage: where the complaints of each run are added up, as `Finished.damage`.
        by: as for `probe`.
        on_progress: as for `render`.

    Raises:
        FilmError: a moment of the film, or a sound, takes more arguments than the kernel accepts.
        FfmpegError: FFmpeg failed.
    """
    unfinished = resume_in / "segment.part"
    segments = await to_thread.run_sync(compile_segments, plan, parts, unfinished)
    mixtures = await to_thread.run_sync(compile_mixtures, plan, workdir)
    names = await to_thread.run_sync(Names, plan)
    paths = [resume_in / f"{names.name(segment.command)}.mp4" for segment in segments]
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_mix, mixtures, workdir, damage)
            tasks.start_soon(_render, segments, paths, unfinished, workdir, damage, by, on_progress)
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    listed = resume_in / "segments.txt"
    lines = [
        f"file '{path.name}'\nduration {seconds(segment.frames / plan.film.fps)}\n"
        for segment, path in zip(segments, paths, strict=True)
    ]
    await anyio.Path(listed).write_text("".join(["ffconcat version 1.0\n", *lines]))
    command = commands.joined(plan, listed, [(each.first_sample, each.path) for each in mixtures], target)
    await ffmpeg.run(command, frames=plan.film.frames, max_bytes=limits().max_output, cwd=resume_in)
    if on_progress:
        on_progress(100.0, None)


async def _render(
    segments: Sequence[Segment],
    paths: Sequence[Path],
    unfinished: Path,
    workdir: Path,
    damage: Counter[Path],
    by: ProbeProcess | None,
    on_progress: Report | None,
) -> None:
    """Make the segments that are missing at `paths`."""
    frames, done = sum(segment.frames for segment in segments), 0
    for number, (segment, path) in enumerate(zip(segments, paths, strict=True), 1):
        if not await anyio.Path(path).exists():
            message = f"part {number} of {len(segments)}"
            report = on_progress and partial(
                _report, on_progress, message, done / frames, segment.frames / frames
            )
            made = await ffmpeg.run(
                segment.command,
                frames=segment.frames,
                on_progress=report,
                max_bytes=limits().max_output,
                cwd=workdir,
            )
            damage.update(made.damage)
            await _check(unfinished, segment.frames, by)
            await anyio.Path(unfinished).rename(path)
        done += segment.frames


def _report(
    on_progress: Report, message: str, done: float, share: float, percent: float, _: str | None
) -> None:
    """Report the progress of a segment as the film's; `done` and `share` are shares of the film, 0..1."""
    on_progress((100 - _JOINING_PERCENT) * (done + share * percent / 100), message)


async def _check(path: Path, frames: int, by: ProbeProcess | None) -> None:
    video = (await media.probe(path, count_frames=True, timeout=120, by=by)).video
    if video is None or video.frames != frames:
        found = video.frames if video else 0
        raise ffmpeg.FfmpegError(f"a part has {found} frames; {frames} were planned.", "incomplete")


async def _mix(mixtures: Sequence[Mixture], workdir: Path, damage: Counter[Path]) -> None:
    for mixture in mixtures:
        damage.update((await ffmpeg.run(mixture.command, cwd=workdir)).damage)
