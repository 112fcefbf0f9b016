"""Draw a text into a PNG that is placed like any other still picture."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from handlers.export.clips import Canvas, Style, Text
from handlers.export.text import font_lookup, glyphs, visibility
from handlers.export.text.glyphs import Area, Placed
from handlers.export.text.layout import Composer, Line

_MAX_CHARACTERS = 20_000
_MAX_FONT_PIXELS = 100_000
_MAX_PIXELS = 32_000_000  # 128 MB while it is drawn
_MIN_SCALE = 0.25  # pixels for each of the film: less would look broken
_SHARES = {"left": 0.0, "center": 0.5, "right": 1.0}
_UNDER, _THROUGH = -0.1, 0.28  # where lines stand above the baseline, as shares of the size


class TextError(Exception):
    """A text can't be drawn; the sentence names it, for the author of the project."""


@dataclass(slots=True)
class Budget:
    """The work that the texts of a film may still take.

    Attributes:
        glyphs: that may be set.
        pixels: that may be drawn, those of each glyph and of each picture.
    """

    glyphs: float = math.inf
    pixels: float = math.inf

    def use(self, *, glyphs: int = 0, pixels: int = 0) -> None:
        """Take glyphs or pixels from the budget.

        Raises:
            TextError: not so many are left.
        """
        self.glyphs -= glyphs
        self.pixels -= pixels
        if self.glyphs < 0:
            raise TextError("The film's texts have too many characters (EXPORT_MAX_GLYPHS); shorten them.")
        if self.pixels < 0:
            raise TextError(
                "The film's texts take too many pixels (EXPORT_MAX_TEXT_GIGAPIXELS); "
                "shorten them, or make them smaller."
            )


@dataclass(frozen=True, slots=True)
class Raster:
    """A text as a picture, upright and as opaque as its style says; its centre is the centre of the clip.

    Attributes:
        pixels: width and height of the file.
        width, height: the same in pixels of the film, where the clip has its own size.
        notes: what the text's author should know.
    """

    path: Path
    pixels: tuple[int, int]
    width: float
    height: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """A line and where its baseline begins, from the centre of the clip."""

    line: Line
    x: float
    y: int

    def glyphs(self) -> Iterator[Placed]:
        return ((glyph, self.x + glyph.x, self.y - glyph.y) for glyph in self.line.glyphs)


def draw(
    text: Text, film: Canvas, path: Path, scale: float | None = None, budget: Budget | None = None
) -> Raster | None:
    """Draw `text` into the file `path` (PNG, RGBA), without the parts that are never seen.

    Args:
        scale: pixels of the file for each pixel of the film; None keeps the text crisp where it is largest. Fewer are
            drawn where the file would be too large.
        budget: what is used is taken from it; None sets no limit.

    Returns:
        None when no part of the text is ever seen; then there is no file.

    Raises:
        TextError: the text is far too long or too large to be drawn, or the budget is used up.
    """
    scale, budget = _crisp_scale(text) if scale is None else scale, budget or Budget()
    if len(text.content) > _MAX_CHARACTERS:
        raise TextError(
            f"The text “{text.name}” has {len(text.content)} characters; at most {_MAX_CHARACTERS} can be drawn."
        )
    if not text.style.size * scale < _MAX_FONT_PIXELS:
        raise TextError(f"The text “{text.name}” is too large to be drawn; make it smaller.")
    budget.use(glyphs=len(text.content))
    composer = Composer(text.style, scale)
    rows = _rows(composer, text)
    budget.use(glyphs=max(0, sum(len(row.line.glyphs) for row in rows) - len(text.content)))
    if not any(row.line.width for row in rows):
        return None
    box, area = _areas(rows, text, scale)
    halves = max(-area.left, area.right) / scale, max(-area.top, area.bottom) / scale
    if not area or visibility.is_outside(text, film, halves):
        return None
    reach = visibility.reach(text.placement, film)
    width, height = (math.ceil(min(half, far) * scale) for half, far in zip(halves, reach, strict=True))
    if 4 * width * height > _MAX_PIXELS:
        smaller = scale * math.sqrt(_MAX_PIXELS / (4 * width * height)) * 0.99
        if smaller > _MIN_SCALE:
            return draw(text, film, path, smaller, budget)
        raise TextError(f"The text “{text.name}” is too large to be drawn; shorten it, or make it smaller.")
    window = Area(-width, -height, width, height)
    budget.use(pixels=4 * width * height)
    picture = _board(box, window, text.style, scale)
    for row in rows:
        _write(row, picture, window, text.style, scale, budget)
    picture.save(path, format="PNG", compress_level=1)
    notes = tuple(_notes(text, composer))
    return Raster(path, picture.size, picture.width / scale, picture.height / scale, notes)


