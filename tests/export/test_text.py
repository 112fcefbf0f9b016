"""Texts as pictures, on a film of 400 × 200."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from handlers.export.model import Style

from .calligraphy import PLAIN, drawn, ink, inked, ramp, raster, title, width


def test_the_middle_of_the_box_is_the_centre_of_the_clip(tmp_path: Path) -> None:
    boxed = replace(PLAIN, box=(255, 0, 0, 255), padding=(8, 4))
    left, top, right, bottom = inked(drawn("Hello", tmp_path, boxed))

    assert (left + right) / 2 == pytest.approx(200, abs=1)
    assert (top + bottom) / 2 == 100
    assert bottom - top == 38  # one line of 30, and the padding


def test_the_box_moves_without_the_lines(tmp_path: Path) -> None:
    style = replace(PLAIN, colour=(0, 0, 255, 255), box=(255, 0, 0, 255), box_offset=(30, 20), padding=(4, 4))
    still, moved = (drawn("██", tmp_path, each) for each in (replace(style, box_offset=(0, 0)), style))

    def seen(picture: Image.Image, band: str) -> tuple[int, ...]:
        return picture.getchannel(band).point(lambda value: 255 * (value > 128)).getbbox() or ()

    assert seen(moved, "B") == seen(still, "B")
    left, top, right, bottom = seen(still, "R")
    assert seen(moved, "R") == (left + 30, top + 20, right + 30, bottom + 20)


def test_round_corners_are_smooth(tmp_path: Path) -> None:
    style = replace(PLAIN, box=(255, 0, 0, 255), padding=(10, 10), radius=10)
    picture = drawn("MMM", tmp_path, style)
    left, top, _, _ = inked(picture)
    corner = picture.getchannel("A").crop((left, top, left + 10, top + 10))

    assert corner.getpixel((0, 0)) == 0
    assert corner.getpixel((9, 9)) == 255
    assert any(0 < alpha < 255 for alpha in corner.tobytes())


def test_a_round_box_ends_in_half_circles(tmp_path: Path) -> None:
    picture = drawn("MMMMMM", tmp_path, replace(PLAIN, box=(255, 0, 0, 255), roundness=1))
    left, top, _, bottom = inked(picture)
    tip = inked(picture.crop((left, top, left + 1, bottom)))

    assert tip[1] + tip[3] == pytest.approx(bottom - top, abs=1)
    assert tip[3] - tip[1] < (bottom - top) / 2


def test_each_line_takes_its_own_height(tmp_path: Path) -> None:
    _, top, _, bottom = inked(drawn("H\r\nH\nH", tmp_path))
    _, first, _, last = inked(drawn("H", tmp_path))

    assert bottom - top == pytest.approx(last - first + 60, abs=1)


@pytest.mark.parametrize(("align", "spare"), [("left", 0), ("center", 0.5), ("right", 1)])
def test_short_lines_stand_where_the_alignment_says(
    align: Literal["left", "center", "right"], spare: float, tmp_path: Path
) -> None:
    picture = drawn("MMMMMMMMMM\nI", tmp_path, replace(PLAIN, align=align))
    left, _, right, _ = inked(picture.crop((0, 0, 400, 99)))
    narrow, _, end, _ = inked(picture.crop((0, 101, 400, 200)))

    assert (narrow + end) / 2 == pytest.approx(left + (right - left) * spare, abs=6)


@pytest.mark.parametrize("anchor", [0, 0.25, 1])
def test_the_anchor_is_the_share_of_the_lines_left_of_the_centre(anchor: float, tmp_path: Path) -> None:
    left, _, right, _ = inked(drawn("████", tmp_path, anchor=anchor))

    assert 200 - left == pytest.approx(anchor * (right - left), abs=2)


def test_letters_stand_as_far_apart_as_they_should(tmp_path: Path) -> None:
    assert (
        width(drawn("ab|", tmp_path, replace(PLAIN, letter_spacing=10))) == width(drawn("ab|", tmp_path)) + 20
    )


def test_bold_is_heavier_and_italic_leans(tmp_path: Path) -> None:
    def lean(style: Style) -> float:
        picture = drawn("ll", tmp_path, style)
        _, top, _, bottom = inked(picture)
        upper, lower = (picture.crop((0, y, 400, y + 4)) for y in (top, bottom - 4))
        return inked(upper)[0] - inked(lower)[0]

    assert ink(drawn("Heavy", tmp_path, replace(PLAIN, bold=True))) > 1.2 * ink(drawn("Heavy", tmp_path))
    assert lean(replace(PLAIN, italic=True)) >= 2 > lean(PLAIN)


def test_a_face_without_bold_and_italic_is_given_them(tmp_path: Path) -> None:
    thai = replace(PLAIN, family="Noto Sans Thai")
    plain, bold, italic = (
        drawn("กรุงเทพ", tmp_path, style)
        for style in (thai, replace(thai, bold=True), replace(thai, italic=True))
    )

    assert ink(bold) > 1.15 * ink(plain)
    assert italic.tobytes() != plain.tobytes()


def test_colour_opacity_and_clean_edges(tmp_path: Path) -> None:
    picture = drawn("█", tmp_path, replace(PLAIN, colour=(10, 200, 30, 128)))

    colours = [value for _, value in picture.getcolors() or [] if isinstance(value, tuple)]
    assert {value[:3] for value in colours if value[3]} == {(10, 200, 30)}
    assert max(picture.getchannel("A").tobytes()) == 128


def test_lines_under_and_through_the_text(tmp_path: Path) -> None:
    plain = inked(drawn("nnn", tmp_path))
    under = inked(drawn("nnn", tmp_path, replace(PLAIN, underline=True)))
    struck = drawn("   ", tmp_path, replace(PLAIN, strike=True))

    assert under[3] > plain[3]
    assert inked(struck)[3] - inked(struck)[1] == 1


def test_what_reaches_out_of_its_line_is_not_cut_off(tmp_path: Path) -> None:
    low = drawn("Åg", tmp_path, replace(PLAIN, line_height=0.5))

    assert inked(low)[3] - inked(low)[1] == inked(drawn("Åg", tmp_path))[3] - inked(drawn("Åg", tmp_path))[1]


def test_a_larger_scale_draws_more_pixels_of_the_same_size(tmp_path: Path) -> None:
    style = replace(PLAIN, box=(255, 0, 0, 255), padding=(8, 4), radius=4)
    once, twice = raster(title("Hello", style), tmp_path), raster(title("Hello", style), tmp_path, 2)

    assert once
    assert twice
    assert twice.pixels == pytest.approx([2 * length for length in once.pixels], abs=2)
    assert (twice.width, twice.height) == pytest.approx((once.width, once.height), abs=1)
    assert all(length % 2 == 0 for length in twice.pixels)


def test_what_never_comes_into_the_picture_is_not_drawn(tmp_path: Path) -> None:
    long = "M" * 500
    clips = title(long), title(long, x=ramp(-900, 900)), title(long, rotation=ramp(30))
    still, sliding, turned = (raster(clip, tmp_path) for clip in clips)

    assert still
    assert sliding
    assert turned
    assert (still.width, sliding.width) == (400, 400 + 2 * 900)
    assert turned.width == pytest.approx(math.hypot(400, 200), abs=2)
    assert raster(title("MMMM", x=ramp(900)), tmp_path) is None
    assert raster(title("MMMM", x=ramp(900, 100)), tmp_path)
    assert raster(title("MMMM", y=ramp(-110), rotation=ramp(90)), tmp_path)
    assert raster(title(""), tmp_path) is None
