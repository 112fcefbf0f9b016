"""Find a font by family, weight and slant among those installed; the last resort travels with us."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageFont

_BUNDLED = Path(__file__).parent / "fonts"

# Metric-compatible or close relatives of the families that editors offer, best first.
_RELATIVES = {
    "arial": ("liberation sans", "arimo", "helvetica"),
    "helvetica": ("liberation sans", "arimo", "arial"),
    "times": ("liberation serif", "tinos", "times new roman"),
    "times new roman": ("liberation serif", "tinos"),
    "courier": ("liberation mono", "cousine", "courier new"),
    "courier new": ("liberation mono", "cousine"),
    "georgia": ("gelasio", "liberation serif", "dejavu serif"),
    "verdana": ("dejavu sans",),
    "serif": ("liberation serif", "dejavu serif"),
    "monospace": ("liberation mono", "dejavu sans mono"),
    "sans-serif": ("liberation sans", "dejavu sans"),
}


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a font file."""

    path: Path
    family: str
    bold: bool
    italic: bool

    def at(self, size: float) -> ImageFont.FreeTypeFont:
        """The face at `size` pixels."""
        return ImageFont.truetype(self.path, size)

    def __str__(self) -> str:
        return " ".join([self.family, *["bold"] * self.bold, *["italic"] * self.italic])


def find(family: str, *, bold: bool = False, italic: bool = False) -> Face:
    """The nearest face: the family itself, its relatives, then the bundled one; weight counts before slant.

    Args:
        family: a name, or a list as CSS has it (`Inter, "Segoe UI", sans-serif`).
    """
    names = [name.strip(" '\"").casefold() for name in family.split(",")]
    for candidate in (relative for name in names for relative in (name, *_RELATIVES.get(name, ()))):
        if faces := _installed().get(candidate):
            return max(faces, key=lambda face: (face.bold == bold, face.italic == italic))
    return next(face for face in _faces(_BUNDLED) if face.bold == bold)


@cache
def _installed() -> dict[str, list[Face]]:
    families: dict[str, list[Face]] = {}
    for folder in _folders():
        for face in _faces(folder):
            families.setdefault(face.family.casefold(), []).append(face)
    return families


def _folders() -> Iterator[Path]:
    if sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"))
    else:
        yield from (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
    if home := os.environ.get("HOME"):
        yield from (Path(home, part) for part in ("Library/Fonts", ".fonts", ".local/share/fonts"))


def _faces(folder: Path) -> Iterator[Face]:
    """The faces below a folder: upright or slanted, normal or bold; other weights and widths are left out."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in {".ttf", ".otf"}:
            continue
        try:
            family, style = ImageFont.truetype(path, 16).getname()
        except OSError:
            continue  # a broken font of the system is not this job's business
        words = set((style or "").lower().split())
        if family and words <= {"regular", "book", "roman", "normal", "bold", "italic", "oblique"}:
            yield Face(path, family, "bold" in words, bool(words & {"italic", "oblique"}))
