"""Make a film: draw its texts, run FFmpeg once, and believe the result only after looking at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from anyio import to_thread

from handlers.export import text
from handlers.export.graph import Source, arguments
from handlers.export.model import Film, FilmError, Picture, Text
from listener.errors import ListenerError
from listener.kit import ffmpeg, media

# FFmpeg holds every clip open with its decoder, and the graph has to fit into one argument (128 KiB).
MAX_INPUTS = 250


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
    on_progress: Callable[[float, str | None], None] | None = None,
) -> Rendered:
    """Makes `film` at `target`: MP4 with H.264 and AAC, exactly `film.frames` frames.

    Args:
        sources: by the ids that the film's clips name.
        workdir: an empty folder for what is drawn on the way.
        on_progress: called with percent (0..100 of the frames) and a message with the speed.

    Raises:
        FilmError: the film can't be made from these sources.
        FfmpegError: FFmpeg failed.
        RenderError: the file that it made isn't the film.
    """
    if len(film.clips) + len(film.sounds) > MAX_INPUTS:
        raise FilmError(
            f"The film has {len(film.clips)} clips and {len(film.sounds)} sounds; "
            f"together at most {MAX_INPUTS} can be rendered."
        )
    rasters = await to_thread.run_sync(_draw, film, workdir)
    command = arguments(film, sources, rasters, target)
    await ffmpeg.run(command, frames=film.frames, on_progress=on_progress, cwd=workdir)
    made = await media.probe(target, count_frames=True, timeout=120)
    frames, duration = _verify(film, made)
    size = (await to_thread.run_sync(target.stat)).st_size
    return Rendered(target, frames, duration, size, tuple(_warnings(film, sources, rasters)))


def _draw(film: Film, folder: Path) -> dict[Text, text.Raster]:
    texts = dict.fromkeys(clip for clip in film.clips if isinstance(clip, Text))
    drawn = ((clip, text.draw(clip, film, folder / f"text{number}.png")) for number, clip in enumerate(texts))
    return {clip: raster for clip, raster in drawn if raster}


def _verify(film: Film, made: media.Media) -> tuple[int, Fraction]:
    video, duration = made.video, made.duration
    if video is None or made.audio is None or duration is None:
        raise RenderError("The rendered file lacks its picture or its sound.")
    if (video.width, video.height) != (film.width, film.height) or video.frames != film.frames:
        raise RenderError(
            f"The rendered file has {video.frames} frames of {video.width} × {video.height}; "
            f"{film.frames} of {film.width} × {film.height} were planned."
        )
    if abs(duration - film.frames / film.fps) > 1 / film.fps:
        planned = float(film.frames / film.fps)
        raise RenderError(f"The rendered file lasts {float(duration):.3f} s; {planned:.3f} s were planned.")
    return video.frames, duration


def _warnings(film: Film, sources: Mapping[str, Source], rasters: Mapping[Text, text.Raster]) -> list[str]:
    found = []
    for clip in film.clips:
        if isinstance(clip, Picture):
            length = sources[clip.source].media.duration
            if length is not None and clip.offset + clip.length > length + 1 / film.fps:
                found.append(f"“{clip.name}” is longer than its file: the last picture stays.")
        elif clip in rasters:
            found += _text_warnings(clip, rasters[clip])
        else:
            found.append(f"“{clip.name}” lies outside the picture.")
    return found


def _text_warnings(clip: Text, raster: text.Raster) -> Iterator[str]:
    style, face = clip.style, raster.face
    if (style.family.casefold(), style.bold, style.italic) != (
        face.family.casefold(),
        face.bold,
        face.italic,
    ):
        yield f"“{clip.name}” is drawn in {face}: {style.family} is not installed."
    if raster.lacking:
        yield f"“{clip.name}” has characters that {face} lacks: {raster.lacking}"
