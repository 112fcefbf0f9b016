"""Compute where a clip lies: rectangles of pixels, at rest and over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from handlers.export.graph.expressions import TickRange
from handlers.export.model import ZERO, Curve, Film, Placement


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels of the film; it may reach beyond it."""

    left: int
    top: int
    width: int
    height: int

    def fills(self, film: Film) -> bool:
        across = self.left <= 0 and self.left + self.width >= film.width
        return across and self.top <= 0 and self.top + self.height >= film.height

    def seen(self, film: Film) -> Box | None:
        """Return its part within the film, or None."""
        left, top = max(0, self.left), max(0, self.top)
        right, bottom = min(film.width, self.left + self.width), min(film.height, self.top + self.height)
        return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None


def upright(placement: Placement) -> bool:
    sizes = placement.scale_x.constant, placement.scale_y.constant
    turned = placement.rotation.constant
    return None not in sizes and turned is not None and turned % 360 == 0


def plain(placement: Placement) -> bool:
    """Tell whether a clip is upright, unmoved and opaque, so that it may be the ground."""
    resting = placement.x.constant is not None and placement.y.constant is not None
    whole = placement.opacity.constant == placement.reveal.constant == 1
    return upright(placement) and resting and whole and placement.blend == "normal"


def box(film: Film, placement: Placement, size: tuple[Fraction, Fraction], *, even: bool) -> Box:
    """Return where an upright clip lies that doesn't move.

    Args:
        even: round to even pixels, where colour is no fraction of a sample away from light.
    """
    step = 2 if even else 1
    place = []
    for extent, length, scale, move in (
        (film.width, size[0], placement.scale_x, placement.x),
        (film.height, size[1], placement.scale_y, placement.y),
    ):
        pixels = max(step, round(length * abs(Fraction(scale.keys[0].value)) / step) * step)
        corner = (extent - pixels) / 2 + move.keys[0].value
        place.append((math.ceil(corner / step - 0.5) * step, pixels))
    (left, width), (top, height) = place
    return Box(left, top, width, height)


def reach(film: Film, ticks: TickRange, place: Placement, size: tuple[Fraction, Fraction]) -> Box | None:
    """Return the rectangle of even pixels of the film that a warped clip ever touches, or None."""
    moving = None in (curve.constant for curve in motion(place))
    left, top, right, bottom = math.inf, math.inf, -math.inf, -math.inf
    for tick in range(ticks.first, ticks.end if moving else ticks.first + 1):
        x, y, scale_x, scale_y, rotation = (ticks.at(curve, tick) for curve in motion(place))
        cosine, sine = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
        half_x, half_y = abs(float(size[0]) * scale_x) / 2, abs(float(size[1]) * scale_y) / 2
        across = half_x * abs(cosine) + half_y * abs(sine) + 1
        down = half_x * abs(sine) + half_y * abs(cosine) + 1
        left, right = min(left, x - across), max(right, x + across)
        top, bottom = min(top, y - down), max(bottom, y + down)
    edges = left + film.width / 2, top + film.height / 2, right + film.width / 2, bottom + film.height / 2
    first_x, first_y = (math.floor(max(0, edge) / 2) * 2 for edge in edges[:2])
    end_x = math.ceil(min(film.width, edges[2]) / 2) * 2
    end_y = math.ceil(min(film.height, edges[3]) / 2) * 2
    return Box(first_x, first_y, end_x - first_x, end_y - first_y).seen(film)


def covers(film: Film, ticks: TickRange, place: Placement, size: tuple[Fraction, Fraction]) -> bool:
    """Tell whether a clip that isn't turned reaches all edges of the film in every frame."""
    if place.rotation.constant is None or place.rotation.constant % 360:
        return False
    sides = (film.width, size[0], place.scale_x, place.x), (film.height, size[1], place.scale_y, place.y)
    return all(
        float(length) * abs(ticks.at(scale, tick)) - 2 * abs(ticks.at(move, tick)) > extent - 0.001
        for tick in range(ticks.first, ticks.end)
        for extent, length, scale, move in sides
    )


def motion(place: Placement) -> tuple[Curve, ...]:
    return place.x, place.y, place.scale_x, place.scale_y, place.rotation


def rest(curve: Curve) -> Curve:
    return ZERO if curve.constant is None else curve
