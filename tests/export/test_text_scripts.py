"""Scripts of the world: shaped, in their order, with faces that have them. Bundled fonts suffice for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from handlers.export.text import font_lookup
from handlers.export.text import glyphs as ink_of
from handlers.export.text.glyphs import Area
from handlers.export.text.layout import Glyph

from .calligraphy import LARGE, PLAIN, alike, drawn, ink, inked, plainly, raster, title, width


def hues(picture: Image.Image) -> set[int]:
    """The coarse hues of pixels that are opaque and clearly coloured."""
    pixels = picture.convert("RGB").convert("HSV").getcolors(1 << 20) or []
    opaque = picture.getchannel("A").getextrema()[1]
    counts = [(value, count) for count, value in pixels if isinstance(value, tuple)]
    return {hue // 24 for (hue, colour, _), count in counts if colour > 120 and count > 2 and opaque}


@pytest.mark.parametrize(
    ("logical", "visual"),
    [
        ("Hello world", "Hello world"),
        ("שלום", "םולש"),
        ("abc שלום!", "abc םולש!"),
        ("שלום abc", "abc םולש"),
        ("מחיר 25 ש", "ש 25 ריחמ"),
        ("(שלום)", "(םולש)"),
        ("a (שלום) b", "a (םולש) b"),
        ("שלום بيت", "\ufe96\ufef4\ufe91 םולש"),
    ],
)
def test_letters_stand_in_the_order_in_which_they_are_read(logical: str, visual: str, tmp_path: Path) -> None:
    picture = drawn(logical, tmp_path, LARGE)

    assert alike(picture, plainly(visual))
    assert logical == visual or not alike(picture, plainly(logical))


def test_arabic_letters_join(tmp_path: Path) -> None:
    joined = drawn("بيت", tmp_path, LARGE)

    assert alike(joined, plainly("\ufe96\ufef4\ufe91"))  # the same letters in their final, middle, first form
    assert width(joined) < 0.8 * width(drawn("ب\u200cي\u200cت", tmp_path, LARGE))


def test_arabic_stays_joined_when_letters_are_spaced(tmp_path: Path) -> None:
    assert width(drawn("بيت", tmp_path, replace(PLAIN, letter_spacing=20))) == width(drawn("بيت", tmp_path))


def test_arabic_joins_in_a_face_that_helps_out(tmp_path: Path) -> None:
    thai = replace(LARGE, family="Noto Sans Thai")

    assert width(drawn("بيت", tmp_path, thai)) < 0.8 * width(drawn("ب\u200cي\u200cت", tmp_path, thai))


def test_devanagari_letters_become_one(tmp_path: Path) -> None:
    assert width(drawn("क्ष", tmp_path)) < 0.8 * width(drawn("क्\u200cष", tmp_path))


def test_devanagari_vowels_stand_before_their_letter(tmp_path: Path) -> None:
    assert alike(drawn("हि", tmp_path, LARGE), plainly("िह", "NotoSansDevanagari.ttf"))


def test_thai_marks_stand_on_each_other(tmp_path: Path) -> None:
    bare, one, two = (drawn(word, tmp_path) for word in ("ท", "ที", "ที่"))

    assert inked(two)[1] < inked(one)[1] < inked(bare)[1]
    assert width(two) <= width(bare) + 3


def test_tamil_vowels_stand_around_their_letter(tmp_path: Path) -> None:
    assert alike(drawn("கொ", tmp_path, LARGE), plainly("ெகா", "NotoSansTamil.ttf"))


@pytest.mark.parametrize("text", ["नमस्ते", "สวัสดี", "வணக்கம்", "مرحبا", "שלום", "Ελλάδα", "Привет", "ﬁ → ½ ✓"])
def test_a_face_that_lacks_a_script_is_helped_out(text: str, tmp_path: Path) -> None:
    made = raster(title(text, replace(PLAIN, family="Georgia")), tmp_path)

    assert made
    assert not [note for note in made.notes if "characters" in note]


def test_emoji_have_their_own_colours(tmp_path: Path) -> None:
    assert hues(drawn("abc", tmp_path)) == set()
    assert len(hues(drawn("🎉", tmp_path))) > 2
    assert hues(drawn("❤️", tmp_path)) <= {0, 10}
    assert hues(drawn("☔", tmp_path))
    assert hues(drawn("❤\ufe0e☔\ufe0e", tmp_path)) == set()
    assert len(hues(drawn("🎉", tmp_path, replace(PLAIN, size=400)))) > 2  # cut off by the film


def test_emoji_may_be_stored_as_bitmaps(tmp_path: Path) -> None:
    (face,) = (face for face in font_lookup.read(Path(__file__).parent / "fonts") if face.coloured)
    font = face.at(60, bold=False, italic=False)
    placed = (Glyph(face, font, font.get_nominal_glyph(ord("🎉")), 0, 0), 10.0, 70.0)
    area = ink_of.extent(placed)
    left = Area(area.left, area.top, area.left + 30, area.bottom)
    whole, part = (ink_of.coloured(placed, each, PLAIN.colour) for each in (area, left))

    assert ink_of.is_coloured(placed[0])
    assert area.size == pytest.approx((77, 72), abs=3)
    assert len(hues(whole)) > 2
    cut = whole.crop((0, 0, *left.size))
    assert max(ImageStat.Stat(ImageChops.difference(cut, part)).mean) < 3


def test_emoji_are_as_opaque_as_their_text(tmp_path: Path) -> None:
    picture = drawn("😀", tmp_path, replace(PLAIN, size=60, colour=(255, 255, 255, 128)))

    assert max(picture.getchannel("A").tobytes()) == 128


def test_an_emoji_with_a_tone_of_skin_is_one_picture(tmp_path: Path) -> None:
    assert width(drawn("👍🏽", tmp_path)) == pytest.approx(width(drawn("👍", tmp_path)), abs=3)


def test_characters_that_no_font_has_are_told(tmp_path: Path) -> None:
    made = raster(title("ok \u0378 \U0003fffd e\u0378"), tmp_path)

    assert made
    assert made.notes == ("“title” has characters that no installed font has: U+0378 U+3FFFD",)


def test_accents_are_part_of_their_letter(tmp_path: Path) -> None:
    assert drawn("e\u0301", tmp_path).tobytes() == drawn("é", tmp_path).tobytes()
    assert ink(drawn("x\u0332", tmp_path)) > ink(drawn("x", tmp_path))
    assert width(drawn("x\u0302x\u0302", tmp_path)) == pytest.approx(width(drawn("xx", tmp_path)), abs=2)
