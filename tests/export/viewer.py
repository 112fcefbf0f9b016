"""Look at and listen to a finished film."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageStat

from listener.kit import ffmpeg
from tests.support.media import Colour

from .media_maker import BARS

RATE = 48_000


async def look(film: Path, frames: Sequence[int]) -> dict[int, Image.Image]:
    """The frames with these numbers, as RGB pictures."""
    folder = film.with_suffix(".look")
    folder.mkdir(exist_ok=True)
    wanted = sorted(set(frames))
    chosen = "+".join(f"eq(n\\,{number})" for number in wanted)
    convert = (
        "scale=in_color_matrix=bt709:in_range=tv:out_range=pc:flags=accurate_rnd+full_chroma_int,format=rgb24"
    )
    filters = ["-vf", f"select={chosen},{convert}", "-fps_mode", "passthrough"]
    await ffmpeg.run(["-i", film, *filters, str(folder / "%d.png")])
    return {number: _opened(folder / f"{index}.png") for index, number in enumerate(wanted, 1)}


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.copy()


def colour(picture: Image.Image, x: int, y: int, size: int = 12) -> Colour:
    """The mean colour of a square around (x, y)."""
    half = size // 2
    red, green, blue = ImageStat.Stat(picture.crop((x - half, y - half, x + half, y + half))).mean
    return round(red), round(green), round(blue)


def near(seen: Colour, wanted: Colour, tolerance: int = 4) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(seen, wanted, strict=True))


def number(picture: Image.Image) -> int:
    """The number that a frame of a `numbered` source shows."""
    width = picture.width // BARS
    bits = (colour(picture, width * bit + width // 2, picture.height // 2)[1] > 128 for bit in range(BARS))
    return sum(lit << bit for bit, lit in enumerate(bits))


async def listen(film: Path) -> tuple[array[float], array[float]]:
    """Left and right samples at 48 kHz, -1..1."""
    raw = film.with_suffix(".f32")
    await ffmpeg.run(["-i", film, "-map", "a", "-ac", "2", "-ar", str(RATE), "-f", "f32le", raw])
    samples = array("f", raw.read_bytes())
    return samples[0::2], samples[1::2]


def loudness(samples: array[float], start: float, end: float) -> float:
    """RMS level between two times in dB of full scale; -120 for silence."""
    window = samples[round(start * RATE) : round(end * RATE)]
    mean = sum(sample * sample for sample in window) / len(window)
    return max(-120.0, 10 * math.log10(mean)) if mean else -120.0


def pitch(samples: array[float], start: float, end: float) -> float:
    """Frequency of a pure tone in Hz, by its zero crossings."""
    window = samples[round(start * RATE) : round(end * RATE)]
    rising = sum(1 for before, after in pairwise(window) if before < 0 <= after)
    return rising / (end - start)
