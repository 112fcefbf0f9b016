"""Compute which part of a clip can ever be seen, at all values of its curves."""

from __future__ import annotations

import math

from handlers.export.clips import Canvas, Curve, Placement, Text

_SMALLEST = 0.1  # a share of its size; a clip drawn even smaller may lack parts beyond ten times the film


def reach(placement: Placement, film: Canvas) -> tuple[float, float]:
    """Return how far from its centre a clip can be seen, along its axes and in its pixels."""
    x, y = film.width / 2 + _farthest(placement.x), film.height / 2 + _farthest(placement.y)
    if _turned(placement):
        x = y = math.hypot(x, y)
    scales = (max(_SMALLEST, _nearest(scale)) for scale in (placement.scale_x, placement.scale_y))
    return x / next(scales), y / next(scales)


def is_outside(text: Text, film: Canvas, halves: tuple[float, float]) -> bool:
    """Tell whether a clip that reaches `halves` to each side of its centre is never seen."""
    placement = text.placement
    width, height = halves[0] * _farthest(placement.scale_x), halves[1] * _farthest(placement.scale_y)
    if _turned(placement):
        width = height = math.hypot(width, height)
    beside = _nearest(placement.x) - width >= film.width / 2
    return beside or _nearest(placement.y) - height >= film.height / 2


def _turned(placement: Placement) -> bool:
    return any(key.value % 180 for key in placement.rotation.keys)


def _farthest(curve: Curve) -> float:
    return max(abs(key.value) for key in curve.keys)


def _nearest(curve: Curve) -> float:
    values = [key.value for key in curve.keys]
    return 0.0 if min(values) <= 0 <= max(values) else min(map(abs, values))
