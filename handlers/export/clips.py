"""Clips, their curves and their texts: the part of the model that the program which draws texts needs as well.

It imports nothing of this package, because that program starts for each film with texts.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

Colour = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Clip:
    """Something that begins and ends.

    Attributes:
        name: what the project's author calls it.
        start: seconds from the beginning of the film.
        length: seconds, greater than 0.
    """

    name: str
    start: Fraction
    length: Fraction

    @property
    def end(self) -> Fraction:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Key:
    """A point of a curve.

    Attributes:
        time: seconds from the clip's start; may lie outside of the clip.
        value: what the curve is there.
        stepped: it stays so until the next key, instead of moving to it in a straight line.
    """

    time: Fraction
    value: float
    stepped: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """A value that may change while a clip lasts: `keys` by ascending time, at least one."""

    keys: tuple[Key, ...]

    @staticmethod
    def fixed(value: float) -> Curve:
        return Curve((Key(Fraction(0), value),))

    @property
    def constant(self) -> float | None:
        """The value, or None if it changes."""
        values = {key.value for key in self.keys}
        return values.pop() if len(values) == 1 else None

    @property
    def largest(self) -> float:
        return max(key.value for key in self.keys)

    def at(self, time: Fraction) -> float:
        """Return the value at `time`; before the first key and after the last one it stays the same."""
        index = bisect_right(self.keys, time, key=lambda key: key.time)
        if index == 0:
            return self.keys[0].value
        key = self.keys[index - 1]
        if key.stepped or index == len(self.keys):
            return key.value
        following = self.keys[index]
        share = float((time - key.time) / (following.time - key.time))
        return key.value + (following.value - key.value) * share


ZERO, ONE = Curve.fixed(0.0), Curve.fixed(1.0)
Blend = Literal["normal", "multiply", "screen", "overlay"]
Side = Literal["left", "right", "top", "bottom"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Position and look of a clip. Every movement and every transition is a curve of one of these.

    Attributes:
        x, y: from the centre of the film to the centre of the clip, in pixels, to the right and down.
        scale_x, scale_y: multiples of the size that the clip has by itself; negative ones mirror it.
        rotation: degrees clockwise about its centre.
        opacity: 0..1.
        reveal: the share of the film, 0..1 from `side` on, within which it is seen; a wipe moves it.
        side: the edge of the film where what is revealed begins.
        blend: how its colours meet those beneath it.
    """

    x: Curve = ZERO
    y: Curve = ZERO
    scale_x: Curve = ONE
    scale_y: Curve = ONE
    rotation: Curve = ZERO
    opacity: Curve = ONE
    reveal: Curve = ONE
    side: Side = "left"
    blend: Blend = "normal"


@dataclass(frozen=True, slots=True)
class Style:
    """Font, colours and box of a text.

    Attributes:
        size: of the font, in pixels.
        letter_spacing: added after each letter, in pixels.
        line_height: distance of two baselines, as a multiple of `size`.
        box: colour of the box behind the lines.
        padding: between the lines and the edge of the box, horizontally and vertically.
        radius: of the corners of the box, in pixels.
        roundness: of the corners of the box too, as a share of half its shorter side, 0..1: 1 makes a pill. The
            larger of the two counts.
        box_offset: how far the box is moved against the lines, in pixels, to the right and down.
    """

    family: str
    size: float
    colour: Colour = (255, 255, 255, 255)
    box: Colour = (0, 0, 0, 0)
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    align: Literal["left", "center", "right"] = "left"
    letter_spacing: float = 0.0
    line_height: float = 1.5
    padding: tuple[float, float] = (0.0, 0.0)
    radius: float = 0.0
    roundness: float = 0.0
    box_offset: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Text(Clip):
    """Lines of text.

    Attributes:
        anchor: the share of the lines' width that lies left of the clip's centre, about which it also turns:
            0.5 for the middle of the lines, 0 where their left edge is the centre of the clip.
    """

    content: str
    style: Style
    placement: Placement = Placement()
    anchor: float = 0.5


class Canvas(Protocol):
    """The size of a film in pixels."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...