def _crisp_scale(text: Text) -> float:
    sizes = (key.value for curve in (text.placement.scale_x, text.placement.scale_y) for key in curve.keys)
    return min(8.0, max(0.1, *map(abs, sizes)))


def _rows(composer: Composer, text: Text) -> list[_Row]:
    style = text.style
    lines = composer.lines(text.content)
    pitch = style.size * style.line_height * composer.scale
    ascent, descent = composer.metrics
    width = max(line.width for line in lines)
    rows = []
    for number, line in enumerate(lines):
        x = -text.anchor * width + (width - line.width) * _SHARES[style.align]
        y = (number - len(lines) / 2) * pitch + (pitch + ascent - descent) / 2
        rows.append(_Row(line, x, round(y)))
    return rows


def _areas(rows: list[_Row], text: Text, scale: float) -> tuple[Area, Area]:
    """Return the box and the area of all that is drawn; marks that reach far beyond the lines are cut off."""
    style = text.style
    width = max(row.line.width for row in rows)
    height = len(rows) * style.size * style.line_height * scale
    left = -text.anchor * width
    lines = Area.around(left, -height / 2, left + width, height / 2)
    across, down = style.padding[0] * scale, style.padding[1] * scale
    right, below = round(style.box_offset[0] * scale), round(style.box_offset[1] * scale)
    box = Area(
        round(left - across) + right,
        round(-height / 2 - down) + below,
        round(left + width + across) + right,
        round(height / 2 + down) + below,
    )
    drawn = Area()
    for row in rows:
        for placed in row.glyphs():
            drawn |= glyphs.extent(placed)
        for bar in _bars(row, style, scale):
            drawn |= bar
    drawn &= lines.grown(style.size * scale)
    return box, box | drawn if style.box[3] else drawn | lines


def _board(box: Area, window: Area, style: Style, scale: float) -> Image.Image:
    """Draw the background of the letters: the box, or nothing."""
    # Clear pixels have their neighbours' colour; otherwise edges would turn grey where they are blended.
    picture = Image.new("RGBA", window.size, (*(style.box if style.box[3] else style.colour)[:3], 0))
    if style.box[3]:
        radius = max(style.radius * scale, style.roundness * min(box.size) / 2)
        cover = glyphs.box(box, radius, window)
        picture.putalpha(cover.point(lambda share: round(share * style.box[3] / 255)))
    return picture


def _write(row: _Row, picture: Image.Image, window: Area, style: Style, scale: float, budget: Budget) -> None:
    """Draw a line of text over the picture."""
    seen = [(placed, area) for placed in row.glyphs() if (area := glyphs.extent(placed) & window)]
    budget.use(pixels=sum(math.prod(area.size) for _, area in seen))
    plain = [(placed, area) for placed, area in seen if not glyphs.is_coloured(placed[0])]
    bars = [bar & window for bar in _bars(row, style, scale)]
    strip = Area()
    for area in (*(area for _, area in plain), *bars):
        strip |= area
    if strip:
        cover = glyphs.outlines([placed for placed, _ in plain], strip)
        for bar in filter(None, bars):
            cover.paste(255, bar.seen_from(strip))
        _lay(picture, Image.new("RGB", strip.size, style.colour[:3]), cover, strip, window, style.colour[3])
    for placed, area in seen:
        if glyphs.is_coloured(placed[0]):
            glyph = glyphs.coloured(placed, area, style.colour)
            _lay(picture, glyph.convert("RGB"), glyph.getchannel("A"), area, window, style.colour[3])


def _lay(
    picture: Image.Image, colours: Image.Image, cover: Image.Image, area: Area, window: Area, opacity: int
) -> None:
    colours.putalpha(cover.point(lambda share: round(share * opacity / 255)))
    picture.alpha_composite(colours, area.seen_from(window)[:2])


def _bars(row: _Row, style: Style, scale: float) -> Iterator[Area]:
    """Yield the bars under and through a line of text."""
    size = style.size * scale
    for drawn, rise in ((style.underline, _UNDER), (style.strike, _THROUGH)):
        if drawn and row.line.width:
            y = round(row.y - rise * size)
            yield Area(round(row.x), y, round(row.x + row.line.width), y + max(1, round(size / 14)))


def _notes(text: Text, composer: Composer) -> Iterator[str]:
    family = text.style.family
    if not font_lookup.is_requested(composer.face, family):
        yield f"“{text.name}” is drawn in {composer.face.family}: {family[:60]} is not installed."
    if composer.lacking:
        named = [
            char if char.isprintable() and not unicodedata.combining(char) else f"U+{ord(char):04X}"
            for char in sorted(composer.lacking)
        ]
        more = f" and {len(named) - 20} more" if len(named) > 20 else ""
        yield f"“{text.name}” has characters that no installed font has: {' '.join(named[:20])}{more}"
