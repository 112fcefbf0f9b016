"""Compute the corners for FFmpeg's filter `perspective`, which maps a whole picture to any quadrilateral."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from handlers.export.graph.expressions import TickRange, number
from handlers.export.graph.geometry import Box
from handlers.export.model import Curve, Film, Placement

_SMALLEST = 0.002  # a share of a picture's size; a picture of size 0 can't be mapped


@dataclass(frozen=True, slots=True)
class Canvas:
    """The surface on which a warped picture is drawn.

    Attributes:
        size: of the clip at scale 1, in pixels of the film.
        scaled: pixels of the picture before it is warped.
        pixels: of the canvas, in whose middle the picture lies.
        seen: the part of the film in the canvas' middle.
    """

    size: tuple[Fraction, Fraction]
    scaled: tuple[int, int]
    pixels: tuple[int, int]
    seen: Box


def corners(film: Film, ticks: TickRange, place: Placement, canvas: Canvas) -> dict[str, str]:
    """Return expressions of where the corners of a warped picture's canvas go, in pixels of the canvas."""
    tick = f"(in+{ticks.first - 1})"

    def text(curve: Curve) -> str:
        return f"({ticks.expression(curve, tick)})"

    grows = []
    for curve, length, pixels in zip((place.scale_x, place.scale_y), canvas.size, canvas.scaled, strict=True):
        grow, smallest = f"({text(curve)}*{number(length / pixels)})", _SMALLEST
        if min(key.value for key in curve.keys) * length / pixels < smallest:
            grow = f"(max(abs({grow}),{smallest})*(1-2*lt({grow},0)))"
        grows.append(grow)
    turn = place.rotation.constant
    if turn is None:
        angle = f"({text(place.rotation)}*{number(math.pi / 180)})"
        cosine, sine = f"cos({angle})", f"sin({angle})"
    else:
        cosine, sine = (number(f(math.radians(turn))) for f in (math.cos, math.sin))
    # FFmpeg counts from the middle of the first pixel, and this module from its edge.
    middles = [
        f"{number(Fraction(extent, 2) - corner + Fraction(whole - part, 2) - Fraction(1, 2))}+{text(move)}"
        for extent, corner, whole, part, move in (
            (film.width, canvas.seen.left, canvas.pixels[0], canvas.seen.width, place.x),
            (film.height, canvas.seen.top, canvas.pixels[1], canvas.seen.height, place.y),
        )
    ]
    found = {}
    for index, (right, low) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        x = number((right - 0.5) * canvas.pixels[0] + 0.5)
        y = number((low - 0.5) * canvas.pixels[1] + 0.5)
        found[f"x{index}"] = f"{middles[0]}+({x})*{grows[0]}*{cosine}-({y})*{grows[1]}*({sine})"
        found[f"y{index}"] = f"{middles[1]}+({x})*{grows[0]}*{sine}+({y})*{grows[1]}*({cosine})"
    return found
