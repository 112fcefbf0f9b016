"""Open the inputs of an FFmpeg run: which files, from where on, and with which guards."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from handlers.export.graph import dsl
from handlers.export.graph.expressions import seconds
from handlers.export.model import Source
from listener.kit.media import Video

# A seek lands on the first frame *after* the given time; reading starts a little earlier, so that the frame
# on the screen at that time is among those read, and sound decoders have settled.
_LEAD = Fraction(1, 10)
# Without an index a seek may land on any picture, and those before the next key frame are lost.
_BLIND_LEAD = Fraction(12)


class Span(NamedTuple):
    """A part of a source, and when it is shown or heard.

    Attributes:
        source: id of the media.
        start: seconds of the film.
        offset, length: seconds of the source.
    """

    source: str
    start: Fraction
    offset: Fraction
    length: Fraction


@dataclass(frozen=True, slots=True)
class Cut:
    """An opened part of a source.

    Attributes:
        lead: seconds that are read before the part begins.
    """

    lead: Fraction
    input: dsl.Input


class Inputs:
    """Opens the inputs of one run."""

    def __init__(self, sources: Mapping[str, Source], guards: Sequence[str]) -> None:
        self.sources = sources
        self.run = dsl.Run()
        self._guards: dict[str, Any] = {
            name.removeprefix("-"): value for name, value in zip(guards[::2], guards[1::2], strict=True)
        }

    def cut(self, media_id: str, offset: Fraction, length: Fraction, **options: object) -> Cut:
        """Open a source from `offset` on for `length`, both in seconds of the source."""
        source = self.sources[media_id]
        video, duration = source.media.video, source.media.duration
        if source.loops:  # animations are short and have no index: read from their beginning
            lead = offset % duration if duration else offset
            return Cut(lead, self.source(source, stream_loop=-1, t=seconds(lead + length + 1)))
        frame = 1 / video.fps if video and video.fps else Fraction(0)
        paused = offset - _shown(video, offset) if video else 0
        least = _BLIND_LEAD if source.media.format in {"mpegts", "mpeg"} else _LEAD
        lead = min(offset, max(least, frame) + paused)
        if video and offset - lead < video.first:
            lead = offset
        span = {"t": seconds(lead + length + frame)}
        if offset > lead:  # at 0 FFmpeg would seek the first picture, and lose the sound before it
            span["ss"] = seconds(offset - lead)
        return Cut(lead, self.source(source, **span, **options))

    def even_sound(self, path: Path, offset: Fraction, length: Fraction) -> Cut:
        """Open the evened sound of a source (`Source.sound`) from `offset` on for `length`, in seconds."""
        lead = min(offset, _LEAD)
        return Cut(lead, self.own(path, ss=seconds(offset - lead), t=seconds(lead + length)))

    def source(self, source: Source, **options: Any) -> dsl.Input:
        """Open a media file with exactly the streams and the decoder that the probe chose."""
        video, audio = source.media.video, source.media.audio
        if video and "vn" not in options:
            # A frame of another size or format would make FFmpeg configure the whole graph again, from frame 0 on;
            # `steady` scales it instead.
            options["reinit_filter:v"] = 0
            if video.decoder:
                options["c:v"] = video.decoder
        numbers = video.number if video else 0, audio.number if audio else 0
        return self.run.open(f"file:{source.path}", numbers, **self._guards, **options)

    def file(self, path: Path, **options: Any) -> dsl.Input:
        """Open a file that somebody else made."""
        return self.run.open(f"file:{path}", **self._guards, **options)

    def own(self, path: Path, **options: Any) -> dsl.Input:
        """Open a file that this program made."""
        return self.run.open(f"file:{path}", **options)

    def lavfi(self, graph: str) -> dsl.Input:
        """Open a picture or a sound that FFmpeg generates."""
        return self.run.open(graph, format="lavfi")


def _shown(video: Video, time: Fraction) -> Fraction:
    """Return when the frame began that is on the screen at `time`, if it stays long; else `time`."""
    index = bisect_right(video.pauses, time, key=lambda pause: pause[0])
    return video.pauses[index - 1][0] if index and time < video.pauses[index - 1][1] else time
