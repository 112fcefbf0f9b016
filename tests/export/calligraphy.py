"""Draw texts and measure what was drawn; Pillow's plain drawing, letter by letter, is the reference."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TypedDict, Unpack

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageStat

from handlers.export import text
from handlers.export.model import Curve, Film, Key, Placement, Style, Text

FILM = Film(400, 200, Fraction(30), Fraction(1), (0, 0, 0), (), ())
PLAIN = Style("DejaVu Sans", 20)
FONTS = Path(text.__file__).parent / "fonts"
LARGE = replace(PLAIN, size=40)
Box = tuple[int, int, int, int]


class Curves(TypedDict, total=False):
    """The curves of a placement that a test may set."""

    x: Curve
    y: Curve
    scale_x: Curve
    scale_y: Curve
    rotation: Curve


def title(content: str, style: Style = PLAIN, *, anchor: float = 0.5, **placement: Unpack[Curves]) -> Text:
    return Text("title", Fraction(0), Fraction(1), content, style, Placement(**placement), anchor)


def ramp(*values: float) -> Curve:
    return Curve(tuple(Key(Fraction(number), value) for number, value in enumerate(values)))


def raster(clip: Text, folder: Path, scale: float = 1.0) -> text.Raster | None:
    return text.draw(clip, FILM, folder / "text.png", scale)


def drawn(content: str, folder: Path, style: Style = PLAIN, *, anchor: float = 0.5) -> Image.Image:
    """Draw a text in the middle of the film's canvas, which is clear otherwise."""
    canvas = Image.new("RGBA", (FILM.width, FILM.height))
    if made := raster(title(content, style, anchor=anchor), folder):
        with Image.open(made.path) as picture:
            canvas.alpha_composite(picture, ((400 - picture.width) // 2, (200 - picture.height) // 2))
    return canvas


def inked(picture: Image.Image) -> Box:
    """Left, top, right and bottom of what is not clear."""
    box = picture.getchannel("A").getbbox()
    assert box
    return box


def width(picture: Image.Image) -> int:
    left, _, right, _ = inked(picture)
    return right - left


def ink(picture: Image.Image) -> int:
    return sum(picture.getchannel("A").tobytes())


def plainly(content: str, font_file: str = "DejaVuSans.ttf") -> Image.Image:
    """The characters from left to right as they stand there, in a bundled face, large."""
    font = ImageFont.truetype(FONTS / font_file, 200, layout_engine=ImageFont.Layout.BASIC)
    picture = Image.new("RGBA", (4000, 600))
    ImageDraw.Draw(picture).text((100, 100), content, font=font, fill=(255, 255, 255, 255))
    return picture


def alike(one: Image.Image, other: Image.Image) -> bool:
    """Tell by a coarse comparison whether two pictures show the same ink, at any size."""
    cut = [picture.getchannel("A").crop(inked(picture)) for picture in (one, other)]
    first, second = (picture.width / picture.height for picture in cut)
    unlike = ImageChops.difference(*(picture.resize((64, 12), Image.Resampling.BOX) for picture in cut))
    return first == pytest.approx(second, rel=0.06) and ImageStat.Stat(unlike).mean[0] < 25
