"""The film that a project is: its clips one after the other, as they are trimmed, and its sounds over them."""

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
    """A row of `clips` or `audio_files`, and its file.

    Attributes:
        name: for errors.
    """

    row: Mapping[str, Any]
    name: str
    path: Path
    media: Media


def assemble(
    clips: Sequence[Piece], sounds: Sequence[Piece], settings: Mapping[str, Any], resolution: str | None
) -> tuple[Film, dict[str, Path]]:
    """The film, and the files by the names that it calls them.

    Args:
        clips: in their order.
        sounds: each with its `start_time`; what lasts longer than the clips is cut off.
        settings: of the project; `width`, `height` and `fps` count.
        resolution: as for `AsyncProjects.request_export`.

    Raises:
        FilmError: there is nothing to show, or a number makes no sense.
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
    """From where on a clip is shown, and for how long."""
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
            raise FilmError(f"{resolution[:20]!r} is no resolution; write 1280x720 or 720p.")
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
