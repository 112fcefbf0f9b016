"""Divide a film into its ground and its overlays, frame by frame.

A film of many clips could be made by laying one after the other over a canvas, but each layer costs a pass
over every frame. Most frames show just one picture: so the *ground* is a row of such pictures, joined without
any overlay, and only what really lies over another picture is an *overlay*. What an opaque picture hides is
not even decoded.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from handlers.export.graph.geometry import plain
from handlers.export.model import ONE, Film, Picture, Text


@dataclass(frozen=True, slots=True)
class Shot:
    """The ground of the frames first..end-1: one picture, or the bare background when `clip` is None."""

    clip: Picture | None
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """A clip over the ground, seen in each window (first frame, frame after the last)."""

    clip: Picture | Text
    windows: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Composition:
    """The ground of the frames first..end-1 without a gap, and what lies over it in drawing order."""

    first: int
    end: int
    shots: tuple[Shot, ...]
    overlays: tuple[Overlay, ...]

    @property
    def cuts(self) -> list[int]:
        """The frames at which something begins or ends, the first and the end among them."""
        shots = {frame for shot in self.shots for frame in (shot.first, shot.end)}
        return sorted(shots.union(*(window for overlay in self.overlays for window in overlay.windows)))

    @property
    def blended(self) -> list[tuple[int, int]]:
        """When layers are seen whose colours are blended with those beneath, as (first frame, frame after the last)."""
        blending = (overlay for overlay in self.overlays if overlay.clip.placement.blend != "normal")
        return [window for overlay in blending for window in overlay.windows]

    def part(self, first: int, end: int) -> Composition:
        """Return the composition of fewer frames."""

        def within(windows: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
            kept = ((max(first, start), min(end, stop)) for start, stop in windows)
            return tuple((start, stop) for start, stop in kept if start < stop)

        shots = ((shot.clip, within(((shot.first, shot.end),))) for shot in self.shots)
        overlays = (Overlay(overlay.clip, within(overlay.windows)) for overlay in self.overlays)
        return Composition(
            first,
            end,
            tuple(Shot(clip, *windows[0]) for clip, windows in shots if windows),
            tuple(overlay for overlay in overlays if overlay.windows),
        )


def compose(
    film: Film, *, fills: Callable[[Picture], bool], grounds: Callable[[Picture], bool]
) -> Composition:
    """Divide a film into its ground and its overlays, both complete and in drawing order.

    Args:
        fills: whether a picture hides all that is beneath it.
        grounds: whether a picture, with nothing but the background beneath it, may be the ground.
    """
    begins: dict[int, list[int]] = defaultdict(list)
    ends: dict[int, list[int]] = defaultdict(list)
    for height, clip in enumerate(film.clips):
        first, end = film.frame(clip.start), min(film.frame(clip.end), film.frames)
        if first < end:
            begins[first].append(height)
            ends[end].append(height)
    whole = [_whole(film, clip) if isinstance(clip, Picture) else [] for clip in film.clips]
    borders = (border for spans in whole for span in spans for border in span)
    cuts = sorted({0, film.frames, *begins, *ends, *borders})

    shots: list[Shot] = []
    windows: dict[int, list[tuple[int, int]]] = {}
    seen: list[int] = []  # heights of the clips between two cuts, bottom first
    for first, end in pairwise(cuts):
        for height in ends[first]:
            seen.remove(height)
        for height in begins[first]:
            insort(seen, height)
        stack = [
            _opaque(clip) if isinstance(clip, Picture) and _within(first, end, whole[height]) else clip
            for height, clip in ((height, film.clips[height]) for height in seen)
        ]
        above, ground = _ground(stack, fills, grounds)
        if shots and shots[-1].clip == ground:
            shots[-1] = Shot(ground, shots[-1].first, end)
        else:
            shots.append(Shot(ground, first, end))
        for height in seen[above:]:
            spans = windows.setdefault(height, [])
            if spans and spans[-1][1] == first:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((first, end))
    overlays = (Overlay(film.clips[height], tuple(windows[height])) for height in sorted(windows))
    return Composition(0, film.frames, tuple(shots), tuple(overlays))


def _within(first: int, end: int, spans: list[tuple[int, int]]) -> bool:
    return any(begin <= first and end <= stop for begin, stop in spans)


def _whole(film: Film, clip: Picture) -> list[tuple[int, int]]:
    """Return when a picture that fades or is wiped, but doesn't move, is wholly seen for a second or longer."""
    place = clip.placement
    if plain(place) or not plain(_opaque(clip).placement):
        return []
    first, end = film.frame(clip.start), min(film.frame(clip.end), film.frames)
    times = {key.time for curve in (place.opacity, place.reveal) for key in curve.keys}
    borders = {math.ceil((clip.start + time) * film.fps) for time in times}
    edges = [first, *sorted(border for border in borders if first < border < end), end]

    def is_whole(frame: int) -> bool:
        time = frame / film.fps - clip.start
        return place.opacity.at(time) == place.reveal.at(time) == 1

    # Between two keys a curve is straight.
    return [(a, b) for a, b in pairwise(edges) if b - a >= film.fps and is_whole(a) and is_whole(b - 1)]


def _opaque(clip: Picture) -> Picture:
    return replace(clip, placement=replace(clip.placement, opacity=ONE, reveal=ONE))


def _ground(
    stack: list[Picture | Text], fills: Callable[[Picture], bool], grounds: Callable[[Picture], bool]
) -> tuple[int, Picture | None]:
    """Return how many clips of a stack need not be drawn over the ground, and the picture that is the ground."""
    for index in reversed(range(len(stack))):
        clip = stack[index]
        if isinstance(clip, Picture) and fills(clip):
            return index + 1, clip
    if stack and isinstance(stack[0], Picture) and grounds(stack[0]):
        return 1, stack[0]
    return 0, None
