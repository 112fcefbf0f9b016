"""Find faces by family, weight and slant among those installed; some fonts are bundled for when none fits.

A face is a path, and what HarfBuzz reads of it once: opened files are mapped, not loaded, and shared by all
texts of a process. Fonts that are installed later are seen after a restart.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

import uharfbuzz as hb

from handlers.export.text import font_families

_BUNDLED = Path(__file__).parent / "fonts"
_OUTLINES = {"glyf", "CFF ", "CFF2", "CBDT", "sbix"}
_STYLE = (hb.StyleTag.WEIGHT, hb.StyleTag.WIDTH, hb.StyleTag.ITALIC, hb.StyleTag.SLANT_ANGLE)
_BOLD_FROM = 600
_EMBOLDEN = 0.028  # of the size, to each side; about what Chrome and FreeType add
_SHEAR = 0.2


@dataclass(frozen=True)
class Face:
    """One face of a font file.

    Attributes:
        index: which face, in a collection.
        family: the name of the family, without the style.
        alias: the same with the style that old programs treated as a separate family (`DejaVu Sans Condensed`).
        weight: 100..900, 400 is normal.
        width: percent, 100 is normal.
        bundled: it is part of this package.
    """

    path: Path
    index: int
    family: str
    alias: str
    weight: float
    width: float
    italic: bool
    bundled: bool = False

    @cached_property
    def shared(self) -> hb.Face:
        return hb.Face(hb.Blob.from_file_path(self.path), self.index)

    @cached_property
    def characters(self) -> hb.Set:
        """The code points that the face has."""
        return self.shared.unicodes

    def those(self, chars: set[str]) -> set[str]:
        """Return those of `chars` that the face has."""
        return _common(chars, self.characters)

    @cached_property
    def axes(self) -> dict[str, tuple[float, float]]:
        """The axes of a variable font, with the ends of their ranges."""
        return {axis.tag: (axis.min_value, axis.max_value) for axis in self.shared.axis_infos}

    @cached_property
    def coloured(self) -> bool:
        face = self.shared
        return bool(face.has_color_paint or face.has_color_layers or face.has_color_png)

    def at(self, size: float, *, bold: bool, italic: bool) -> hb.Font:
        """Return the face at `size` pixels, in units of 1/64 pixel; a missing bold or italic is synthesised."""
        font = hb.Font(self.shared)
        font.scale = (round(size * 64), round(size * 64))
        moved: dict[str, float] = {}
        if "wght" in self.axes:
            low, high = self.axes["wght"]
            moved["wght"] = min(high, max(low, 700 if bold else 400))
        if italic and self.axes.get("ital", (0, 0))[1] >= 1:
            moved["ital"] = 1
        elif italic and self.axes.get("slnt", (0, 0))[0] < 0:
            moved["slnt"] = self.axes["slnt"][0]
        if moved:
            font.set_variations(moved)
        if not self.coloured:
            if bold and max(self.weight, moved.get("wght", 0)) < _BOLD_FROM:
                font.synthetic_bold = _EMBOLDEN
            if italic and not self.italic and not moved.keys() & {"ital", "slnt"}:
                font.synthetic_slant = _SHEAR
        return font

    def distance(self, *, bold: bool, italic: bool) -> tuple[float, ...]:
        """Return how far the face is from the request; weight counts before slant, slant before width."""
        low, high = self.axes.get("wght", (self.weight, self.weight))
        weight = 700 if bold else 400
        away = max(low - weight, weight - high, 0.0)
        return away, self.italic != italic, abs(self.width - 100), abs(self.weight - weight)


def find(family: str, *, bold: bool = False, italic: bool = False) -> Face:
    """Return the nearest face: of the family itself, of one that looks like it, or the bundled one.

    Args:
        family: a name, or a list as CSS has it (`Inter, "Segoe UI", sans-serif`).
    """
    installed = _installed()
    requested = names(family)
    for name in (*requested, *chain.from_iterable(map(font_families.relatives, requested))):
        if found := installed.get(name):
            return min(found, key=lambda face: face.distance(bold=bold, italic=italic))
    return min(
        (face for face in _bundled() if face.family == "DejaVu Sans"),
        key=lambda face: face.distance(bold=bold, italic=italic),
    )


def names(family: str) -> list[str]:
    """Return the names of a CSS list, in lower case, without quotes."""
    return [name.strip(" '\"").casefold() for name in family.split(",")]


def is_requested(face: Face, family: str) -> bool:
    """Tell whether `face` is of the requested family, or looks the same."""
    name = names(family)[0]
    found = {face.family.casefold(), face.alias.casefold()}
    return font_families.is_generic(name) or bool(found & {name, *font_families.TWINS.get(name, ())})


@cache
def substitutes(*, bold: bool, italic: bool) -> tuple[Face, ...]:
    """Return all faces, in the order in which they substitute for a face that lacks a character."""
    plain = [face for face in _all() if not face.coloured]
    return tuple(sorted(plain, key=lambda face: _rank(face, bold, italic)))


def known(chars: set[str]) -> set[str]:
    """Return those of `chars` that at least one face has."""
    return _common(chars, _known())


@cache
def _known() -> hb.Set:
    every = hb.Set()
    for face in _all():
        every |= face.characters
    return every


def _common(chars: set[str], others: hb.Set) -> set[str]:
    found = hb.Set(map(ord, chars))
    found &= others
    return set(map(chr, found))


@cache
def emoji() -> tuple[Face, ...]:
    """Return the coloured faces: those installed, then the bundled one."""
    return tuple(face for face in _all() if face.coloured)


def _rank(face: Face, bold: bool, italic: bool) -> tuple[object, ...]:
    neutral = face.family.startswith(("Noto Sans", "DejaVu Sans")) and "Mono" not in face.family
    kind = 0 if neutral else 1 if face.bundled else 2
    return (
        kind,
        face.family.startswith("Noto Sans CJK"),
        face.distance(bold=bold, italic=italic),
        str(face.path),
    )


@cache
def _all() -> tuple[Face, ...]:
    installed = (face for found in _installed().values() for face in found)
    return tuple(dict.fromkeys((*installed, *_bundled())))


@cache
def _bundled() -> tuple[Face, ...]:
    return tuple(read(_BUNDLED, bundled=True))


@cache
def _installed() -> dict[str, list[Face]]:
    """Return the installed faces by their names in lower case."""
    found: dict[str, list[Face]] = {}
    for face in (face for folder in folders() for face in read(folder)):
        for name in {face.family.casefold(), face.alias.casefold()}:
            found.setdefault(name, []).append(face)
    return found


def folders() -> Iterator[Path]:
    """Yield the folders in which fonts are installed."""
    if sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"))
    else:
        yield from (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
    if home := os.environ.get("HOME"):
        yield from (Path(home, part) for part in ("Library/Fonts", ".fonts", ".local/share/fonts"))


def read(folder: Path, *, bundled: bool = False) -> Iterator[Face]:
    """Yield the faces below a folder; files that are no fonts are skipped."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in {".ttf", ".otf", ".ttc", ".otc"}:
            continue
        try:
            blob = hb.Blob.from_file_path(path)
        except (OSError, hb.HarfBuzzError):
            continue  # a broken font of the system must not fail the job
        for index in range(hb.Face(blob).count):
            face = hb.Face(blob, index)
            family = face.get_name(16) or face.get_name(1)
            if not family or not face.glyph_count or _OUTLINES.isdisjoint(face.table_tags):
                continue
            font = hb.Font(face)
            weight, width, italic, angle = (font.get_style_value(tag) for tag in _STYLE)
            slanted = italic > 0 or angle != 0
            yield Face(path, index, family, face.get_name(1) or family, weight, width, slanted, bundled)
