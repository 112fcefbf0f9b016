"""The inputs of an FFmpeg run: what is opened, from where on, and how carefully."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ffmpeg.nodes import InputNode

from listener.kit.ffmpeg import input_options
from listener.kit.media import Media, Video

Stream = Any  # ffmpeg-python has no types

# A seek lands on the first frame *after* the wanted time; reading starts a little earlier, so that the frame
# on the screen at that time is among those read, and sound decoders have settled.
_LEAD = Fraction(1, 10)
# Without an index a seek may land on any picture, and those before the next key frame are lost.
_BLIND_LEAD = Fraction(12)


@dataclass(frozen=True, slots=True)
class Source:
    """A media file on the local disk and what a probe found in it."""

    path: Path
    media: Media

    @property
    def loops(self) -> bool:
        """An animation starts over when it has ended, as it does in a browser."""
        video = self.media.video
        return self.media.format in {"gif", "apng"} and video is not None and not video.is_image


@dataclass(frozen=True, slots=True)
class Cut:
    """An input that begins `lead` seconds before what is wanted of it."""

    lead: Fraction
    input: Stream


class Inputs:
    """Opens the inputs of one run."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources
        self.opened = 0
        self.driven = 0  # filters that commands are sent to: each has a number
        self.spare: dict[object, Cut | None] = {}  # by span: inputs whose sound may still be used

    def cut(self, media_id: str, offset: Fraction, length: Fraction, **options: object) -> Cut:
        """The part of a source from `offset` on, both in seconds of the source."""
        source = self.sources[media_id]
        video, duration = source.media.video, source.media.duration
        if source.loops:  # animations are short and have no index: read from their beginning
            lead = offset % duration if duration else offset
            return Cut(lead, self.file(source.path, stream_loop=-1, t=seconds(lead + length + 1)))
        frame = 1 / video.fps if video and video.fps else Fraction(0)
        paused = offset - _shown(video, offset) if video else 0
        least = _BLIND_LEAD if source.media.format in {"mpegts", "mpeg"} else _LEAD
        lead = min(offset, max(least, frame) + paused)
        if video and offset - lead < video.first:
            lead = offset
        span = {"t": seconds(lead + length + frame)}
        if offset > lead:  # else FFmpeg would seek the first picture, and lose the sound before it
            span["ss"] = seconds(offset - lead)
        return Cut(lead, self.file(source.path, **span, **options))

    def file(self, path: Path, **options: object) -> Stream:
        return self._open(f"file:{path}", **_safe(), **options)

    def own(self, path: Path, **options: object) -> Stream:
        """A file that we made."""
        return self._open(f"file:{path}", **options)

    def lavfi(self, graph: str) -> Stream:
        """A picture or a sound that FFmpeg makes by itself."""
        return self._open(graph, format="lavfi")

    def _open(self, filename: str, **options: object) -> Stream:
        # ffmpeg-python takes equal inputs for one and the same; a number, which it ignores, tells them apart.
        self.opened += 1
        return InputNode("input", args=[self.opened], kwargs={"filename": filename, **options}).stream()


def _shown(video: Video, time: Fraction) -> Fraction:
    """When the frame began that is on the screen at `time`, if it stays long; else `time`."""
    index = bisect_right(video.pauses, time, key=lambda pause: pause[0])
    return video.pauses[index - 1][0] if index and time < video.pauses[index - 1][1] else time


def _safe() -> dict[str, str]:
    options = input_options()
    return {name.removeprefix("-"): value for name, value in zip(options[::2], options[1::2], strict=True)}


def seconds(time: Fraction) -> str:
    """Seconds in decimal, to the microsecond, which is FFmpeg's clock."""
    return f"{round(time * 1_000_000) / 1_000_000:.6f}".rstrip("0").rstrip(".")
