"""Film and sources → the arguments of one FFmpeg run. Pure: nothing is read, written or started here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
from ffmpeg.nodes import InputNode

from handlers.export import colour
from handlers.export.model import SAMPLE_RATE, Film, FilmError, Picture, Sound, Text
from handlers.export.shots import Overlay, Shot, compose
from handlers.export.text import Raster
from listener.kit.ffmpeg import input_options
from listener.kit.media import Media, Video

Stream = Any  # ffmpeg-python has no types

# A seek lands on the first frame *after* the wanted time; reading starts a little earlier, so that the frame
# on the screen at that time is among those read, and sound decoders have settled.
_LEAD = Fraction(1, 10)

# A frame counts as begun so many seconds early, for containers round their times to milliseconds.
_EARLY = Fraction(1, 500)

_ENCODING: dict[str, object] = {
    "vcodec": "libx264",
    "preset": "veryfast",
    "crf": 23,
    "pix_fmt": "yuv420p",
    **colour.TAGS,
    "color_range": "tv",
    "acodec": "aac",
    "audio_bitrate": "192k",
    "ar": SAMPLE_RATE,
    "map_metadata": -1,
    "map_chapters": -1,
    "movflags": "+faststart",
    "format": "mp4",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A media file on the local disk and what a probe found in it."""

    path: Path
    media: Media


def arguments(
    film: Film, sources: Mapping[str, Source], rasters: Mapping[Text, Raster], target: Path
) -> list[str]:
    """The arguments that make `film` at `target` (MP4, H.264 and AAC, bt709).

    Args:
        sources: by the ids that the film's clips name.
        rasters: the drawn texts; a text that is missing here is not seen.

    Raises:
        FilmError: a clip needs pictures that its source doesn't have.
    """
    made = _Graph(film, sources, rasters)
    output = ffmpeg.output(
        made.video(),
        made.audio(),
        str(target),
        **_ENCODING,
        r=str(film.fps),
        **{"frames:v": film.frames},
    )
    return [str(argument) for argument in output.get_args()]


@dataclass(frozen=True, slots=True)
class _Cut:
    """An input that begins `lead` seconds before what is wanted of it."""

    lead: Fraction
    input: Stream


