"""FFmpeg's options for the container, the quality and the sound track of a film."""

from __future__ import annotations

from handlers.export.graph import colour
from handlers.export.model import SAMPLE_RATE, Film, Output

Options = dict[str, object]

_H264: dict[str, Options] = {
    "low": {"preset": "veryfast", "crf": 30},
    "medium": {"preset": "veryfast", "crf": 26},
    "high": {"preset": "veryfast", "crf": 23},
    "very_high": {"preset": "fast", "crf": 18},
}
_VP9: dict[str, Options] = {
    "low": {"cpu-used": 6, "crf": 42},
    "medium": {"cpu-used": 6, "crf": 37},
    "high": {"cpu-used": 5, "crf": 32},
    "very_high": {"cpu-used": 4, "crf": 24},
}
STILL: Options = {"q:v": 3, "format": "image2", "update": 1}
_SOUND: dict[str, str] = {"low": "96k", "medium": "128k", "high": "192k", "very_high": "256k"}


def whole(output: Output, film: Film) -> Options:
    """Return the options of a film that is made in one run.

    The graph ends by itself: a limit on frames would end the sound too, which may be some packets behind.
    """
    return {**_picture(output, film), **_sound(output), **_container(output)}


def segment(output: Output, film: Film, frames: int) -> Options:
    """Return the options of some frames without sound: always an MP4, because it counts time in whole frames."""
    timescale = (film.fps * (1 if film.fps.denominator > 1 else 512)).numerator
    return {
        **_picture(output, film),
        "frames:v": frames,
        "an": None,
        "video_track_timescale": timescale,
        "format": "mp4",
    }


def joined(output: Output) -> Options:
    """Return the options of segments that become one file."""
    return {"vcodec": "copy", **_sound(output), **_container(output)}


def _container(output: Output) -> Options:
    clean: Options = {"map_metadata": -1, "map_chapters": -1, "format": output.format}
    return {**clean, "movflags": "+faststart"} if output.format == "mp4" else clean


def _sound(output: Output) -> Options:
    if not output.sound:
        return {"an": None}
    codec = "aac" if output.format == "mp4" else "libopus"
    return {"acodec": codec, "audio_bitrate": _SOUND[output.quality], "ar": SAMPLE_RATE}


def _picture(output: Output, film: Film) -> Options:
    if output.format == "mp4":
        codec: Options = {"vcodec": "libx264", **_H264[output.quality]}
    else:
        every = round(film.fps * 4)  # seconds from one key frame to the next
        parallel = {"row-mt": 1, "threads": 4, "tile-columns": 1, "deadline": "good", "g": every}
        codec = {"vcodec": "libvpx-vp9", "video_bitrate": 0, **parallel, **_VP9[output.quality]}
    shown = {"pix_fmt": "yuv420p", **colour.TAGS, "color_range": "tv"}
    return {**codec, **shown, "r": str(film.fps)}
