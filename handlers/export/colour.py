"""Every picture, whatever it comes as, becomes YUV by bt709 in limited range, and is tagged so."""

from __future__ import annotations

from typing import Any

from listener.kit.media import Video

Stream = Any  # ffmpeg-python has no types

# Said twice, to the frames and to the encoder: FFmpeg's version decides whose word the file's tags are.
TAGS = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
_RGB = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8")
_MATRICES = {"bt709": "bt709", "smpte170m": "bt601", "bt470bg": "bt601", "bt2020nc": "bt2020"}


def bt709(
    stream: Stream, pix_fmt: str, *, size: tuple[int, int] | None = None, matrix: str | None = None
) -> Stream:
    """Any picture as YUV by bt709, at another size if told so; by itself FFmpeg would make RGB bt601."""
    options = {"out_color_matrix": "bt709", "out_range": "tv", "flags": "bicubic+accurate_rnd"}
    if matrix:
        options["in_color_matrix"] = matrix
    return stream.filter("scale", *(size or ()), **options).filter("format", pix_fmt)


def matrix_of(video: Video) -> str | None:
    """The YUV matrix of a video by its tag, else by the custom for its kind and size; None for RGB."""
    if video.pix_fmt.startswith(_RGB):
        return None
    custom = "bt601" if video.is_image or min(video.width, video.height) < 720 else "bt709"
    return _MATRICES.get(video.matrix or "", custom)


def jpeg(stream: Stream) -> Stream:
    """A picture of the film as JPEGs have them: YUV by bt601 in full range."""
    options = {"in_color_matrix": "bt709", "in_range": "tv", "out_color_matrix": "bt601", "out_range": "pc"}
    return stream.filter("scale", **options).filter("format", "yuvj420p")
