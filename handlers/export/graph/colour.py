"""Every picture, whatever it comes as, becomes YUV by bt709 in limited range, and is tagged so.

Where colours are multiplied with each other, what rounding takes from them would grow. Such a film is composed in
RGB, as a browser does it, and becomes YUV at its end.
"""

from __future__ import annotations

from dataclasses import dataclass

from handlers.export.graph.dsl import Stream
from handlers.export.graph.hdr import hdr_of
from listener.kit.media import Video

# Said twice, to the frames and to the encoder: FFmpeg's version decides whose word the file's tags are.
TAGS = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
_RGB = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8")
_MATRICES = {"bt709": "bt709", "smpte170m": "bt601", "bt470bg": "bt601", "bt2020nc": "bt2020"}


@dataclass(frozen=True, slots=True)
class Space:
    """What the colours of a film are while it is composed.

    Attributes:
        opaque, clear: FFmpeg's names of the pixel formats of pictures without and with transparency.
        full, full_clear: the same where each pixel has a colour of its own.
        overlay: what the filter of that name calls them.
    """

    opaque: str
    clear: str
    full: str
    full_clear: str
    overlay: str

    @property
    def is_halved(self) -> bool:
        """Two pixels share a colour: pictures must lie at even ones."""
        return self.opaque != self.full


YUV = Space("yuv420p", "yuva420p", "yuv444p", "yuva444p", "yuv420")
RGB = Space("gbrp", "gbrap", "gbrp", "gbrap", "gbrp")


def converted(
    stream: Stream, pix_fmt: str, *, size: tuple[int, int] | None = None, matrix: str | None = None
) -> Stream:
    """Any picture as YUV by bt709, or as RGB, at another size if told so; by itself FFmpeg would use bt601."""
    options = {"flags": "bicubic+accurate_rnd"}
    if not pix_fmt.startswith(_RGB):
        options |= {"out_color_matrix": "bt709", "out_range": "tv"}
    if matrix:
        options["in_color_matrix"] = matrix
    return stream.filter("scale", *(size or ()), **options).filter("format", pix_fmt)


def kept(stream: Stream, size: tuple[int, int]) -> Stream:
    """Pictures that are like the film's (`is_films`) and of its size: passed on without a copy, unless one of them
    is of another size."""
    tagged = stream.filter("setparams", **TAGS, range="tv")
    return tagged.filter("scale", *size, flags="bicubic+accurate_rnd").filter("format", YUV.opaque)


def is_films(video: Video) -> bool:
    """Whether its colours are written as those of a film."""
    plain = matrix_of(video) == "bt709" and not video.full_range and hdr_of(video) is None
    return plain and video.pix_fmt == YUV.opaque


def matrix_of(video: Video) -> str | None:
    """The YUV matrix of a video by its tag, else by the custom for its kind and size; None for RGB."""
    if video.pix_fmt.startswith(_RGB):
        return None
    custom = "bt601" if video.is_image or min(video.width, video.height) < 720 else "bt709"
    if hdr_of(video):
        custom = "bt2020"
    return _MATRICES.get(video.matrix or "", custom)


def jpeg(stream: Stream) -> Stream:
    """A picture of the film as JPEGs have them: YUV by bt601 in full range."""
    options = {"in_color_matrix": "bt709", "in_range": "tv", "out_color_matrix": "bt601", "out_range": "pc"}
    return stream.filter("scale", **options).filter("format", "yuvj420p")
