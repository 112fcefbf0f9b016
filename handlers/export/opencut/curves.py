"""Arithmetic of curves, for keyframes, transitions and volumes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

from handlers.export.model import Curve, Key, Placement

INSTANT = Fraction(1, 1_000_000)  # seconds: how long a jump takes, less than any frame
_STEPS = 6  # straight pieces for what two moving curves make together
_DECIBELS = 3.0  # the same for a straight line in decibels: then a piece is off by 0.13 dB at most


def mapped(curve: Curve, change: Callable[[float], float]) -> Curve:
    """Change each value of a curve by a linear function."""
    return Curve(tuple(Key(key.time, change(key.value), key.stepped) for key in curve.keys))


def clamped(curve: Curve, low: float, high: float) -> Curve:
    """Keep a curve between two values; where a line crosses one of them, a key is added."""
    keys: list[Key] = []
    for key, following in pairwise((*curve.keys, curve.keys[-1])):
        keys.append(Key(key.time, min(high, max(low, key.value)), key.stepped))
        rise = 0.0 if key.stepped else following.value - key.value
        if rise:
            span = following.time - key.time
            crossed = sorted(((bound - key.value) / rise, bound) for bound in (low, high))
            keys += [Key(key.time + span * Fraction(at), bound) for at, bound in crossed if 0 < at < 1]
    return Curve(tuple(keys))


def shifted(curve: Curve, seconds: Fraction) -> Curve:
    """Return the curve of a clip that begins `seconds` later."""
    if curve.constant is not None:
        return curve
    return Curve(tuple(Key(key.time - seconds, key.value, key.stepped) for key in curve.keys))


def combined(first: Curve, second: Curve, join: Callable[[float, float], float]) -> Curve:
    """Combine two curves by `join`, for example into their product."""
    if first.constant is not None:
        value = first.constant
        return mapped(second, lambda other: join(value, other))
    if second.constant is not None:
        value = second.constant
        return mapped(first, lambda other: join(other, value))
    times = sorted({key.time for curve in (first, second) for key in curve.keys})
    points: list[tuple[Fraction, float]] = []
    for time, following in pairwise(times):
        last = max(time, following - INSTANT)  # a curve that holds jumps at `following`
        steps = _STEPS if all(curve.at(time) != curve.at(last) for curve in (first, second)) else 1
        for step in range(steps):
            moment = time + (last - time) * step / steps
            points.append((moment, join(first.at(moment), second.at(moment))))
        points.append((last, join(first.at(last), second.at(last))))
    points.append((times[-1], join(first.at(times[-1]), second.at(times[-1]))))
    return Curve(tuple(Key(time, value) for time, value in points))


def amplitude(decibels: Curve) -> Curve:
    """Convert a curve of decibels into a curve of factors."""
    keys: list[Key] = []
    for key, following in pairwise((*decibels.keys, decibels.keys[-1])):
        rise = 0.0 if key.stepped else following.value - key.value
        steps = max(1, round(abs(rise) / _DECIBELS))
        for step in range(steps):
            share = Fraction(step, steps)
            time = key.time + (following.time - key.time) * share
            keys.append(Key(time, 10 ** ((key.value + rise * float(share)) / 20), key.stepped))
    return Curve(tuple(keys))


def still(placement: Placement, time: Fraction) -> Placement:
    """Freeze a placement at `time`."""
    return _each(placement, lambda curve: Curve.fixed(curve.at(time)))


def delayed(placement: Placement, seconds: Fraction) -> Placement:
    """Return the placement of the part of a clip that begins `seconds` later."""
    return _each(placement, lambda curve: shifted(curve, seconds))


def _each(placement: Placement, change: Callable[[Curve], Curve]) -> Placement:
    return Placement(
        x=change(placement.x),
        y=change(placement.y),
        scale_x=change(placement.scale_x),
        scale_y=change(placement.scale_y),
        rotation=change(placement.rotation),
        opacity=change(placement.opacity),
        reveal=change(placement.reveal),
        side=placement.side,
        blend=placement.blend,
    )
