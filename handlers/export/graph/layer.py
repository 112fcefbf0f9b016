"""Compile one clip into a layer: scaled, turned, wiped and faded, ready to be laid over what is beneath it.

Most layers are *upright*: their size and angle never change. They are scaled once, and only where they are laid
may move, in whole pixels. All others are *warped*: each frame is mapped to its place at once, in fractions of a
pixel, because rounding the size anew in each frame would make a slow zoom tremble.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from handlers.export.graph import dsl, perspective
from handlers.export.graph.colour import Space
from handlers.export.graph.dsl import Stream
from handlers.export.graph.expressions import TickRange, number
from handlers.export.graph.geometry import Box, box, covers, motion, reach, rest, upright
from handlers.export.graph.inputs import Inputs
from handlers.export.graph.scaling import LARGEST, Material, fitted, mirrored, scaled, ticking, to_length
from handlers.export.model import Film, Placement

_RING = 2  # clear pixels around a warped picture, so that its edges become smooth
_CLEAR = "black@0.0"
_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


@dataclass(frozen=True, slots=True)
class Layer:
    """A stream to lay over the film, its upper left corner at (x, y): expressions for the filter `overlay`."""

    stream: Stream
    x: str
    y: str


class Placer:
    """Compiles the layer of one clip while it is seen."""

    def __init__(
        self, film: Film, inputs: Inputs, placement: Placement, ticks: TickRange, base: int, space: Space
    ) -> None:
        """`base` is the frame of the film at which the stream beneath begins."""
        self.film, self.inputs, self.placement, self.ticks, self.base = film, inputs, placement, ticks, base
        self.space = space

    def layer(self, material: Material, *, even: bool) -> Layer | None:
        """Return the layer, or None when all of it lies outside the film.

        Args:
            even: put an upright picture at even pixels, as in `box`.
        """
        film, place = self.film, self.placement
        where = box(film, replace(place, x=rest(place.x), y=rest(place.y)), material.size, even=even)
        large = where.width > LARGEST * film.width or where.height > LARGEST * film.height
        resting = place.x.constant is not None and place.y.constant is not None
        if not upright(place) or (large and not resting):
            return self._warped(material)
        if not resting:
            return self._moving(material, where)
        return self._resting(material, where) if where.seen(film) else None

    def _resting(self, material: Material, where: Box) -> Layer:
        seen = where.seen(self.film) or where
        space, sides = self.space, (where.left, where.top, seen.width, seen.height)
        odd = space.is_halved and any(value % 2 for value in sides)
        stream = fitted(self.film, material, where, self.placement, space.full_clear if odd else space.clear)
        stream = self._lasting(stream, material)
        stream = self._wiped(stream, lambda tick: (seen.left, seen.top), (seen.width, seen.height))
        left, top = seen.left, seen.top
        if odd:  # moved to even pixels, because colour would otherwise be half a sample away from light
            left, top = seen.left // 2 * 2, seen.top // 2 * 2
            width, height = (seen.width + 3) // 2 * 2, (seen.height + 3) // 2 * 2
            stream = stream.filter("pad", width, height, seen.left - left, seen.top - top, color=_CLEAR)
            stream = stream.filter("format", space.clear)
        return Layer(self._faded(stream), str(left), str(top))

    def _moving(self, material: Material, where: Box) -> Layer:
        stream = mirrored(material.stream, self.placement)
        stream = scaled(stream, material, where.width, where.height, self.space.clear)
        ticks, time = self.ticks, f"(t*{self.film.fps}+{self.base})"
        (left, moves), (top, rises) = (
            (Fraction(extent - pixels, 2), curve)
            for extent, pixels, curve in (
                (self.film.width, where.width, self.placement.x),
                (self.film.height, where.height, self.placement.y),
            )
        )

        def corner(tick: int) -> tuple[int, int]:
            return math.ceil(left + ticks.at(moves, tick) - 0.5), math.ceil(top + ticks.at(rises, tick) - 0.5)

        stream = self._faded(
            self._wiped(self._lasting(stream, material), corner, (where.width, where.height))
        )
        x, y = (
            f"ceil({number(rest)}+{ticks.expression(curve, time)}-0.5)"
            for rest, curve in ((left, moves), (top, rises))
        )
        return Layer(stream, x, y)

    # Changes from frame to frame

    def _lasting(self, stream: Stream, material: Material, *, changing: bool = False) -> Stream:
        """Make a frame for each of the film's, at its time; a still stays one frame if nothing about it changes."""
        place = self.placement
        changing = changing or place.opacity.constant is None or place.reveal.constant != 1
        if material.still and not changing:
            return stream
        stream = to_length(stream, self.ticks.end - self.ticks.first)
        return ticking(stream, self.film, self.ticks.first - self.base)

    def _wiped(
        self, stream: Stream, corner: Callable[[int], tuple[int, int]], size: tuple[int, int]
    ) -> Stream:
        """Clear the pixels where the film is not revealed.

        Args:
            corner: where the picture's upper left corner lies at a tick.
            size: its pixels.
        """
        reveal, side = self.placement.reveal, self.placement.side
        if reveal.constant == 1:
            return stream
        axis, extent = (0, self.film.width) if side in {"left", "right"} else (1, self.film.height)

        def hidden(tick: int) -> int:
            revealed = round(min(1.0, max(0.0, self.ticks.at(reveal, tick))) * extent)
            first = corner(tick)[axis]
            near = first + size[axis] - revealed if side in {"left", "top"} else extent - revealed - first
            return min(size[axis], max(0, near))

        # FFmpeg fills at most half a picture from one border, so the picture is doubled meanwhile.
        beside, larger = [0, 0], list(size)
        larger[axis] += size[axis] + size[axis] % 2
        beside[axis] = larger[axis] - size[axis] if side in {"left", "top"} else 0
        stream = stream.filter("pad", *larger, *beside, color=_CLEAR)
        option, fixed = ("fillborders", _OPPOSITE[side]), {"mode": "fixed", "color": _CLEAR}
        stream = self._driven(stream, option, lambda tick: str(hidden(tick)), fixed)
        return stream.filter("crop", *size, *beside, exact=1)

    def _faded(self, stream: Stream) -> Stream:
        opacity = self.placement.opacity
        if opacity.constant == 1:
            return stream

        def alpha(tick: int) -> str:
            return f"val*{round(min(1.0, max(0.0, self.ticks.at(opacity, tick))) * 255)}/255+0.5"

        if opacity.constant is not None:
            return stream.filter("lut", c3=alpha(self.ticks.first))
        return self._driven(stream, ("lut", "c3"), alpha, {})

    def _driven(
        self,
        stream: Stream,
        option: tuple[str, str],
        argument: Callable[[int], str],
        fixed: Mapping[str, object],
    ) -> Stream:
        """Pass the stream through a filter with an option that changes from tick to tick."""
        target, key = self.inputs.run.named(option[0]), option[1]
        commands = self.ticks.commands(f"{target} {key}", argument, self.base)
        start = argument(self.ticks.first)
        return stream.filter("sendcmd", c=commands).filter(target, **{key: start}, **fixed)

    # Warped pictures

    def _warped(self, material: Material) -> Layer | None:
        film, ticks, space, place = self.film, self.ticks, self.space, self.placement
        seen = reach(film, ticks, place, material.size)
        if seen is None:
            return None
        width, height = (
            max(2, min(LARGEST * extent, math.ceil(float(length) * ticks.largest(scale) / 2) * 2))
            for extent, length, scale in (
                (film.width, material.size[0], place.scale_x),
                (film.height, material.size[1], place.scale_y),
            )
        )
        if material.opaque and place.reveal.constant == 1 and covers(film, ticks, place, material.size):
            return self._covering(material, place, width, height)
        across, down = (max(b, p + 2 * _RING) for b, p in ((seen.width, width), (seen.height, height)))
        left, top = (across - width) // 2, (down - height) // 2
        full = space.full if material.opaque else space.full_clear
        stream = scaled(material.stream, material, width, height, full)
        stream = stream.filter("pad", across, down, left, top, color=_CLEAR)
        if material.opaque:  # clear pixels keep their neighbours' colour; otherwise edges would turn dark
            stream = stream.filter("fillborders", left, left, top, top, mode="smear")
            white = self.inputs.lavfi(f"color=white:s={width}x{height}:r={film.fps}:d={number(1 / film.fps)}")
            mask = white.video.filter("format", "gray").filter("pad", across, down, left, top, color="black")
            mask = mask.filter("lut", c0="255*gt(val,125)")  # because black and white may be 16 and 235
            stream = dsl.merge([stream, mask], "alphamerge")
        moving = None in (curve.constant for curve in motion(place))
        stream = self._lasting(stream, material, changing=moving)
        canvas = perspective.Canvas(material.size, (width, height), (across, down), seen)
        stream = self._mapped(stream, place, canvas)
        cut = (across - seen.width) // 2, (down - seen.height) // 2
        # The format is set before and after; otherwise FFmpeg may halve the chroma first and crop at even pixels only.
        stream = stream.filter("crop", seen.width, seen.height, *cut)
        stream = stream.filter("format", space.full_clear)
        stream = self._wiped(stream, lambda tick: (seen.left, seen.top), (seen.width, seen.height))
        stream = stream.filter("format", space.clear)
        return Layer(self._faded(stream), str(seen.left), str(seen.top))

    def _covering(self, material: Material, place: Placement, width: int, height: int) -> Layer:
        """Compile a picture that always covers the film, such as a slow zoom over a photograph.

        Without edges it needs no alpha, and half the samples of colour."""
        film = self.film
        # These sizes make the crop begin at even pixels.
        width, height = width + (width - film.width) % 4, height + (height - film.height) % 4
        stream = self._lasting(
            scaled(material.stream, material, width, height, self.space.opaque), material, changing=True
        )
        whole = Box(0, 0, film.width, film.height)
        canvas = perspective.Canvas(material.size, (width, height), (width, height), whole)
        stream = self._mapped(stream, place, canvas)
        stream = stream.filter("crop", film.width, film.height).filter(
            "format", self.space.opaque if place.opacity.constant == 1 else self.space.clear
        )
        return Layer(self._faded(stream), "0", "0")

    def _mapped(self, stream: Stream, place: Placement, canvas: perspective.Canvas) -> Stream:
        moving = None in (curve.constant for curve in motion(place))
        corners = perspective.corners(self.film, self.ticks, place, canvas)
        return stream.filter(
            "perspective", **corners, sense="destination", eval="frame" if moving else "init"
        )
