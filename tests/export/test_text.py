"""Texts as pictures, on a film of 400 × 200."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from handlers.export import typeface
from handlers.export.model import Film, FilmError, Style, Text
from handlers.export.text import draw

FILM = Film(400, 200, Fraction(30), Fraction(1), (0, 0, 0), (), ())
PLAIN = Style("DejaVu Sans", 20)


def drawn(content: str, path: Path, style: Style = PLAIN, x: float = 0, y: float = 0) -> Image.Image:
    """The film's canvas, clear but for the text."""
    canvas = Image.new("RGBA", (FILM.width, FILM.height))
    raster = draw(Text("title", Fraction(0), Fraction(1), content, style, x, y), FILM, path / "text.png")
    if raster:
        with Image.open(raster.path) as picture:
            canvas.alpha_composite(picture, (raster.x, raster.y))
    return canvas


def inked(picture: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is not clear."""
    box = picture.getchannel("A").getbbox()
    assert box
    return box


def test_the_middle_of_the_box_lies_at_its_position(tmp_path: Path) -> None:
    boxed = replace(PLAIN, box=(255, 0, 0, 255), padding=(8, 4))
    left, top, right, bottom = inked(drawn("Hello", tmp_path, boxed, x=60, y=-40))

    assert (left + right) / 2 == pytest.approx(260, abs=1)
    assert (top + bottom) / 2 == pytest.approx(60, abs=1)
    assert bottom - top == 38  # one line of 30, and the padding


def test_each_line_takes_its_own_height(tmp_path: Path) -> None:
    _, top, _, bottom = inked(drawn("H\nH\nH", tmp_path))
    _, first, _, last = inked(drawn("H", tmp_path))

    assert bottom - top == pytest.approx(last - first + 60, abs=1)


@pytest.mark.parametrize(("align", "spare"), [("left", 0), ("center", 0.5), ("right", 1)])
def test_short_lines_stand_where_the_alignment_says(align: str, spare: float, tmp_path: Path) -> None:
    picture = drawn("MMMMMMMMMM\nI", tmp_path, replace(PLAIN, align=align))
    left, _, right, _ = inked(picture.crop((0, 0, 400, 99)))
    narrow, _, end, _ = inked(picture.crop((0, 101, 400, 200)))

    assert (narrow + end) / 2 == pytest.approx(left + (right - left) * spare, abs=6)


def test_bold_is_heavier(tmp_path: Path) -> None:
    def ink(style: Style) -> int:
        return sum(drawn("Heavy", tmp_path, style).getchannel("A").tobytes())

    assert ink(replace(PLAIN, bold=True)) > 1.2 * ink(PLAIN)


def test_colour_opacity_and_clean_edges(tmp_path: Path) -> None:
    picture = drawn("█", tmp_path, replace(PLAIN, colour=(10, 200, 30, 255), opacity=0.5))

    assert {pixel[:3] for _, pixel in picture.getcolors() or [] if pixel[3]} == {(10, 200, 30)}
    assert max(picture.getchannel("A").tobytes()) == 128


def test_lines_under_and_through_the_text(tmp_path: Path) -> None:
    plain = inked(drawn("nnn", tmp_path))
    under = inked(drawn("nnn", tmp_path, replace(PLAIN, underline=True)))
    struck = drawn("   ", tmp_path, replace(PLAIN, strike=True))

    assert under[3] > plain[3]
    assert inked(struck)[3] - inked(struck)[1] == 1


def test_a_quarter_turn_swaps_width_and_height(tmp_path: Path) -> None:
    left, top, right, bottom = inked(drawn("Hello", tmp_path))
    turned = inked(drawn("Hello", tmp_path, replace(PLAIN, rotation=90)))

    assert turned[2] - turned[0] == pytest.approx(bottom - top, abs=2)
    assert turned[3] - turned[1] == pytest.approx(right - left, abs=2)


def test_only_what_lies_within_the_film_is_drawn(tmp_path: Path) -> None:
    assert inked(drawn("████", tmp_path, x=200))[2] == 400
    assert drawn("MMMM", tmp_path, x=900).getbbox() is None
    assert drawn("", tmp_path).getbbox() is None


def test_control_characters_and_broken_surrogates_are_left_out(tmp_path: Path) -> None:
    assert drawn("a\x00b\x1b\ud800c", tmp_path).tobytes() == drawn("abc", tmp_path).tobytes()


def test_a_text_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FilmError, match="“title” is too large"):
        drawn("M" * 5000, tmp_path, replace(PLAIN, size=2000))


def test_characters_that_the_font_lacks_are_told(tmp_path: Path) -> None:
    title = Text("title", Fraction(0), Fraction(1), "naïve 日本 – ok", PLAIN)
    raster = draw(title, FILM, tmp_path / "text.png")

    assert raster
    assert raster.lacking == "日本"


def test_an_unknown_family_falls_back_and_says_so(tmp_path: Path) -> None:
    assert typeface.find("No Such Font", bold=True).path.name == "DejaVuSans-Bold.ttf"
    assert str(typeface.find('"No Such Font", DejaVu Sans')) == "DejaVu Sans"
