"""Convert every picture into YUV by bt709 in limited range, and tag it so.

Where colours are multiplied with each other, rounding errors would grow. Such a film is composed in RGB, as a browser
does it, and converted at its end.
"""

from __future__ import annotations

from dataclasses import dataclass

from handlers.export.graph.dsl import Stream
from handlers.export.graph.hdr import hdr_of
from listener.kit.media import Video

# Set twice, on the frames and on the encoder: which of the two ends up in the file depends on the FFmpeg version.
TAGS = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
_RGB = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8")
_MATRICES = {"bt709": "bt709", "smpte170m": "bt601", "bt470bg": "bt601", "bt2020nc": "bt2020"}


@dataclass(frozen=True, slots=True)
class Space:
    """Pixel formats of a film while it is composed.

    Attributes:
        opaque, clear: FFmpeg's names of the pixel formats of pictures without and with transparency.
        full, full_clear: the same with a separate colour for each pixel.
        overlay: what the filter of that name calls them.
    """

    opaque: str
    clear: str
    full: str
    full_clear: str
    overlay: str

    @property
    def is_halved(self) -> bool:
        """Whether two pixels share a colour, so that pictures must lie at even pixels."""
        return self.opaque != self.full


YUV = Space("yuv420p", "yuva420p", "yuv444p", "yuva444p", "yuv420")
RGB = Space("gbrp", "gbrap", "gbrp", "gbrap", "gbrp")


def converted(
    stream: Stream, pix_fmt: str, *, size: tuple[int, int] | None = None, matrix: str | None = None
) -> Stream:
    """Convert any picture into YUV by bt709, or into RGB, and scale it to `size` if given.

    FFmpeg's default would be bt601."""
    options = {"flags": "bicubic+accurate_rnd"}
    if not pix_fmt.startswith(_RGB):
        options |= {"out_color_matrix": "bt709", "out_range": "tv"}
    if matrix:
        options["in_color_matrix"] = matrix
    return stream.filter("scale", *(size or ()), **options).filter("format", pix_fmt)


def kept(stream: Stream, size: tuple[int, int]) -> Stream:
    """Pass on pictures that are like the film's (`is_films`); FFmpeg copies only those of another size."""
    tagged = stream.filter("setparams", **TAGS, range="tv")
    return tagged.filter("scale", *size, flags="bicubic+accurate_rnd").filter("format", YUV.opaque)


def is_films(video: Video) -> bool:
    """Tell whether a video's colours are stored as those of a film."""
    plain = matrix_of(video) == "bt709" and not video.full_range and hdr_of(video) is None
    return plain and video.pix_fmt == YUV.opaque


def matrix_of(video: Video) -> str | None:
    """Return the YUV matrix of a video: its tag, or else what is usual for its kind and size; None for RGB."""
    if video.pix_fmt.startswith(_RGB):
        return None
    custom = "bt601" if video.is_image or min(video.width, video.height) < 720 else "bt709"
    if hdr_of(video):
        custom = "bt2020"
    return _MATRICES.get(video.matrix or "", custom)


def jpeg(stream: Stream) -> Stream:
    """Convert a picture of the film into the colours of a JPEG: YUV by bt601 in full range."""
    options = {"in_color_matrix": "bt709", "in_range": "tv", "out_color_matrix": "bt601", "out_range": "pc"}
    return stream.filter("scale", **options).filter("format", "yuvj420p")
