"""Draw a text into a PNG that FFmpeg lays over the film: what users write never becomes filter syntax."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont

from handlers.export import typeface
from handlers.export.model import Film, FilmError, Style, Text

_LARGEST = 32_000_000  # pixels of a text's box: 128 MB while it is drawn


@dataclass(frozen=True, slots=True)
class Raster:
    """A text as a picture whose upper left corner lies at (x, y) of the film.

    Attributes:
        face: the font that was used.
        lacking: characters that it doesn't have; each is drawn as an empty box.
    """

    path: Path
    x: int
    y: int
    face: typeface.Face
    lacking: str = ""


def draw(text: Text, film: Film, path: Path) -> Raster | None:
    """Writes the part of `text` within the film to `path` (PNG, RGBA); None when all of it lies outside.

    Raises:
        FilmError: the text is far too large to be drawn.
    """
    style = text.style
    face = typeface.find(style.family, bold=style.bold, italic=style.italic)
    font = face.at(style.size)
    lines = [_printable(line) for line in text.content.splitlines()]
    widths = [font.getlength(line) for line in lines]
    width = math.ceil(max(widths, default=0) + 2 * style.padding[0])
    height = math.ceil(len(lines) * style.size * style.line_height + 2 * style.padding[1])
    if width * height > _LARGEST:
        raise FilmError(
            f"The text “{text.name}” is too large to be drawn ({width} × {height} pixels); shorten it."
        )
    if width == 0 or height == 0:
        return None

    picture = _box(width, height, style)
    picture.alpha_composite(_letters(lines, widths, font, (width, height), style))
    if style.opacity < 1:
        picture.putalpha(picture.getchannel("A").point(lambda alpha: round(alpha * style.opacity)))
    if style.rotation % 360:
        picture = picture.rotate(
            -style.rotation, Image.Resampling.BICUBIC, expand=True, fillcolor=(*style.colour[:3], 0)
        )

    x = round((film.width - picture.width) / 2 + text.x)
    y = round((film.height - picture.height) / 2 + text.y)
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(picture.width, film.width - x), min(picture.height, film.height - y)
    if left >= right or top >= bottom:
        return None
    picture.crop((left, top, right, bottom)).save(path, format="PNG", compress_level=1)
    return Raster(path, x + left, y + top, face, _lacking("".join(lines), font))


def _box(width: int, height: int, style: Style) -> Image.Image:
    # Clear pixels carry the colour of their neighbours, or edges would turn grey where they are blended.
    picture = Image.new("RGBA", (width, height), (*(style.box if style.box[3] else style.colour)[:3], 0))
    if style.box[3]:
        ImageDraw.Draw(picture).rounded_rectangle((0, 0, width - 1, height - 1), style.radius, fill=style.box)
    return picture


def _letters(
    lines: list[str], widths: list[float], font: FreeTypeFont, size: tuple[int, int], style: Style
) -> Image.Image:
    picture = Image.new("RGBA", size, (*style.colour[:3], 0))
    pen = ImageDraw.Draw(picture)
    ascent, descent = font.getmetrics()
    pitch = style.size * style.line_height
    stroke = max(1, round(style.size / 14))
    for number, (line, width) in enumerate(zip(lines, widths, strict=True)):
        spare = size[0] - 2 * style.padding[0] - width
        x = style.padding[0] + spare * {"left": 0.0, "center": 0.5, "right": 1.0}[style.align]
        baseline = style.padding[1] + number * pitch + (pitch + ascent - descent) / 2
        pen.text((x, baseline), line, font=font, fill=style.colour, anchor="ls")
        for wanted, rise in ((style.underline, -0.1), (style.strike, 0.28)):
            if wanted and width:
                y = round(baseline - rise * style.size)
                pen.rectangle((x, y, x + width, y + stroke - 1), fill=style.colour)
    return picture


def _lacking(content: str, font: FreeTypeFont) -> str:
    unknown = bytes(font.getmask("\U0010ffff"))
    written = sorted(char for char in set(content) if unicodedata.category(char)[0] in "LNPS")
    return "".join(char for char in written if bytes(font.getmask(char)) == unknown)


def _printable(line: str) -> str:
    return "".join(char for char in line.expandtabs(4) if unicodedata.category(char) not in {"Cc", "Cs"})
