"""Turn the transitions between two clips of a track into curves of their placements.

Two families exist. One stands at the clip that comes (`transitionIn`) and begins at the cut: the clip that goes is
frozen meanwhile. The other stands at the track (`transitions`) or at the clip that goes (`transitionOut`) and has
the cut in its middle: first the clip that comes is frozen on its first picture, then the other one on its last.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

from handlers.export.model import Curve, Key, Picture, Side, Text
from handlers.export.opencut.curves import combined, still
from handlers.export.opencut.elements import Element, Track
from handlers.export.opencut.touching import GAP_SECONDS

Ramp = tuple[tuple[float, float], ...]
"""Values by progress, 0..1, joined by straight lines."""

RISE: Ramp = ((0, 0), (1, 1))
FALL: Ramp = ((0, 1), (1, 0))
SMOOTH: Ramp = tuple((step / 8, (step / 8) ** 2 * (3 - step / 4)) for step in range(9))

ALWAYS: Ramp = ((0, 1),)
NEVER: Ramp = ((0, 0),)


@dataclass(frozen=True, slots=True)
class Move:
    """The effect of a transition on one of its clips.

    Attributes:
        opacity: a factor.
        scale: a factor, about the clip's own centre.
        zoom: the same about the centre of the film.
        reveal: of the film, from `side` on.
        x, y: widths and heights of the film, added.
    """

    opacity: Ramp = ALWAYS
    scale: Ramp = ALWAYS
    zoom: Ramp = ALWAYS
    reveal: Ramp = ALWAYS
    side: Side = "left"
    x: Ramp = NEVER
    y: Ramp = NEVER


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of transition; the clip that comes lies above the other one."""

    coming: Move
    going: Move = Move()


def _slide(x: int, y: int) -> Kind:
    """Move both clips on by a film's width or height, to the right and down."""
    return Kind(Move(x=((0, -x), (1, 0)), y=((0, -y), (1, 0))), Move(x=((0, 0), (1, x)), y=((0, 0), (1, y))))


# The editors fade both clips, so that the background shines through in the middle.
_FADE = Kind(Move(opacity=RISE), Move(opacity=FALL))