class _Graph:
    def __init__(self, film: Film, sources: Mapping[str, Source], rasters: Mapping[Text, Raster]) -> None:
        self.film = film
        self.sources = sources
        self.rasters = rasters
        self.inputs = 0
        self.spare: dict[object, _Cut] = {}  # by span: inputs whose sound may still be used

    def video(self) -> Stream:
        shots, overlays = compose(self.film, fills=self._fills, grounds=self._grounds)
        pieces = [self._shot(shot) for shot in shots]
        stream = pieces[0] if len(pieces) == 1 else ffmpeg.concat(*pieces, v=1, a=0)
        stream = self._clock(stream)
        for overlay in overlays:
            stream = self._over(stream, overlay)
        return stream.filter("setparams", **colour.TAGS, range="tv")

    def audio(self) -> Stream:
        streams = [self._sound(sound) for sound in self.film.sounds if self._heard(sound)]
        if not streams:  # every film has a sound track: some players and platforms refuse films without
            stream = self._open(f"anullsrc=r={SAMPLE_RATE}:cl=stereo", format="lavfi").audio
        elif len(streams) == 1:
            stream = streams[0]
        else:
            stream = ffmpeg.filter(
                streams, "amix", inputs=len(streams), duration="longest", dropout_transition=0, normalize=0
            ).filter("alimiter", level=0, latency=1)
        samples = self.film.samples
        return stream.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)

    # Pictures

    def _fills(self, clip: Picture) -> bool:
        video = self._seen(clip)
        return not video.has_alpha and self._fit(video) == (self.film.width, self.film.height)

    def _grounds(self, clip: Picture) -> bool:
        # Older FFmpegs turn the colour of `pad` into YUV by bt601; greys are the same in every matrix.
        return self._fills(clip) or (not self._seen(clip).has_alpha and len(set(self.film.background)) == 1)

    def _shot(self, shot: Shot) -> Stream:
        film = self.film
        background = "0x{:02x}{:02x}{:02x}".format(*film.background)
        if shot.clip is None:
            size, frame = f"{film.width}x{film.height}", _seconds(1 / film.fps)
            still = f"color=c={background}:s={size}:r={film.fps}:d={frame},format=rgb24"
            picture = self._open(still, format="lavfi").video
            return _hold(colour.bt709(picture, "yuv420p"), shot.end - shot.first)
        width, height = self._fit(self._seen(shot.clip))
        picture = self._scaled(shot.clip, shot.first, shot.end, "yuv420p")
        if (width, height) != (film.width, film.height):
            x, y = self._corner(width, height)
            picture = picture.filter("pad", film.width, film.height, x, y, color=background)
        return _hold(picture, shot.end - shot.first)

    def _over(self, below: Stream, overlay: Overlay) -> Stream:
        clip = overlay.clip
        if isinstance(clip, Text):
            if raster := self.rasters.get(clip):
                still = self._input(raster.path, threads=1).video
                below = self._lay(below, colour.bt709(still, "yuva420p"), overlay.windows, raster.x, raster.y)
            return below
        video = self._seen(clip)
        x, y = self._corner(*self._fit(video))
        if video.is_image:  # one frame that FFmpeg repeats: decoded and scaled once
            return self._lay(below, self._scaled(clip, 0, 0, "yuva420p"), overlay.windows, x, y)
        for first, end in overlay.windows:
            picture = _hold(self._scaled(clip, first, end, "yuva420p"), end - first)
            below = self._lay(below, self._clock(picture, first), ((first, end),), x, y)
        return below

    def _lay(
        self, below: Stream, above: Stream, windows: Iterable[tuple[int, int]], x: int, y: int
    ) -> Stream:
        half = Fraction(1, 2)  # a frame of margin, for times are rounded on their way
        enable = "+".join(
            f"between(t,{_seconds((first - half) / self.film.fps)},{_seconds((end - half) / self.film.fps)})"
            for first, end in windows
        )
        return ffmpeg.filter([below, above], "overlay", x=x, y=y, enable=enable)

    def _scaled(self, clip: Picture, first: int, end: int, pix_fmt: str) -> Stream:
        """What a clip shows from the film's frame `first` on, in the film's rhythm and at its size there."""
        video = self._seen(clip)
        if video.is_image:
            stream = self._input(self.sources[clip.source].path).video
        else:
            begin = (first - self.film.frame(clip.start)) / self.film.fps
            offset, length = clip.offset + begin, min(clip.length - begin, (end - first + 1) / self.film.fps)
            if video.frames and video.fps:  # beyond its end a video holds its last frame
                offset = min(offset, (video.frames - 1) / video.fps)
            cut = self._cut(clip.source, offset, length)
            self.spare[clip.source, clip.start + begin, offset, length] = cut
            # A frame of the film shows what the source shows at that time: the latest frame that has begun.
            stream = cut.input.video.filter("setpts", f"PTS-{_seconds(cut.lead + _EARLY)}/TB")
            stream = stream.filter("fps", str(self.film.fps), start_time=0, round="up")
        return colour.bt709(stream, pix_fmt, size=self._fit(video), matrix=colour.matrix_of(video)).filter(
            "setsar", 1
        )

    def _clock(self, stream: Stream, first: int = 0) -> Stream:
        """Times counted in whole frames of the film, so that nothing is rounded twice."""
        return stream.filter("settb", str(1 / self.film.fps)).filter("setpts", f"N+{first}" if first else "N")

    def _seen(self, clip: Picture) -> Video:
        video = self.sources[clip.source].media.video
        if video is None:
            raise FilmError(f"“{clip.name}” should be seen, but its file holds no pictures.")
        return video

    def _fit(self, video: Video) -> tuple[int, int]:
        """The size at which a video is contained in the film, rounded to even numbers."""
        width = video.width * video.pixel_aspect
        scale = min(self.film.width / width, Fraction(self.film.height, video.height))
        return _even(width * scale, self.film.width), _even(video.height * scale, self.film.height)

    def _corner(self, width: int, height: int) -> tuple[int, int]:
        # Even, or colour would be half a sample away from light.
        return (self.film.width - width) // 4 * 2, (self.film.height - height) // 4 * 2

    # Sounds

    def _heard(self, sound: Sound) -> bool:
        media = self.sources[sound.source].media
        return media.audio is not None and (media.duration is None or sound.offset < media.duration)

    def _sound(self, sound: Sound) -> Stream:
        source = self.sources[sound.source]
        span = (sound.source, sound.start, sound.offset, sound.length)
        cut = self.spare.pop(span, None) or self._cut(sound.source, sound.offset, sound.length)
        begin = round(cut.lead * SAMPLE_RATE)
        start = self.film.sample(sound.start)
        stream = cut.input.audio.filter("aresample", SAMPLE_RATE, **{"async": 1, "first_pts": 0})
        if source.media.audio is not None and source.media.audio.channels == 1:
            stream = stream.filter("pan", "stereo|c0<c0|c1<c0")  # plain upmixing is 3 dB quieter
        stream = stream.filter("aformat", sample_fmts="fltp", channel_layouts="stereo").filter(
            "atrim", start_sample=begin, end_sample=begin + self.film.sample(sound.end) - start
        )
        stream = stream.filter("asetpts", "N/SR/TB")
        return stream.filter("adelay", f"{start}S", all=1) if start else stream

    # Inputs

    def _cut(self, source: str, offset: Fraction, length: Fraction) -> _Cut:
        """The part of a source from `offset` on, in seconds."""
        video = self.sources[source].media.video
        frame = 1 / video.fps if video and video.fps else Fraction(0)
        lead = min(offset, max(_LEAD, frame))
        span = {"ss": _seconds(offset - lead), "t": _seconds(lead + length + frame)}
        return _Cut(lead, self._input(self.sources[source].path, **span))

    def _input(self, path: Path, **options: object) -> Stream:
        return self._open(f"file:{path}", **_safe(), **options)

    def _open(self, filename: str, **options: object) -> Stream:
        # ffmpeg-python takes equal inputs for one and the same; a number, which it ignores, tells them apart.
        self.inputs += 1
        return InputNode("input", args=[self.inputs], kwargs={"filename": filename, **options}).stream()


def _safe() -> dict[str, str]:
    options = input_options()
    return {name.removeprefix("-"): value for name, value in zip(options[::2], options[1::2], strict=True)}


def _hold(stream: Stream, frames: int) -> Stream:
    """Exactly `frames` frames: the last one stays when there are too few."""
    return stream.filter("tpad", stop=-1, stop_mode="clone").filter("trim", end_frame=frames)


def _even(value: Fraction, limit: int) -> int:
    return max(2, min(limit, round(value / 2) * 2))


def _seconds(time: Fraction) -> str:
    """Seconds in decimal, to the microsecond, which is FFmpeg's clock."""
    return f"{round(time * 1_000_000) / 1_000_000:.6f}".rstrip("0").rstrip(".")
