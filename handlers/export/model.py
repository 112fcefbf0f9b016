"""The film that an export makes: when each clip is seen and heard, in exact time.

Every reader of a project format ends here and every renderer starts here. Times are `Fraction` seconds, so
that no sum drifts; only `Film.frame` and `Film.sample` turn a time into a frame or a sample. Lengths on the
picture are pixels of the film, colours are 8-bit sRGB with straight alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from handlers.export.clips import ONE, ZERO, Blend, Clip, Colour, Curve, Key, Placement, Side, Style, Text
from listener import ListenerError
from listener.kit.media import Media

__all__ = [
    "ONE",
    "SAMPLE_RATE",
    "STRAIGHT",
    "ZERO",
    "Blend",
    "Clip",
    "Colour",
    "Curve",
    "Film",
    "FilmError",
    "Format",
    "Key",
    "MediaItem",
    "Output",
    "Picture",
    "Placement",
    "Quality",
    "RenderError",
    "Rendered",
    "Side",
    "Sides",
    "Sound",
    "Source",
    "Style",
    "Text",
]

SAMPLE_RATE = 48_000
Sides = tuple[tuple[float, float], tuple[float, float]]
STRAIGHT: Sides = ((1.0, 0.0), (0.0, 1.0))


class FilmError(ListenerError):
    """This film can't be made; the text names the element or the limit, for the author of the project."""


class RenderError(ListenerError):
    """FFmpeg reported success, but its file is not the planned film; another attempt may succeed."""


@dataclass(frozen=True, slots=True)
class Picture(Clip):
    """A video or a still image; by itself as large as fits into the film, in its middle.

    Attributes:
        source: id of the media that it shows.
        offset: seconds into the source at the clip's start; a source that ends early holds its last frame.
        rate: seconds of the source that pass in a second of the film; 0 freezes the frame at `offset`.
        fit: `contain` shows all of it, `cover` fills the film and crops what stands out.
        blur: radii (sigma) of a Gaussian blur, across and down, in pixels of the film.
    """

    source: str
    offset: Fraction = Fraction(0)
    rate: Fraction = Fraction(1)
    placement: Placement = Placement()  # noqa: RUF009 - immutable
    fit: Literal["contain", "cover"] = "contain"
    blur: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Sound(Clip):
    """The sound of a media; silent where its source has none.

    Attributes:
        offset: seconds into the source at the clip's start.
        rate: seconds of the source that pass in a second of the film.
        keep_pitch: another rate leaves voices as high as they are.
        gain: multiple of the source's own amplitude; fades are part of it.
        sides: the film's left and right, each as shares of the source's left and right. A source of one channel
            is both of them, but never louder for it.
    """

    source: str
    offset: Fraction = Fraction(0)
    rate: Fraction = Fraction(1)
    keep_pitch: bool = True
    gain: Curve = ONE
    sides: Sides = STRAIGHT


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
        """Return the frame that begins nearest to `time`; a clip is seen from frame(start) to before frame(end)."""
        return _nearest(time * self.fps)

    def sample(self, time: Fraction) -> int:
        """Return the audio sample nearest to `time`, at `SAMPLE_RATE`."""
        return _nearest(time * SAMPLE_RATE)

    @property
    def frames(self) -> int:
        return max(1, self.frame(self.duration))

    @property
    def samples(self) -> int:
        """Samples of the sound, which is exactly as long as the frames are."""
        return self.sample(self.frames / self.fps)


@dataclass(frozen=True, slots=True)
class MediaItem:
    """A media file that a film needs, before it is fetched.

    Attributes:
        name: what the project's author calls it.
        url: an https or data URL, a key in the storage, or the name of a file that was written into the document.
    """

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Source:
    """A media file on the local disk and what a probe found in it.

    Attributes:
        name: what the project's author calls it; empty if it is not known.
        sound: a file of this program with its sound from the beginning on, in stereo at `SAMPLE_RATE`, if the sound
            must not be read from `path`; else None.
    """

    path: Path
    media: Media
    name: str = ""
    sound: Path | None = None

    @property
    def loops(self) -> bool:
        """Whether it is an animation, which starts over when it has ended, as it does in a browser."""
        video = self.media.video
        return self.media.format in {"gif", "apng"} and video is not None and not video.is_image


Format = Literal["mp4", "webm"]
Quality = Literal["low", "medium", "high", "very_high"]


@dataclass(frozen=True, slots=True)
class Output:
    """Container, quality and sound track of a film's file.

    Attributes:
        format: mp4 (H.264 and AAC) or webm (VP9 and Opus).
        quality: of picture and sound.
        sound: whether the film has a sound track.
    """

    format: Format = "mp4"
    quality: Quality = "high"
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished film that was checked.

    Attributes:
        frames: counted in the file.
        duration: of the picture, in seconds.
        size: bytes.
        warnings: a sentence for each thing that looks or sounds different from what was asked for.
    """

    path: Path
    frames: int
    duration: Fraction
    size: int
    warnings: tuple[str, ...]


def _nearest(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