KINDS = {
    "crossfade": _FADE,
    "fade": _FADE,
    "dissolve": Kind(Move(opacity=SMOOTH)),
    "fade-through-black": Kind(
        Move(opacity=((0, 0), (0.5, 0), (1, 1))), Move(opacity=((0, 1), (0.5, 0), (1, 0)))
    ),
    "slide": _slide(-1, 0),
    "slide-left": _slide(-1, 0),
    "slide-right": _slide(1, 0),
    "slide-up": _slide(0, -1),
    "slide-down": _slide(0, 1),
    "wipe": Kind(Move(reveal=RISE)),
    "wipe-right": Kind(Move(reveal=RISE)),
    "wipe-left": Kind(Move(reveal=RISE, side="right")),
    "wipe-up": Kind(Move(reveal=RISE, side="bottom")),
    "wipe-down": Kind(Move(reveal=RISE, side="top")),
    "zoom": Kind(Move(opacity=RISE, scale=((0, 0.8), (1, 1))), Move(opacity=FALL, scale=((0, 1), (1, 1.15)))),
    "zoom-in": Kind(Move(opacity=RISE), Move(opacity=FALL, zoom=((0, 1), (1, 1.5)))),
    # At its end the clip that comes jumps to its size, as in the editors.
    "zoom-out": Kind(Move(opacity=RISE, zoom=((0, 1), (1, 0.5), (1, 1))), Move(opacity=FALL)),
}


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition between the clips `going` and `going + 1` of a row.

    Attributes:
        start: seconds from the beginning of the film.
        length: seconds, greater than 0.
    """

    going: int
    kind: Kind
    start: Fraction
    length: Fraction


@dataclass(frozen=True, slots=True)
class Drawn:
    """An element of a track, and what is seen of it by itself."""

    element: Element
    clip: Picture | Text


def find(track: Track, row: Sequence[Drawn], warn: Callable[[str], None]) -> list[Transition]:
    """Return the transitions of a track.

    Args:
        row: what is seen of the track, by its start.
        warn: called with a sentence for each transition that can't be drawn.
    """
    listed = {(change.fromElementId, change.toElementId): change for change in track.transitions}
    found = []
    for index, drawn in enumerate(row):
        coming, before = drawn.element, row[index - 1].element if index else None
        change = before and (before.transitionOut or listed.get((before.id, coming.id)))
        centred = change is not None
        change = change or coming.transitionIn
        if change is None:
            continue
        name = drawn.clip.name
        named = centred or change.fromElementId in {"", before.id if before else ""}
        if before is None or not named or abs(coming.startTime - before.end) > GAP_SECONDS:
            warn(f"The transition to “{name}” is left out: no other clip ends where it begins.")
            continue
        kind = KINDS.get(change.type)
        if kind is None:
            warn(f"The transition “{change.type[:40]}” to “{name}” is drawn as a crossfade.")
        before_cut = coming.startTime - before.startTime
        room = 2 * min(before_cut, coming.duration) if centred else coming.duration
        length = min(change.duration, room)
        start = coming.startTime - (length / 2 if centred else 0)
        if length > 0:
            found.append(Transition(index - 1, kind or KINDS["crossfade"], start, length))
    return found


def apply(
    row: Sequence[Picture | Text], transitions: Sequence[Transition], width: int, height: int
) -> list[Picture | Text]:
    """Return the clips of a track with their transitions, from the bottom to the top.

    Args:
        row: by their starts.
        transitions: at most one for each pair of neighbours.
        width, height: of the film.
    """
    moved = list(row)
    below: dict[int, list[Picture | Text]] = {}  # frozen clips, by the one that they lie directly beneath
    above: dict[int, list[Picture | Text]] = {}
    for transition in transitions:
        going, coming = transition.going, transition.going + 1
        kind, cut, end = transition.kind, row[coming].start, transition.start + transition.length
        move = partial(_moved, transition=transition, width=width, height=height)
        if transition.start < cut:
            moved[going] = move(moved[going], kind.going)
            first = move(_frozen(row[coming], cut, transition.start, cut), kind.coming)
            above.setdefault(going, []).append(first)
        if cut < end:
            moved[coming] = move(moved[coming], kind.coming)
            last = move(_frozen(row[going], row[going].end - _LAST, cut, end), kind.going)
            below.setdefault(coming, []).append(last)
    return [
        drawn
        for index, clip in enumerate(moved)
        for drawn in (*below.get(index, ()), clip, *above.get(index, ()))
    ]


_LAST = Fraction(1, 120_000)  # a tick before the end of a clip its last picture is on the screen


def _frozen(clip: Picture | Text, moment: Fraction, start: Fraction, end: Fraction) -> Picture | Text:
    """Freeze a clip at one moment of the film, and show it from `start` to `end`."""
    into = moment - clip.start
    frozen = replace(clip, start=start, length=end - start, placement=still(clip.placement, into))
    if isinstance(frozen, Picture):
        return replace(frozen, offset=frozen.offset + into * frozen.rate, rate=Fraction(0))
    return frozen


def _moved(clip: Picture | Text, by: Move, transition: Transition, width: int, height: int) -> Picture | Text:
    begin = transition.start - clip.start

    def change(
        curve: Curve, points: Ramp, join: Callable[[float, float], float] = operator.mul, unit: int = 1
    ) -> Curve:
        if points in (ALWAYS, NEVER):
            return curve
        ramp = [Key(begin + transition.length * Fraction(at), value * unit) for at, value in points]
        return combined(curve, Curve(tuple(ramp)), join)

    place = clip.placement
    moved = replace(
        place,
        x=change(change(place.x, by.zoom), by.x, operator.add, width),
        y=change(change(place.y, by.zoom), by.y, operator.add, height),
        scale_x=change(change(place.scale_x, by.scale), by.zoom),
        scale_y=change(change(place.scale_y, by.scale), by.zoom),
        opacity=change(place.opacity, by.opacity),
        reveal=change(place.reveal, by.reveal),
        side=by.side if by.reveal != ALWAYS else place.side,
    )
    return replace(clip, placement=moved)
