"""Read what a film or a picture shows."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from listener.kit import media

Colour = tuple[int, int, int]


def pixel(picture: Image.Image, x: int, y: int) -> Colour:
    """Return the colour of one pixel, without its opacity."""
    value = picture.convert("RGB").getpixel((x, y))
    assert isinstance(value, tuple)
    red, green, blue = value
    return red, green, blue


async def video_of(path: Path) -> media.Video:
    """Return the first picture stream of a file, which has one."""
    video = (await media.probe(path)).video
    assert video is not None
    return video


def seconds(found: media.Media) -> float:
    """Return the duration of a file that is no still."""
    assert found.duration is not None
    return float(found.duration)
