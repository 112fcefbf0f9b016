"""Turn elements of *scenes* and *ticks* into clips and sounds of the model."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from handlers.export.model import (
    ONE,
    Blend,
    Curve,
    FilmError,
    Key,
    Picture,
    Placement,
    Sides,
    Sound,
    Style,
    Text,
)
from handlers.export.opencut import animation, schema
from handlers.export.opencut.animation import Animation
from handlers.export.opencut.builder import BOLD, TimelineBuilder
from handlers.export.opencut.curves import amplitude, clamped, combined, mapped
from handlers.export.opencut.elements import Element, Look, TextLook, Track, flat, undrawn
from handlers.export.opencut.known import ELEMENT
from handlers.export.opencut.panning import one_after_the_other, panned
from handlers.export.opencut.schema import check

_BLENDS: dict[str, Blend] = {
    "normal": "normal",
    "source-over": "normal",
    "multiply": "multiply",
    "screen": "screen",
    "overlay": "overlay",
}
_ANCHORS = {"left": 0.0, "center": 0.5, "right": 1.0}
_LINES = 90  # the height of the canvas in the unit of font sizes
_FONT = 15  # the font size for which the paddings of a box are given
_QUIETEST, _LOUDEST = -60.0, 20.0  # decibels, as the editor allows

_MAX_KEYS = 20_000  # of all elements, because each takes time to read and to draw

_PLACED = {"transform.positionX", "transform.positionY", "transform.scaleX", "transform.scaleY"}
_PLACED |= {"transform.rotate", "opacity"}


@dataclass(frozen=True, slots=True)
class Item:
    """An element that was checked.

    Attributes:
        kind: video, image, audio, text, or media, which older versions call both of the first.
    """

    name: str
    kind: str
    timing: Element
    look: Look
    motion: Animation


class ElementsBuilder(TimelineBuilder):
    """Reads single elements; a derived class finds them in its format.

    Attributes:
        version: of the project, for what changed its meaning but not its name.
        lines: height of the project's canvas.
        keys: keyframes so far.
    """

    version: float
    lines: float
    keys: int = 0

    def clock(self, time: float) -> Fraction:
        """Convert a time of the project into seconds."""
        return schema.exact(time)

    def sides(self, pan: float) -> Sides:
        """Convert an element's `pan` into shares of the sides."""
        return panned(pan)

    def item(self, raw: Mapping[str, Any], name: str) -> Item:
        """Check an element.

        Raises:
            FilmError: the element is malformed; the sentence names what is wrong.
        """
        where = f"“{name}”"
        params = flat(raw)
        if lost := ", ".join(dict.fromkeys(undrawn(raw, params))):
            way = "heard" if raw["type"] == "audio" else "shown"
            self.warn_of(name, f"is {way} without its {lost}.", f"are {way} without their {lost}.")
        self.inspect({**raw, "params": params}, ELEMENT, "", name)
        timing = check(Element, raw, where, self.clock)
        motion = animation.read(raw.get("animations"), where, self.clock, timing.duration)
        for way in motion.unknown:
            self.warn(f"{where} stays as it is beyond its keyframes: “{way[:40]}” is not supported.")
        self.keys += motion.keys
        if self.keys > _MAX_KEYS:
            raise FilmError(
                f"The project has more than {_MAX_KEYS:,} keyframes, up to {where}; that is the limit."
            )
        return Item(
            name,
            raw["type"],
            timing,
            check(TextLook if raw["type"] == "text" else Look, params, where),
            motion,
        )

    def picture(self, item: Item, track: Track) -> Picture | None:
        """Collect the sound of a media element, and return its picture."""
        timing, name = item.timing, item.name
        if timing.sourceUrl and not timing.mediaId:
            source, media = f"url {timing.sourceUrl}", item.kind
            self.use(source, name, timing.sourceUrl)
        else:
            source = timing.mediaId
            media = self.need(source, name) or item.kind
        kinds = {item.kind, media}
        if ("audio" in kinds or "image" not in kinds) and timing.isSourceAudioEnabled:
            self._sound(item, track, source)
        if "audio" in kinds:
            return None
        return Picture(
            name,
            timing.startTime,
            timing.duration,
            source,
            timing.trimStart,
            schema.exact(timing.rate),
            self._placement(item),
            fit="cover" if item.look.fit == "cover" else "contain",
        )

    def text(self, item: Item, look: TextLook) -> Text:
        where = f"“{item.name}”"
        clear = (0, 0, 0, 0)
        box = self.colour(look.box, clear, where) if look.boxed else clear
        padding = self.scale * look.fontSize / _FONT if box[3] else 0.0
        align = self.align(look.textAlign, item.name)
        style = Style(
            family=look.fontFamily,
            size=max(1.0, look.fontSize * self.lines / _LINES * self.scale),
            colour=self.colour(look.color, (255, 255, 255, 255), where),
            box=box,
            bold=look.fontWeight in BOLD,
            italic=look.fontStyle in {"italic", "oblique"},
            underline="underline" in look.textDecoration,
            strike="line-through" in look.textDecoration,
            align=align,
            letter_spacing=look.letterSpacing * self.scale,
            line_height=look.lineHeight,
            padding=(look.padding_x * padding, look.padding_y * padding),
            roundness=min(100.0, max(0.0, look.corners)) / 100,
            box_offset=(look.box_x * self.scale, look.box_y * self.scale),
        )
        timing, place = item.timing, self._placement(item)
        return Text(item.name, timing.startTime, timing.duration, look.content, style, place, _ANCHORS[align])

    def _sound(self, item: Item, track: Track, source: str) -> None:
        timing, moving = item.timing, item.motion.curves.get("volume")
        if self.version >= 18:  # decibels
            volume = moving or Curve.fixed(item.look.volume or 0.0)
            gain = amplitude(clamped(volume, _QUIETEST, _LOUDEST))
        else:
            volume = moving or Curve.fixed(1.0 if item.look.volume is None else item.look.volume)
            gain = clamped(volume, 0.0, 10.0)
        if track.volume != 1:
            gain = mapped(gain, lambda value: value * track.volume)
        gain = _faded(gain, item)
        if gain.constant == 0 or track.muted or item.look.muted:
            return
        if "pan" in item.motion.curves:
            self.warn(f"“{item.name}” does not move between left and right while it is heard.")
        self.sounds.append(
            Sound(
                item.name,
                timing.startTime,
                timing.duration,
                source,
                timing.trimStart,
                schema.exact(timing.rate),
                timing.keeps_pitch,
                ONE if gain.constant == 1 else gain,
                one_after_the_other(self.sides(item.look.pan), panned(track.pan)),
            )
        )

    def _placement(self, item: Item) -> Placement:
        look, curves = item.look, item.motion.curves
        still = {path.partition(":")[0] for path in (*item.motion.others, *(curves.keys() - _PLACED))}
        if still := still - {"volume", "pan"}:
            lost = ", ".join(sorted(still))[:200]
            self.warn_of(
                item.name,
                f"does not change its {lost} while it is seen.",
                f"do not change their {lost} while they are seen.",
            )
        if look.blend not in _BLENDS:
            rest = f"blended normally: “{look.blend[:40]}” is not supported."
            self.warn_of(item.name, f"is {rest}", f"are {rest}")

        def curve(path: str, value: float, limit: float, factor: float = 1.0) -> Curve:
            moving = curves.get(path) or Curve.fixed(value)
            return mapped(clamped(moving, -limit, limit), lambda at: at * factor)

        return Placement(
            x=curve("transform.positionX", look.x, 100_000, self.scale),
            y=curve("transform.positionY", look.y, 100_000, self.scale),
            scale_x=curve("transform.scaleX", look.scale_x, 100),
            scale_y=curve("transform.scaleY", look.scale_y, 100),
            rotation=curve("transform.rotate", look.rotation, 100_000),
            opacity=clamped(curve("opacity", look.opacity, 1), 0.0, 1.0),
            blend=_BLENDS.get(look.blend, "normal"),
        )


def _faded(gain: Curve, item: Item) -> Curve:
    length = item.timing.duration
    if fade := schema.exact(item.look.fade_in):
        gain = combined(gain, Curve((Key(Fraction(0), 0.0), Key(fade, 1.0))), operator.mul)
    if fade := schema.exact(item.look.fade_out):
        gain = combined(gain, Curve((Key(length - fade, 1.0), Key(length, 0.0))), operator.mul)
    return gain


def visible(placement: Placement) -> bool:
    return all(curve.constant != 0 for curve in (placement.opacity, placement.scale_x, placement.scale_y))
