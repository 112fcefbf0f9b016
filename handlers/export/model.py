"""The film that an export makes: what is shown and heard when, in exact time.

Every reader of a project format ends here and every renderer starts here. Times are `Fraction` seconds, so
that no sum drifts; only `Film.frame` and `Film.sample` turn a time into a frame or a sample. Lengths on the
picture are pixels of the film, colours are 8-bit sRGB with straight alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from listener.errors import ListenerError

Colour = tuple[int, int, int, int]
SAMPLE_RATE = 48_000


class FilmError(ListenerError):
    """This film can't be made; the text names the element or the limit, for the author of the project."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Something that begins and ends.

    Attributes:
        name: what the project's author calls it.
        start: seconds from the beginning of the film.
        length: seconds, greater than 0.
    """

    name: str
    start: Fraction
    length: Fraction

    @property
    def end(self) -> Fraction:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Picture(Clip):
    """A video or a still image, as large as fits into the film (contain), in its middle.

    Attributes:
        source: id of the media that it shows.
        offset: seconds into the source at the clip's start; a source that ends early holds its last frame.
    """

    source: str
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Style:
    """How a text looks.

    Attributes:
        size: of the font, in pixels.
        line_height: distance of two baselines, as a multiple of `size`.
        padding: between the lines and the edge of the box, horizontally and vertically.
        rotation: degrees clockwise about the centre of the box.
        opacity: of text and box together, 0..1.
    """

    family: str
    size: float
    colour: Colour = (255, 255, 255, 255)
    box: Colour = (0, 0, 0, 0)
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    align: Literal["left", "center", "right"] = "left"
    line_height: float = 1.5
    padding: tuple[float, float] = (0.0, 0.0)
    radius: float = 0.0
    rotation: float = 0.0
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Text(Clip):
    """Lines of text in a box whose centre lies at (x, y) from the centre of the film."""

    content: str
    style: Style
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Sound(Clip):
    """The sound of a media, at its own level; silent where its source has none."""

    source: str
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Film:
    """A whole film.

    Attributes:
        width, height: pixels, even.
        fps: frames a second.
        duration: seconds.
        background: behind everything, opaque.
        clips: what is seen, from the bottom to the top.
        sounds: what is heard, mixed.
    """

    width: int
    height: int
    fps: Fraction
    duration: Fraction
    background: tuple[int, int, int]
    clips: tuple[Picture | Text, ...]
    sounds: tuple[Sound, ...]

    def frame(self, time: Fraction) -> int:
        """The frame that begins nearest to `time`; a clip is seen from frame(start) to before frame(end)."""
        return _nearest(time * self.fps)

    def sample(self, time: Fraction) -> int:
        """The audio sample nearest to `time`, at `SAMPLE_RATE`."""
        return _nearest(time * SAMPLE_RATE)

    @property
    def frames(self) -> int:
        return max(1, self.frame(self.duration))

    @property
    def samples(self) -> int:
        """The sound is exactly as long as the frames are."""
        return self.sample(self.frames / self.fps)


def _nearest(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
