"""Describe films of the earlier steps' results for the export room, and draw pictures of texts."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from unicodedata import east_asian_width

from handlers.export import Curve, Film, Picture, Placement, Sound, Style, Text, render_film
from handlers.shared.text.language import words
from listener.kit import ffmpeg
from listener.kit.media import Media

FPS = Fraction(30)
FONT, LINE = "DejaVu Sans", 1.4
INK, PAPER = (245, 245, 240, 255), (24, 28, 38)
SLIDE = Fraction(3)  # seconds that a picture is shown
QUIET = 0.25  # amplitude of music beneath pictures
_READ = Fraction(2, 5)  # seconds to read a word
LETTERS = 15  # of scripts without spaces, in a second
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shot:
    """A local file and its properties."""

    path: Path
    media: Media

    @property
    def seconds(self) -> Fraction:
        return self.media.duration or SLIDE


def of_videos(shots: Sequence[Shot], size: Size, music: str | None = None) -> Film:
    """Return a film of videos one after the other, with their sound and perhaps music; their ids are 0, 1, …"""
    starts = list(itertools.accumulate((shot.seconds for shot in shots), initial=Fraction(0)))
    clips = [
        Picture(f"clip {name}", start, shot.seconds, str(name))
        for name, (start, shot) in enumerate(zip(starts, shots, strict=False))
    ]
    sounds = [
        Sound(clip.name, clip.start, clip.length, clip.source)
        for clip, shot in zip(clips, shots, strict=True)
        if shot.media.audio
    ]
    return _film(size, starts[-1], clips, [*sounds, *_beneath(music, starts[-1])])


def of_pictures(count: int, size: Size, music: str | None = None) -> Film:
    """Return a slide show, perhaps with music; the pictures' ids are 0, 1, …"""
    clips = [Picture(f"picture {name}", name * SLIDE, SLIDE, str(name)) for name in range(count)]
    length = count * SLIDE
    return _film(size, length, clips, _beneath(music, length))


def of_sound(title: str, seconds: Fraction, size: Size) -> Film:
    """Return a film of the sound `0` with its waveform, the picture `1`, and the title above it."""
    clips: list[Picture | Text] = [Picture("waveform", Fraction(0), seconds, "1")]
    if title:
        clips.append(_text(title, Fraction(0), seconds, size, above=True))
    return _film(size, seconds, clips, [Sound("sound", Fraction(0), seconds, "0")])


def of_texts(texts: Sequence[str], size: Size) -> Film:
    """Return a film of cards, each shown as long as it takes to read."""
    lengths = [reading(text) for text in texts]
    starts = itertools.accumulate(lengths, initial=Fraction(0))
    clips = [
        _text(text, start, length, size) for text, start, length in zip(texts, starts, lengths, strict=False)
    ]
    return _film(size, sum(lengths, Fraction(0)), clips, [])


def reading(text: str) -> Fraction:
    """Return the seconds that it takes to read a card."""
    return max(Fraction(2), _READ * len(words(text)), Fraction(len(text), LETTERS))


async def cards(texts: Sequence[str], size: Size, folder: Path) -> list[Path]:
    """Draw a picture of each text.

    Raises:
        FilmError, FfmpegError, RenderError: as `render_film`.
    """
    clips = [_text(text, Fraction(number), Fraction(1), size) for number, text in enumerate(texts)]
    film = Film(*size, Fraction(1), Fraction(len(texts)), PAPER, tuple(clips), ())
    made = await render_film(film, {}, folder)
    pictures = ["-q:v", "3", "-f", "image2", str(folder / "card%03d.jpg")]
    await ffmpeg.run(["-i", str(made.path), *pictures], frames=len(texts))
    return [folder / f"card{number:03}.jpg" for number in range(1, len(texts) + 1)]


def _beneath(music: str | None, length: Fraction) -> list[Sound]:
    return [Sound("music", Fraction(0), length, music, gain=Curve.fixed(QUIET))] if music else []


def _film(size: Size, length: Fraction, clips: Sequence[Picture | Text], sounds: Sequence[Sound]) -> Film:
    return Film(*size, FPS, length, PAPER[:3], tuple(clips), tuple(sounds))


def _text(content: str, start: Fraction, length: Fraction, size: Size, *, above: bool = False) -> Text:
    """Return a text, wrapped to fit."""
    lines, pixels = _wrapped(content, size)
    style = Style(FONT, pixels, INK, bold=above, align="center", line_height=LINE)
    placement = _raised(size[1] / 3) if above else Placement()
    return Text(content[:40], start, length, "\n".join(lines), style, placement)


def _wrapped(content: str, size: Size) -> tuple[list[str], float]:
    """Return the lines of a text, and the font size in pixels."""
    width, height = size
    letters = 34 if width >= height else 22
    # Letters of some scripts are twice as wide.
    share = 2 if sum(east_asian_width(letter) in "WF" for letter in content) > len(content) / 2 else 1
    while True:
        pixels = 1.4 * width / letters
        lines = textwrap.wrap(content, letters // share)
        if len(lines) * LINE * pixels <= 0.8 * height:
            return lines, pixels
        letters = letters * 5 // 4


def _raised(pixels: float) -> Placement:
    return Placement(y=Curve.fixed(-pixels))
