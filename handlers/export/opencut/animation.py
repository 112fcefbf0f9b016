"""Read keyframes, in the three shapes that versions of the editor wrote, into curves by the path of a property.

1. `{channels: {path: {keyframes: [{time, value, interpolation}]}}}`; the value of a position may be `{x, y}`.
2. From version 22: `{bindings: {path: {components: [{key, channelId}]}}, channels: {channelId: {keys}}}`.
3. From version 30: `{path: {keys}}`, or `{path: {component: {keys}}}`; remains of 2 may stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field

from handlers.export.model import Curve, FilmError, Key
from handlers.export.opencut.schema import Clock, Model, Moment, check, members

MAX_KEYS_OF_PROPERTY = 500  # keyframes of one property of one element

_STEPS = 12  # straight pieces for a Bézier curve
_FINE = 4096  # ends of these pieces are rounded to this part of the time between two keyframes
_NAMES = {  # of older versions
    "transform.position.x": ("transform.positionX",),
    "transform.position.y": ("transform.positionY",),
    "transform.position:x": ("transform.positionX",),
    "transform.position:y": ("transform.positionY",),
    "transform.scale": ("transform.scaleX", "transform.scaleY"),
}

Value = Annotated[float, Field(strict=True, ge=-1_000_000, le=1_000_000)]


class Handle(Model):
    """The vector from a keyframe to the point that bends the curve: `dt` in time, `dv` in value."""

    dt: Moment = Fraction(0)
    dv: Value = 0


class Keyframe(Model):
    time: Moment
    value: Value
    interpolation: str = "linear"
    segmentToNext: str | None = None
    leftHandle: Handle | None = None
    rightHandle: Handle | None = None

    @property
    def leads(self) -> str:
        """The interpolation up to the next keyframe: `hold`, `linear` or `bezier`."""
        way = self.segmentToNext or self.interpolation
        return "hold" if way == "step" else way


class Ends(Model):
    """The extrapolation before the first and after the last keyframe: `hold` or `linear`."""

    before: str = "hold"
    after: str = "hold"


@dataclass(frozen=True, slots=True)
class Animation:
    """The changes of an element over time.

    Attributes:
        curves: numbers, by the path of the property.
        others: paths of what changes in a way that is not a number.
        keys: how many keyframes there are.
        unknown: ways to go on beyond the keyframes that are not known.
    """

    curves: Mapping[str, Curve]
    others: tuple[str, ...]
    keys: int
    unknown: tuple[str, ...]


def read(raw: object, where: str, clock: Clock, length: Fraction) -> Animation:
    """Read the animation of an element that is seen for `length` seconds.

    Raises:
        FilmError: a keyframe is malformed, or there are too many.
    """
    curves: dict[str, Curve] = {}
    others: list[str] = []
    unknown: list[str] = []
    total = 0
    for path, keyframes, extrapolation in _channels(members(raw)):
        if not keyframes:
            continue
        if len(keyframes) > MAX_KEYS_OF_PROPERTY:
            raise FilmError(
                f"The {path[:40]} of {where} has {len(keyframes)} keyframes; the limit is {MAX_KEYS_OF_PROPERTY}."
            )
        if not all(isinstance(members(frame).get("value"), int | float) for frame in keyframes):
            others.append(path)
            continue
        keys = [
            check(Keyframe, frame, f"a keyframe of the {path[:40]} of {where}", clock) for frame in keyframes
        ]
        total += len(keys)
        ends = check(Ends, members(extrapolation), f"the {path[:40]} of {where}")
        unknown += [way for way in (ends.before, ends.after) if way not in {"hold", "linear"}]
        curve = _curve(sorted(keys, key=lambda key: key.time), ends, length)
        for name in _NAMES.get(path, (path,)):
            curves[name] = curve
    return Animation(curves, tuple(dict.fromkeys(others)), total, tuple(dict.fromkeys(unknown)))


def _channels(animations: Mapping[str, Any]) -> Iterator[tuple[str, list[Any], object]]:
    """Yield each channel's path, its keyframes and its extrapolation, as they were written."""
    names = {
        str(members(part).get("channelId")): _path(path, str(members(part).get("key")))
        for path, binding in members(animations.get("bindings")).items()
        for part in _list(members(binding).get("components"))
    }
    for key, channel in members(animations.get("channels")).items():
        keyframes = _list(members(channel).get("keyframes")) or _list(members(channel).get("keys"))
        path, ends = names.get(key, key.removesuffix(":value")), members(channel).get("extrapolation")
        if any(isinstance(members(frame).get("value"), dict) for frame in keyframes):
            for axis in ("x", "y"):
                yield f"{path}:{axis}", [_component(frame, axis) for frame in keyframes], ends
        else:
            yield path, keyframes, ends
    for path, channel in animations.items():
        if path in {"bindings", "channels"}:
            continue
        if "keys" in members(channel):
            yield path, _list(channel["keys"]), channel.get("extrapolation")
        else:
            for part, component in members(channel).items():
                raw = members(component)
                yield _path(path, part), _list(raw.get("keys")), raw.get("extrapolation")


def _path(path: str, part: str) -> str:
    return path if part == "value" else f"{path}:{part}"


def _component(frame: object, axis: str) -> dict[str, Any]:
    return {**members(frame), "value": members(members(frame).get("value")).get(axis)}


def _list(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _curve(frames: list[Keyframe], ends: Ends, length: Fraction) -> Curve:
    keys: list[Key] = []
    if ends.before == "linear" and frames[0].time > 0:
        keys += _beyond(frames[:2], Fraction(0))
    for frame, following in pairwise(frames):
        keys.append(Key(frame.time, frame.value, frame.leads == "hold"))
        if frame.leads == "bezier" and frame.time < following.time:
            keys += _bend(frame, following)
    keys.append(Key(frames[-1].time, frames[-1].value))
    if ends.after == "linear" and frames[-1].time < length:
        keys += _beyond(frames[-2:], length)
    return Curve(tuple(keys))


def _beyond(frames: list[Keyframe], time: Fraction) -> Iterator[Key]:
    """Yield the point at `time` on the straight line through two keyframes."""
    first, last = frames[0], frames[-1]
    if span := last.time - first.time:
        yield Key(time, first.value + float((time - first.time) / span) * (last.value - first.value))


def _bend(first: Keyframe, last: Keyframe) -> Iterator[Key]:
    """Yield the points between two keyframes on a cubic Bézier curve; a missing handle makes it straight."""
    span, rise = last.time - first.time, last.value - first.value
    if first.rightHandle is None and last.leftHandle is None:
        return
    right = first.rightHandle or Handle.model_construct(dt=span / 3, dv=rise / 3)
    left = last.leftHandle or Handle.model_construct(dt=-span / 3, dv=-rise / 3)
    leaves = min(1.0, max(0.0, float(right.dt / span)))
    arrives = 1 + max(-1.0, min(0.0, float(left.dt / span)))
    for step in range(1, _STEPS):
        share = step / _STEPS
        away, home = 3 * (1 - share) ** 2 * share, 3 * (1 - share) * share**2
        time = away * leaves + home * arrives + share**3
        value = away * right.dv + home * (rise + left.dv) + share**3 * rise
        yield Key(first.time + span * Fraction(round(time * _FINE), _FINE), first.value + value)
