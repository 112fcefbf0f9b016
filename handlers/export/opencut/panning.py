"""Convert a position between left and right into shares of a source's two channels."""

from __future__ import annotations

import math

from handlers.export.model import Sides


def panned(pan: float) -> Sides:
    """Convert a pan from -1 (left) to 1, as the Web Audio API's StereoPannerNode: the far side moves over."""
    turn = min(1.0, abs(pan)) * math.pi / 2
    stays, comes = math.cos(turn), math.sin(turn)
    return ((stays, 0.0), (comes, 1.0)) if pan > 0 else ((1.0, comes), (0.0, stays))


def balanced(pan: float) -> Sides:
    """Convert a balance from -1 (left) to 1: the far side only gets quieter."""
    return (1 - min(1.0, max(0.0, pan)), 0.0), (0.0, 1 - min(1.0, max(0.0, -pan)))


def one_after_the_other(first: Sides, second: Sides) -> Sides:
    (a, b), (c, d) = first
    (e, f), (g, h) = second
    return (e * a + f * c, e * b + f * d), (g * a + h * c, g * b + h * d)
