"""Place clips in a small film, and calculate the colours that its pixels must have."""

from __future__ import annotations

import math
from fractions import Fraction

from handlers.export.model import Curve, Key, Placement
from tests.support.media import Colour

from .media_maker import QUARTERS

WIDTH, HEIGHT, FPS = 320, 180, Fraction(30)
BACKGROUND = (20, 30, 40)


def fixed(
    *,
    x: float = 0,
    y: float = 0,
    scale_x: float = 1,
    scale_y: float = 1,
    rotation: float = 0,
    opacity: float = 1,
    reveal: float = 1,
) -> Placement:
    return Placement(
        x=Curve.fixed(x),
        y=Curve.fixed(y),
        scale_x=Curve.fixed(scale_x),
        scale_y=Curve.fixed(scale_y),
        rotation=Curve.fixed(rotation),
        opacity=Curve.fixed(opacity),
        reveal=Curve.fixed(reveal),
    )


def line(*keys: tuple[float, float]) -> Curve:
    return Curve(tuple(Key(Fraction(time).limit_denominator(1000), value) for time, value in keys))


def at(curve: Curve, frame: int) -> float:
    return curve.at(frame / FPS)


def expected(placement: Placement, frame: int, x: int, y: int, margin: float) -> Colour | None:
    """The colour of the pixel (x, y) under an opaque placed picture; None within `margin` pixels of an edge."""
    dx = x + 0.5 - WIDTH / 2 - at(placement.x, frame)
    dy = y + 0.5 - HEIGHT / 2 - at(placement.y, frame)
    angle = math.radians(-at(placement.rotation, frame))
    scale_x, scale_y = at(placement.scale_x, frame), at(placement.scale_y, frame)
    right = (dx * math.cos(angle) - dy * math.sin(angle)) / scale_x
    down = (dx * math.sin(angle) + dy * math.cos(angle)) / scale_y
    for distance, scale in ((right, scale_x), (down, scale_y)):
        extent = WIDTH / 2 if distance is right else HEIGHT / 2
        if min(abs(distance), abs(abs(distance) - extent)) * abs(scale) < margin:
            return None
    if abs(right) > WIDTH / 2 or abs(down) > HEIGHT / 2:
        return BACKGROUND
    return QUARTERS[(right > 0) + 2 * (down > 0)]


STATIC = {
    "smaller, at odd pixels": fixed(scale_x=0.5, scale_y=0.5, x=41, y=-21),
    "larger": fixed(scale_x=2, scale_y=2, x=60.5, y=30),
    "stretched": fixed(scale_x=0.53, scale_y=1.25),
    "mirrored": fixed(scale_x=-0.7, scale_y=0.7),
    "upside down": fixed(scale_x=-0.7, scale_y=-0.7, x=20),
    "a quarter turned": fixed(rotation=90),
    "turned": fixed(rotation=-30, scale_x=0.6, scale_y=0.6, x=-50, y=10),
    "turned and mirrored": fixed(rotation=40, scale_x=-0.6, scale_y=0.8),
    "a detail": fixed(scale_x=12, scale_y=12, x=300, y=-400),
    "partly outside": fixed(scale_x=0.8, scale_y=0.8, x=-171, y=95),
}
MOVING = {
    "slides": Placement(x=line((0, -150), (1, 150)), scale_x=Curve.fixed(0.4), scale_y=Curve.fixed(0.4)),
    "zooms": Placement(
        scale_x=line((0, 0.2), (0.5, 1.4), (1, 0.6)), scale_y=line((0, 0.2), (0.5, 1.4), (1, 0.6))
    ),
    "turns": Placement(rotation=line((0, 0), (1, 360)), scale_x=Curve.fixed(0.5), scale_y=Curve.fixed(0.5)),
    "all at once": Placement(
        x=line((0.2, -60), (0.8, 60)),
        y=line((0, 30), (1, -30)),
        scale_x=line((0, 0.9), (1, 0.3)),
        scale_y=line((0, 0.3), (1, 0.9)),
        rotation=line((0.1, -45), (0.9, 200)),
    ),
    "comes near, beyond all edges": Placement(
        x=line((0, 0), (1, 61)),
        y=line((0, 0), (1, -40)),
        scale_x=line((0, 1), (1, 1.7)),
        scale_y=line((0, -1), (1, -1.63)),
    ),
    "jumps": Placement(
        x=Curve((Key(Fraction(0), -60.0, stepped=True), Key(Fraction(1, 2), 61.0, stepped=True))),
        scale_x=Curve.fixed(0.4),
        scale_y=Curve.fixed(0.4),
    ),
}
