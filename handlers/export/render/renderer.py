"""Render a film: draw its texts, run FFmpeg, and check the file that it made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

from anyio import to_thread

from handlers.export.graph import commands, hdr
from handlers.export.graph.plan import Plan, make_plan
from handlers.export.model import Film, Output, Rendered, RenderError, Source, Text
from handlers.export.render import notes, segments, texts
from handlers.export.render.assembly import assemble
from handlers.export.render.poster import poster
from handlers.export.settings import limits
from handlers.export.text import Raster
from listener.kit import ffmpeg, media
from listener.kit.media.probe_process import ProbeProcess

# Pixels of the frames before the still, up to which it is made in the same run: FFmpeg reports no progress until then,
# and would count as stalled.
_STILL_WITHIN_PIXELS = 300_000_000
_SOUND_TOLERANCE_SECONDS = Fraction(1, 5)  # sound comes in packets, and encoders differ in their run-up


async def render(
    film: Film,
    sources: Mapping[str, Source],
    target: Path,
    *,
    workdir: Path,
    output: Output = Output(),  # noqa: B008 - immutable
    still: Path | None = None,
    resume_in: Path | None = None,
    by: ProbeProcess | None = None,
    on_progress: Callable[[float, str | None], None] | None = None,
) -> Rendered:
    """Render `film` to `target`, exactly `film.frames` frames.

    Args:
        sources: by the ids that the film's clips name.
        workdir: an empty folder for what is drawn on the way.
        output: how it is encoded.
        still: where to put a picture of it, as JPEG.
        resume_in: a folder for the finished segments of a long film. Given again, with the files that it holds, only
            the missing segments are made.
        by: as for `probe`.
        on_progress: called with percent (0..100 of the frames) and a message with the speed.

    Raises:
        FilmError: the film can't be made from these sources.
        FfmpegError: FFmpeg failed.
        RenderError: the file that it made isn't the film.
    """
    film, warnings = notes.playable(film, sources)
    rasters = await texts.draw(film, workdir)
    plan = await to_thread.run_sync(_prepare, film, sources, rasters, output, workdir)
    damage: Counter[Path] = Counter()
    parts = await to_thread.run_sync(segments.divide, plan)
    one = None
    if len(parts) == 1 and len(plan.sounds) <= segments.SOUNDS_AT_ONCE:
        early = film.width * film.height * film.frames // 3 < _STILL_WITHIN_PIXELS
        one = await to_thread.run_sync(commands.whole_film, plan, target, still if early else None)
    if one and segments.fits_in_argv(one):
        most = limits().max_output
        done = await ffmpeg.run(one, frames=film.frames, on_progress=on_progress, max_bytes=most, cwd=workdir)
        damage += done.damage
    else:
        await assemble(
            plan,
            parts,
            target,
            workdir=workdir,
            resume_in=resume_in or workdir,
            damage=damage,
            by=by,
            on_progress=on_progress,
        )
    found = await media.probe(target, count_frames=True, timeout=120, by=by)
    frames, duration = _verify(plan, found)
    warnings += [*notes.of_plan(plan), *notes.of_damage(damage, sources)]
    size = (await to_thread.run_sync(target.stat)).st_size
    made = Rendered(target, frames, duration, size, tuple(dict.fromkeys(warnings)))
    if still and not await to_thread.run_sync(still.exists):
        await poster(made, still)
    return made


def _prepare(
    film: Film, sources: Mapping[str, Source], rasters: Mapping[Text, Raster], output: Output, folder: Path
) -> Plan:
    """Compose the film, and write the files that its graph reads besides the sources."""
    for name, table in hdr.tables(sources.values()).items():
        (folder / name).write_text(table)
    return make_plan(film, sources, rasters, output, ffmpeg.input_options(limits().max_pixels))


def _verify(plan: Plan, made: media.Media) -> tuple[int, Fraction]:
    """Return the frames and the duration of a film that is as it was planned."""
    film, video, duration = plan.film, made.video, made.duration
    if video is None or (made.audio is None) is plan.output.sound or duration is None:
        raise RenderError("The rendered file lacks its picture or its sound.")
    if (video.width, video.height) != (film.width, film.height) or video.frames != film.frames:
        raise RenderError(
            f"The rendered file has {video.frames} frames of {video.width} × {video.height}; "
            f"{film.frames} of {film.width} × {film.height} were planned."
        )
    planned = film.frames / film.fps
    if abs(duration - planned) > 1 / film.fps:
        raise RenderError(
            f"The rendered file lasts {float(duration):.3f} s; {float(planned):.3f} s were planned."
        )
    heard = planned if made.audio is None else made.audio.duration or Fraction(0)
    if abs(heard - planned) > _SOUND_TOLERANCE_SECONDS:
        raise RenderError(
            f"The sound lasts {float(heard):.3f} s of the {float(planned):.3f} s that were planned."
        )
    return video.frames, duration
