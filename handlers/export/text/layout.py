"""Turn lines of text into placed glyphs: choose a face for each character, order the runs, join the letters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import uharfbuzz as hb

from handlers.export.clips import Style
from handlers.export.text import bidi, emoji, font_lookup
from handlers.export.text.font_lookup import Face

_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTEXT = 5  # characters that HarfBuzz looks at on each side of a run

_HIDDEN = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"  # of Unicode's ignorables

# Scripts whose letters join: spacing is left out, because it would tear them apart; CSS allows this.
_JOINED = {"Arab", "Syrc", "Mong", "Nkoo", "Mand", "Adlm", "Rohg", "Phag"}


@dataclass(frozen=True, slots=True)
class Glyph:
    """A picture of a face at (x, y): pixels to the right and up from where its line's baseline begins."""

    face: Face
    font: hb.Font
    index: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    glyphs: list[Glyph]
    width: float


@dataclass(frozen=True, slots=True)
class _Run:
    """Characters start..end-1 of a line in one face and script; `content` is what is drawn of them."""

    face: Face
    script: str | None
    start: int
    end: int
    content: str


@dataclass(slots=True)
class Composer:
    """Sets lines in one style.

    Attributes:
        scale: pixels drawn for each pixel of the film.
        face: the style's own.
        lacking: characters that no face has, met so far; each is drawn as an empty box.
    """

    style: Style
    scale: float
    face: Face = field(init=False)
    lacking: set[str] = field(default_factory=set)
    _fonts: dict[Face, hb.Font] = field(default_factory=dict)
    _chosen: dict[str, tuple[Face, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        style = self.style
        self.face = font_lookup.find(style.family, bold=style.bold, italic=style.italic)

    @property
    def metrics(self) -> tuple[float, float]:
        """Pixels above and below the baseline that the style's own face reaches."""
        extents = self._font(self.face).get_font_extents("ltr")
        return extents.ascender / 64, -extents.descender / 64

    def lines(self, content: str) -> list[Line]:
        return [self._line(_printable(line)) for line in _BREAK.split(content)]

    def _line(self, line: str) -> Line:
        glyphs: list[Glyph] = []
        pen = 0.0
        for stretch in bidi.runs(line):
            found = list(self._runs(line, stretch))
            for run in reversed(found) if stretch.rtl else found:
                pen = self._shape(line, run, stretch.rtl, glyphs, pen)
        return Line(glyphs, pen)

    def _shape(self, line: str, run: _Run, rtl: bool, glyphs: list[Glyph], pen: float) -> float:
        """Add the glyphs of a run to `glyphs`, and return where the next run begins."""
        before = line[max(0, run.start - _CONTEXT) : run.start]
        buffer = hb.Buffer()
        around = f"{before}{run.content}{line[run.end : run.end + _CONTEXT]}"
        buffer.add_codepoints([*map(ord, around)], len(before), len(run.content))
        buffer.direction = "rtl" if rtl else "ltr"
        if run.script:
            buffer.script = run.script
        spacing = 0.0 if run.script in _JOINED else self.style.letter_spacing * self.scale
        font = self._font(run.face)
        hb.shape(font, buffer, {"liga": False, "clig": False} if spacing else None)
        infos, places = buffer.glyph_infos, buffer.glyph_positions
        for number, (info, place) in enumerate(zip(infos, places, strict=True)):
            x, y = pen + place.x_offset / 64, place.y_offset / 64
            glyphs.append(Glyph(run.face, font, info.codepoint, x, y))
            pen += place.x_advance / 64
            if number + 1 == len(infos) or infos[number + 1].cluster != info.cluster:
                pen += spacing
        return pen

    def _runs(self, line: str, stretch: bidi.Run) -> Iterator[_Run]:
        """Yield the parts of a stretch, in the order of the text."""
        clusters = list(_clusters(line, stretch.start, stretch.end))
        self._choose({line[start:end] for start, end in clusters})
        begin, of, script, pieces = stretch.start, self.face, None, list[str]()
        for start, end in clusters:
            face, content = self._chosen[line[start:end]]
            other = next(filter(None, map(_script, content)), None)
            if pieces and (face is not of or (script and other and script != other)):
                yield _Run(of, script, begin, start, "".join(pieces))
                begin, script, pieces = start, None, []
            of, script = face, script or other
            pieces.append(content)
        yield _Run(of, script, begin, stretch.end, "".join(pieces))

    def _choose(self, clusters: set[str]) -> None:
        """Choose a face for each cluster: an emoji's coloured one, the style's own, or one that has all of it."""
        unsettled: list[str] = []
        for cluster in sorted(clusters - self._chosen.keys()):
            plain = "".join(char for char in cluster if ord(char) not in emoji.TONES)
            tries = (cluster, plain) if emoji.is_picture(cluster) else ()
            pictures = ((face, shown) for shown in tries for face in font_lookup.emoji() if _has(face, shown))
            if picture := next(pictures, None):
                self._chosen[cluster] = picture
            elif _has(self.face, cluster):
                self._chosen[cluster] = self.face, cluster
            else:
                unsettled.append(cluster)
        if unsettled:
            self._substitute(unsettled)

    def _substitute(self, clusters: list[str]) -> None:
        style = self.style
        known = font_lookup.known({cluster[0] for cluster in clusters})
        left = [cluster for cluster in clusters if cluster[0] in known]
        faces = (self.face, *font_lookup.substitutes(bold=style.bold, italic=style.italic))
        for part in (None, 1):  # all of a cluster, or its letter without the marks
            for face in faces:
                if found := face.those({cluster[0] for cluster in left}):
                    here = [each for each in left if each[0] in found and _has(face, each[:part])]
                    self._chosen.update({cluster: (face, cluster) for cluster in here})
                    left = [cluster for cluster in left if cluster not in self._chosen]
        self._chosen.update({each: (self.face, each) for each in clusters if each not in self._chosen})
        for cluster in clusters:
            face = self._chosen[cluster][0]
            self.lacking.update(char for char in cluster if not _has(face, char))

    def _font(self, face: Face) -> hb.Font:
        if face not in self._fonts:
            style = self.style
            size = style.size * self.scale
            self._fonts[face] = face.at(size, bold=style.bold, italic=style.italic)
        return self._fonts[face]


def _printable(line: str) -> str:
    kept = (char for char in line.expandtabs(4) if unicodedata.category(char) not in {"Cc", "Cs"})
    return unicodedata.normalize("NFC", "".join(kept))


def _clusters(line: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield letters with the marks and joiners that belong to them, as indices."""
    begin = start
    for index in range(start + 1, end):
        if not emoji.continues(line[index], line[begin:index]):
            yield begin, index
            begin = index
    yield begin, end


def _has(face: Face, content: str) -> bool:
    """Tell whether a face has all of a cluster; HarfBuzz needs no face for spaces and invisible characters."""
    return all(
        ord(char) in face.characters or unicodedata.category(char) in {"Cf", "Zs"} or _hidden(char)
        for char in content
    )


def _hidden(char: str) -> bool:
    return char in _HIDDEN or "\ufe00" <= char <= "\ufe0f" or "\U000e0000" <= char <= "\U000e0fff"


@lru_cache(maxsize=4096)
def _script(char: str) -> str | None:
    """Return the script of a letter; None for characters that all scripts use. HarfBuzz guesses it from the letter."""
    buffer = hb.Buffer()
    buffer.add_str(char)
    buffer.guess_segment_properties()
    script: str | None = buffer.script
    return script
