"""Bring the pictures of a clip to their size, to the film's frame rate and to the film's colours."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from handlers.export.graph import colour, hdr
from handlers.export.graph.dsl import Stream
from handlers.export.graph.expressions import number
from handlers.export.graph.geometry import Box
from handlers.export.model import Film, Placement
from listener.kit.media import Video

LARGEST = 2
"""The largest multiple of the film's size to which a picture is scaled before it is cropped or warped."""


@dataclass(frozen=True, slots=True)
class Material:
    """The pictures of a clip before they are placed.

    Attributes:
        stream: a still's one frame, or frames at the film's rate.
        width, height: its pixels.
        size: pixels of the film that it covers at scale 1.
        opaque: the picture has no transparent pixels.
        still: one frame that stays.
        matrix: for `colour.converted`.
        is_films: the result of `colour.is_films`.
        hdr: the result of `hdr.hdr_of`.
        blur: as in `Picture`.
    """

    stream: Stream
    width: int
    height: int
    size: tuple[Fraction, Fraction]
    opaque: bool
    still: bool
    matrix: str | None = None
    is_films: bool = False
    hdr: str | None = None
    blur: tuple[float, float] = (0.0, 0.0)


def fitted(film: Film, material: Material, place: Box, placement: Placement, pix_fmt: str) -> Stream:
    """Scale an upright picture and crop it to the part that is seen; `place` lies at least partly within the film."""
    seen = place.seen(film) or place
    stream, whole = mirrored(material.stream, placement), place
    if place.width > LARGEST * film.width or place.height > LARGEST * film.height:
        stream, whole = _cropped(stream, material, place, seen)
    stream = scaled(stream, material, whole.width, whole.height, pix_fmt)
    if seen != whole:
        stream = stream.filter("crop", seen.width, seen.height, seen.left - whole.left, seen.top - whole.top)
    return stream


def steady(stream: Stream, video: Video) -> Stream:
    """Bring frames whose size or format differs from the first one to it; FFmpeg passes all others on unchanged."""
    if video.pix_fmt == "pal8":  # which the filter can't output
        return stream
    return stream.filter("scale", video.width, video.height, flags="bicubic+accurate_rnd")


def to_length(stream: Stream, frames: int) -> Stream:
    """Make exactly `frames` frames; the last one is repeated when there are too few."""
    return stream.filter("tpad", stop=-1, stop_mode="clone").filter("trim", end_frame=frames)


def ticking(stream: Stream, film: Film, first: int = 0) -> Stream:
    """Count times in whole frames of the film, so that nothing is rounded twice."""
    return stream.filter("settb", str(1 / film.fps)).filter("setpts", f"N+{first}" if first else "N")


def mirrored(stream: Stream, place: Placement) -> Stream:
    if place.scale_x.keys[0].value < 0:
        stream = stream.filter("hflip")
    return stream.filter("vflip") if place.scale_y.keys[0].value < 0 else stream


def scaled(stream: Stream, material: Material, width: int, height: int, pix_fmt: str) -> Stream:
    if material.hdr:  # at this size, because it is mostly the smaller one
        deep = "gbrp16" if material.opaque else "gbrap16"
        stream = colour.converted(stream, deep, size=(width, height), matrix=material.matrix)
        stream = hdr.toned(stream, material.hdr)
        material = replace(material, matrix=None, hdr=None)
    if any(material.blur):  # a small picture is blurred as well, and much faster
        full = pix_fmt.replace("420", "444")
        across, down = material.blur
        small = max(2, width // max(1, int(across / 2))), max(2, height // max(1, int(down / 2)))
        stream = colour.converted(stream, full, size=small, matrix=material.matrix)
        stream = stream.filter(
            "gblur", sigma=number(across * small[0] / width), sigmaV=number(down * small[1] / height)
        )
        return (
            stream.filter("scale", width, height, flags="bicubic")
            .filter("format", pix_fmt)
            .filter("setsar", 1)
        )
    size = width, height
    if material.is_films and pix_fmt == colour.YUV.opaque and size == (material.width, material.height):
        return colour.kept(stream, size).filter("setsar", 1)
    return colour.converted(stream, pix_fmt, size=size, matrix=material.matrix).filter("setsar", 1)


def _cropped(stream: Stream, material: Material, place: Box, seen: Box) -> tuple[Stream, Box]:
    """Crop a picture that is much larger than the film to what is seen; return it and where it lies."""

    def part(pixels: int, length: int, first: int, end: int) -> tuple[int, int, int, int]:
        share = Fraction(pixels, length)
        begin = max(0, math.floor(first * share / 2) * 2 - 2)
        stop = min(pixels, math.ceil(end * share) + 2)
        return (
            begin,
            stop - begin,
            round(begin / share / 2) * 2,
            max(2, round((stop - begin) / share / 2) * 2),
        )

    left, top = seen.left - place.left, seen.top - place.top
    x, width, right, wide = part(material.width, place.width, left, left + seen.width)
    y, height, low, high = part(material.height, place.height, top, top + seen.height)
    return stream.filter("crop", width, height, x, y), Box(place.left + right, place.top + low, wide, high)
