"""Describe the film of a project: its trimmed clips one after the other, with its sounds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from handlers.export import Curve, Film, FilmError, Picture, Sound
from listener.kit.media import Media

STILL = Fraction(5)  # seconds that a picture is shown
FPS = 30
SIZES = (16, 4096)


@dataclass(frozen=True, slots=True)
class Piece:
    """A row of `clips` or `audio_files` with its local file.

    Attributes:
        name: used in error sentences.
    """

    row: Mapping[str, Any]
    name: str
    path: Path
    media: Media


def assemble(
    clips: Sequence[Piece], sounds: Sequence[Piece], settings: Mapping[str, Any], resolution: str | None
) -> tuple[Film, dict[str, Path]]:
    """Return the film of a project, and its files by their names in the film.

    Args:
        clips: in their order.
        sounds: each with its `start_time`; a sound is cut where the clips end.
        settings: of the project; `width`, `height` and `fps` are used.
        resolution: as for `AsyncProjects.request_export`.

    Raises:
        FilmError: there are no clips, or a number is out of range.
    """
    if not clips:
        raise FilmError("The project has no clips.")
    width, height = _size(clips[0], settings, resolution)
    pictures, heard, at = list[Picture](), list[Sound](), Fraction(0)
    for number, clip in enumerate(clips):
        offset, length = _span(clip)
        name = f"clip{number}"
        pictures.append(Picture(clip.name, start=at, length=length, source=name, offset=offset))
        if clip.media.audio:
            heard.append(Sound(clip.name, start=at, length=length, source=name, offset=offset))
        at += length
    for number, sound in enumerate(sounds):
        start = _number(sound.row["start_time"])
        length = min(sound.media.duration or at, at - start)
        if length > 0:
            gain = Curve.fixed(float(sound.row["volume"]))
            heard.append(Sound(sound.name, start=start, length=length, source=f"sound{number}", gain=gain))
    film = Film(
        width=width,
        height=height,
        fps=_fps(settings),
        duration=at,
        background=(0, 0, 0),
        clips=tuple(pictures),
        sounds=tuple(heard),
    )
    named = [(f"clip{n}", clip) for n, clip in enumerate(clips)]
    named += [(f"sound{n}", sound) for n, sound in enumerate(sounds)]
    used = {sound.source for sound in heard} | {picture.source for picture in pictures}
    return film, {name: piece.path for name, piece in named if name in used}


def _span(clip: Piece) -> tuple[Fraction, Fraction]:
    """Return the start of the shown part of a clip, and its length, in seconds."""
    start = _number(clip.row["start_trim"] or 0)
    there = clip.media.duration or STILL
    end = there if clip.row["end_trim"] is None else min(_number(clip.row["end_trim"]), there)
    if end <= start:
        raise FilmError(
            f"Nothing is left of the clip “{clip.name}”: it is shown from {float(start):g} s on,"
            f" and ends at {float(end):g} s."
        )
    return start, end - start


def _size(first: Piece, settings: Mapping[str, Any], resolution: str | None) -> tuple[int, int]:
    video = first.media.video
    if video is None:
        raise FilmError(f"The clip “{first.name}” has no picture.")
    width, height = settings.get("width") or video.width, settings.get("height") or video.height
    if resolution is not None:
        if exact := re.fullmatch(r"(\d{2,4}) ?[x×] ?(\d{2,4})", resolution):
            width, height = int(exact[1]), int(exact[2])
        elif lines := re.fullmatch(r"(\d{2,4})p", resolution):
            scale = Fraction(int(lines[1]), min(video.width, video.height))
            width, height = round(video.width * scale), round(video.height * scale)
        else:
            raise FilmError(f"{resolution[:20]!r} is not a resolution; write 1280x720 or 720p.")
    if not all(isinstance(side, int) and SIZES[0] <= side <= SIZES[1] for side in (width, height)):
        raise FilmError(f"A film is {SIZES[0]} to {SIZES[1]} pixels wide and high, not {width} × {height}.")
    return width // 2 * 2, height // 2 * 2


def _fps(settings: Mapping[str, Any]) -> Fraction:
    fps = settings.get("fps", FPS)
    if not isinstance(fps, int | float) or not 1 <= fps <= 120:
        raise FilmError("The project's frames a second must be a number from 1 to 120.")
    return Fraction(fps).limit_denominator(1001)


def _number(value: Any) -> Fraction:
    return Fraction(str(value))
