"""Texts that were made to cost memory, time or a traceback."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.export.model import Style
from handlers.export.text import TextError

from .calligraphy import PLAIN, drawn, ramp, raster, title

MAX_CHARACTERS = 20_000
CHANCE = random.Random(7)
ANYTHING = "".join(chr(CHANCE.randrange(0x20, 0x110000)) for _ in range(MAX_CHARACTERS))
LARGE = replace(PLAIN, size=1000)
HUGE = replace(PLAIN, size=4000)


@pytest.mark.parametrize(
    ("content", "style"),
    [
        pytest.param("word " * 4000, PLAIN, id="a line of 20,000"),
        pytest.param("x\n" * 2000, PLAIN, id="2,000 lines"),
        pytest.param("a" + "\u0301" * 19_999, PLAIN, id="a tower of marks"),
        pytest.param("\u202e\u202da" * 6600, PLAIN, id="overrides"),
        pytest.param("\u2068(א]" * 5000, PLAIN, id="isolates and brackets"),
        pytest.param("👩\u200d" * 10_000, PLAIN, id="joiners"),
        pytest.param(ANYTHING, PLAIN, id="anything"),
        pytest.param("Big 😀", HUGE, id="a size of 4,000"),
        pytest.param("x", replace(PLAIN, padding=(1e6, 1e6), box=(9, 9, 9, 255), radius=1e6), id="padding"),
        pytest.param("ab" * 1000, replace(PLAIN, letter_spacing=1e100, line_height=1e100), id="space"),
        pytest.param(
            "x", replace(PLAIN, box_offset=(1e100, -1e100), box=(9, 9, 9, 255), radius=9), id="far box"
        ),
        pytest.param("ab" * 1000, replace(PLAIN, letter_spacing=-50), id="letters that run backwards"),
        pytest.param("ab\n" * 1000, replace(PLAIN, line_height=0), id="lines upon each other"),
    ],
)
def test_cost_is_bounded(content: str, style: Style, tmp_path: Path) -> None:
    begun = time.monotonic()
    made = raster(title(content, style), tmp_path)

    assert time.monotonic() - begun < 5
    assert made is None or (made.pixels[0] <= 400 and made.pixels[1] <= 200)
    assert made is None or all(len(note) < 300 for note in made.notes)


def test_a_tower_of_marks_is_cut_off(tmp_path: Path) -> None:
    made = raster(title("a" + "\u0301" * 200), tmp_path)

    assert made
    assert 30 < made.height <= 30 + 2 * 20 + 2


def test_a_text_that_is_enlarged_without_bounds_is_drawn_coarsely(tmp_path: Path) -> None:
    made = raster(title("MMM\nMMM", LARGE, scale_x=ramp(0, 1), scale_y=ramp(0, 1)), tmp_path, 8)

    assert made
    assert made.pixels[0] * made.pixels[1] <= 32_000_000
    assert made.width == pytest.approx(2600, rel=0.1)


def test_a_text_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="“title” is too large"):
        raster(title("M" * 500, HUGE, x=ramp(-1e6, 1e6), y=ramp(-1e6, 1e6)), tmp_path)
    with pytest.raises(TextError, match="“title” is too large"):
        raster(title("M", replace(PLAIN, size=1e12)), tmp_path)


def test_a_text_that_is_far_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="“title” has 20001 characters; at most 20000"):
        raster(title("M" * (MAX_CHARACTERS + 1)), tmp_path)


@pytest.mark.parametrize("nothing", ["", "\x00", "\ud800\udfff", "\u200b\u2060\ufeff", "\x1b\x07"])
def test_a_text_of_nothing_is_not_drawn(nothing: str, tmp_path: Path) -> None:
    assert raster(title(nothing), tmp_path) is None


def test_control_characters_and_broken_surrogates_are_left_out(tmp_path: Path) -> None:
    assert drawn("a\x00b\x1b\ud800c", tmp_path).tobytes() == drawn("abc", tmp_path).tobytes()
