"""Draw glyphs into pixels. Positions are pixels of the plane on which the text is set, to the right and down."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import uharfbuzz as hb
from PIL import Image, ImageDraw

from handlers.export.clips import Colour
from handlers.export.text.layout import Glyph

_ROUNDEST = 1500  # pixels of a corner's radius

Placed = tuple[Glyph, float, float]  # with the position of its origin, on the baseline


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of whole pixels."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @staticmethod
    def around(left: float, top: float, right: float, bottom: float) -> Area:
        return Area(math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))

    @property
    def size(self) -> tuple[int, int]:
        return max(0, self.right - self.left), max(0, self.bottom - self.top)

    def __bool__(self) -> bool:
        return self.right > self.left and self.bottom > self.top

    def __or__(self, other: Area) -> Area:
        if not (self and other):
            return self or other
        corner = min(self.left, other.left), min(self.top, other.top)
        return Area(*corner, max(self.right, other.right), max(self.bottom, other.bottom))

    def __and__(self, other: Area) -> Area:
        corner = max(self.left, other.left), max(self.top, other.top)
        return Area(*corner, min(self.right, other.right), min(self.bottom, other.bottom))

    def seen_from(self, other: Area) -> tuple[int, int, int, int]:
        """Return its edges, relative to the corner of another area."""
        x, y = other.left, other.top
        return self.left - x, self.top - y, self.right - x, self.bottom - y

    def grown(self, by: float) -> Area:
        return Area.around(self.left - by, self.top - by, self.right + by, self.bottom + by)


def extent(placed: Placed) -> Area:
    """Return the area that a glyph covers."""
    glyph, x, y = placed
    box = glyph.font.get_glyph_extents(glyph.index)
    if box is None or not box.width:
        return Area()
    left, top = x + box.x_bearing / 64, y - box.y_bearing / 64
    return Area.around(left, top, left + box.width / 64, top - box.height / 64).grown(1)


def is_coloured(glyph: Glyph) -> bool:
    """Tell whether a glyph has its own colours."""
    face = glyph.face.shared
    return glyph.face.coloured and bool(
        face.glyph_has_color_paint(glyph.index)
        or face.get_glyph_color_layers(glyph.index)
        or glyph.font.get_glyph_color_png(glyph.index).data
    )


def outlines(glyphs: Iterable[Placed], area: Area) -> Image.Image:
    """Draw glyphs without their own colours: the coverage of an area."""
    pen = hb.RasterDraw()
    pen.scale_factor = (64, 64)
    pen.extents = _extents(area)
    for glyph, x, y in glyphs:
        pen.transform = (1, 0, 0, 1, x * 64, -y * 64)
        pen.draw_glyph(glyph.font, glyph.index)
    return _pixels(pen.render(), "L", "L")


def coloured(placed: Placed, area: Area, text: Colour) -> Image.Image:
    """Draw the part of a coloured glyph within an area.

    Args:
        text: the colour of the text, for parts that follow it.
    """
    glyph, x, y = placed
    if stored := glyph.font.get_glyph_color_png(glyph.index).data:
        whole = extent(placed)
        with Image.open(BytesIO(stored)) as small:
            across, down = small.width / whole.size[0], small.height / whole.size[1]
            left, top = (area.left - whole.left) * across, (area.top - whole.top) * down
            part = left, top, left + area.size[0] * across, top + area.size[1] * down
            return small.convert("RGBA").resize(area.size, Image.Resampling.BICUBIC, part)
    brush = hb.RasterPaint()
    brush.scale_factor = (64, 64)
    brush.extents = _extents(area)
    brush.foreground = hb.Color(*text[:3], 255)
    brush.transform = (1, 0, 0, 1, x * 64, -y * 64)
    brush.paint_glyph(glyph.font, glyph.index)
    return _pixels(brush.render(), "RGBa", "BGRa").convert("RGBA")


def box(whole: Area, radius: float, window: Area) -> Image.Image:
    """Draw a box with round corners: the coverage of a window."""
    mask = Image.new("L", window.size)
    if seen := whole & window:
        mask.paste(255, seen.seen_from(window))
    side = int(min(radius, *(length / 2 for length in whole.size), _ROUNDEST))
    if not side:
        return mask
    fine = 4 if side < 500 else 1  # drawn larger and reduced: Pillow's own edges are not smooth
    disc = Image.new("L", (2 * side * fine, 2 * side * fine))
    ImageDraw.Draw(disc).ellipse((0, 0, disc.width - 1, disc.height - 1), fill=255)
    disc = disc.reduce(fine)
    for x, left in ((whole.left, 0), (whole.right - side, side)):
        for y, top in ((whole.top, 0), (whole.bottom - side, side)):
            corner = Area(x, y, x + side, y + side)
            if corner & window:
                mask.paste(disc.crop((left, top, left + side, top + side)), corner.seen_from(window)[:2])
    return mask


def _extents(area: Area) -> hb.RasterExtents:
    return hb.RasterExtents(area.left, -area.bottom, *area.size, 0)  # HarfBuzz counts upwards


def _pixels(image: hb.RasterImage, mode: str, raw: str) -> Image.Image:
    extents = image.extents
    return Image.frombuffer(
        mode, (extents.width, extents.height), image.buffer, "raw", raw, extents.stride, -1
    )
