"""Make a film: draw its texts, run FFmpeg, and believe the result only after looking at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from anyio import to_thread

from handlers.export import text
from handlers.export.graph import hdr, mix
from handlers.export.graph.composition import Composition
from handlers.export.graph.encoding import Output
from handlers.export.graph.inputs import Source
from handlers.export.graph.picture import arguments, composed, pictures, text_scale
from handlers.export.model import Film, Picture, Text
from handlers.export.render import assembly as parts
from handlers.export.render import segments as slices
from handlers.export.render.poster import poster
from handlers.export.settings import limits
from listener import ListenerError
from listener.kit import ffmpeg, media
from listener.kit.media.probe_process import Reader

# Pixels before the still is made on the way: FFmpeg tells of no progress until then, and would count as stalled.
_EARLY = 300_000_000
_INEXACT = Fraction(1, 5)  # seconds: sound comes in packets, and encoders have more or less of a run-up


class RenderError(ListenerError):
    """FFmpeg said that all went well, but the film is not what was planned; another try may help."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished film that was checked.

    Attributes:
        frames: counted in the file.
        duration: of the picture, in seconds.
        size: bytes.
        warnings: a sentence for each thing that looks or sounds different from what was asked for.
    """

    path: Path
    frames: int
    duration: Fraction
    size: int
    warnings: tuple[str, ...]


async def render(
    film: Film,
    sources: Mapping[str, Source],
    target: Path,
    *,
    workdir: Path,
    output: Output = Output(),  # noqa: B008 - immutable
    still: Path | None = None,
    keep: Path | None = None,
    by: Reader | None = None,
    on_progress: Callable[[float, str | None], None] | None = None,
) -> Rendered:
    """Makes `film` at `target`, exactly `film.frames` frames.

    Args:
        sources: by the ids that the film's clips name.
        workdir: an empty folder for what is drawn on the way.
        output: how it is encoded.
        still: where to put a picture of it, as JPEG.
        keep: a folder for finished parts of a film that is made in parts. Given again, with whatever is in it,
            only the missing ones are made.
        by: as for `probe`.
        on_progress: called with percent (0..100 of the frames) and a message with the speed.

    Raises:
        FilmError: the film can't be made from these sources.
        FfmpegError: FFmpeg failed.
        RenderError: the file that it made isn't the film.
    """
    rasters = await to_thread.run_sync(_draw, film, workdir)
    await to_thread.run_sync(hdr.write_tables, sources.values(), workdir)

    def command(part: Composition) -> list[str]:
        return pictures(film, sources, rasters, part, target, output)

    whole = composed(film, sources)
    divided = await to_thread.run_sync(slices.divide, whole, sources, command)
    sounds = [sound for sound in film.sounds if mix.heard(sound, sources)] if output.sound else []
    one = None
    if len(divided) == 1 and len(sounds) <= slices.SOUNDS:
        early = film.width * film.height * film.frames // 3 < _EARLY
        one = arguments(film, sources, rasters, target, output, still if early else None)
    if one and slices.sayable(one):
        most = limits().max_output
        await ffmpeg.run(one, frames=film.frames, on_progress=on_progress, max_bytes=most, cwd=workdir)
    else:
        assembly = parts.Parts(film, sources, rasters, output, workdir, keep or workdir, by)
        await assembly.assemble(divided, sounds, target, on_progress)
    found = await media.probe(target, count_frames=True, timeout=120, by=by)
    frames, duration = _verify(film, output, found)
    size = (await to_thread.run_sync(target.stat)).st_size
    made = Rendered(target, frames, duration, size, tuple(dict.fromkeys(_warnings(film, sources, rasters))))
    if still and not await to_thread.run_sync(still.exists):
        await poster(made, still)
    return made


def _draw(film: Film, folder: Path) -> dict[Text, text.Raster]:
    texts = dict.fromkeys(clip for clip in film.clips if isinstance(clip, Text))
    drawn = (
        (clip, text.draw(clip, film, folder / f"text{number}.png", text_scale(clip)))
        for number, clip in enumerate(texts)
    )
    return {clip: raster for clip, raster in drawn if raster}


def _verify(film: Film, output: Output, made: media.Media) -> tuple[int, Fraction]:
    video, duration = made.video, made.duration
    if video is None or (made.audio is None) is output.sound or duration is None:
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
    if abs(heard - planned) > _INEXACT:
        raise RenderError(
            f"The sound lasts {float(heard):.3f} s of the {float(planned):.3f} s that were planned."
        )
    return video.frames, duration


def _warnings(
    film: Film, sources: Mapping[str, Source], rasters: Mapping[Text, text.Raster]
) -> Iterator[str]:
    for clip in film.clips:
        if isinstance(clip, Picture):
            source = sources[clip.source]
            length = source.media.duration
            needed = clip.offset + clip.length * clip.rate
            if length is not None and not source.loops and needed > length + 1 / film.fps:
                yield f"“{clip.name}” is longer than its file: the last picture stays."
        elif clip in rasters:
            yield from rasters[clip].notes
