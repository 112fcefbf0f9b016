"""What a film is encoded as: its container, its quality, with or without sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handlers.export.graph import colour
from handlers.export.model import SAMPLE_RATE, Film

Options = dict[str, object]
Format = Literal["mp4", "webm"]
Quality = Literal["low", "medium", "high", "very_high"]

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


@dataclass(frozen=True, slots=True)
class Output:
    """How a film is encoded.

    Attributes:
        format: mp4 (H.264 and AAC) or webm (VP9 and Opus).
        quality: of picture and sound.
        sound: whether the film has a sound track.
    """

    format: Format = "mp4"
    quality: Quality = "high"
    sound: bool = True

    def whole(self, film: Film) -> Options:
        """FFmpeg's options for a film that is made in one run.

        The graph ends by itself: a limit on frames would end the sound too, which may be some packets behind.
        """
        sound = self._sound() if self.sound else {"an": None}
        return {**self._picture(film), **sound, **self._container()}

    def slice(self, film: Film, frames: int) -> Options:
        """For a part of the picture. It is an MP4 for all formats, which counts time in whole frames."""
        timescale = (film.fps * (1 if film.fps.denominator > 1 else 512)).numerator
        return {
            **self._picture(film),
            "frames:v": frames,
            "an": None,
            "video_track_timescale": timescale,
            "format": "mp4",
        }

    def joined(self, film: Film) -> Options:
        """For slices that become one file."""
        sound = self._sound() if self.sound else {"an": None}
        return {"vcodec": "copy", **sound, **self._container()}

    def _container(self) -> Options:
        clean: Options = {"map_metadata": -1, "map_chapters": -1, "format": self.format}
        return {**clean, "movflags": "+faststart"} if self.format == "mp4" else clean

    def _sound(self) -> Options:
        codec = "aac" if self.format == "mp4" else "libopus"
        return {"acodec": codec, "audio_bitrate": _SOUND[self.quality], "ar": SAMPLE_RATE}

    def _picture(self, film: Film) -> Options:
        if self.format == "mp4":
            codec: Options = {"vcodec": "libx264", **_H264[self.quality]}
        else:
            every = round(film.fps * 4)  # seconds from one key frame to the next
            parallel = {"row-mt": 1, "threads": 4, "tile-columns": 1, "deadline": "good", "g": every}
            codec = {"vcodec": "libvpx-vp9", "video_bitrate": 0, **parallel, **_VP9[self.quality]}
        shown = {"pix_fmt": "yuv420p", **colour.TAGS, "color_range": "tv"}
        return {**codec, **shown, "r": str(film.fps)}
