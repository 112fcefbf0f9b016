"""The choice of a face for a family's name."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
import uharfbuzz as hb

from handlers.export.text import font_families, font_lookup

from .calligraphy import FONTS, PLAIN, raster, title


def test_an_unknown_family_falls_back_to_a_face_of_the_same_weight() -> None:
    assert font_lookup.find("No Such Font", bold=True).weight == 700
    assert font_lookup.find("No Such Font").weight == 400
    assert font_lookup.find('"No Such Font", DejaVu Sans').family == "DejaVu Sans"


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("Montserrat", "inter"),
        ("Playfair Display", "noto serif"),
        ("Bebas Neue", "oswald"),
        ("Pacifico", "caveat"),
        ("JetBrains Mono", "roboto mono"),
        ("Some Slab Serif", "noto serif"),
        ("Nothing Sans Mono", "roboto mono"),
        ("monospace", "roboto mono"),
        ("Arial", "liberation sans"),
    ],
)
def test_families_are_known_by_what_they_look_like(name: str, like: str) -> None:
    assert like in font_families.relatives(name.casefold())
    assert font_families.relatives(name.casefold())[-1]


def test_another_family_is_told_unless_nobody_could_see_it(tmp_path: Path) -> None:
    def notes(family: str) -> tuple[str, ...]:
        made = raster(title("ok", replace(PLAIN, family=family)), tmp_path)
        assert made
        return made.notes

    used = font_lookup.find("Nowhere Grotesk").family
    assert notes("Nowhere Grotesk") == (f"“title” is drawn in {used}: Nowhere Grotesk is not installed.",)
    assert notes("sans-serif") == notes("DejaVu Sans") == notes("DejaVu Sans, Inter") == ()


def test_a_folder_of_fonts_is_read(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    (tmp_path / "empty.otf").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no font either")
    files = [FONTS / "NotoSansThai.ttf", FONTS / "NotoSansTamil.ttf"]
    (tmp_path / "both.ttc").write_bytes(collection([file.read_bytes() for file in files]))
    found = list(font_lookup.read(tmp_path))

    assert [(face.path.name, face.index, face.family) for face in found] == [
        ("both.ttc", 0, "Noto Sans Thai"),
        ("both.ttc", 1, "Noto Sans Tamil"),
    ]
    assert [ord("ก") in face.characters for face in found] == [True, False]


def test_a_variable_font_is_as_heavy_is_requested() -> None:
    (face,) = (face for face in font_lookup.read(Path(__file__).parent / "fonts") if face.axes)
    plain, bold = (face.at(100, bold=wish, italic=False) for wish in (False, True))

    assert (plain.get_style_value(hb.StyleTag.WEIGHT), bold.get_style_value(hb.StyleTag.WEIGHT)) == (400, 700)
    assert bold.synthetic_bold[0] == 0
    assert bold.get_glyph_extents(1).width > plain.get_glyph_extents(1).width


def collection(fonts: list[bytes]) -> bytes:
    """Several fonts in one file, each with its own tables: what OpenType calls a collection."""
    start = 12 + 4 * len(fonts)
    starts, bodies = [], b""
    for font in fonts:
        begin = start + len(bodies)
        (count,) = struct.unpack_from(">H", font, 4)
        moved = bytearray(font)
        for table in range(count):
            place = 12 + 16 * table + 8
            struct.pack_into(">I", moved, place, struct.unpack_from(">I", font, place)[0] + begin)
        starts.append(begin)
        bodies += moved
    return struct.pack(f">4sHHI{len(fonts)}I", b"ttcf", 1, 0, len(fonts), *starts) + bodies
