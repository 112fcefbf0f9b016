"""Film and sources → the arguments of one FFmpeg run. Pure: nothing is read, written or started here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import ffmpeg

from handlers.export.graph import blend, colour, mix
from handlers.export.graph.composition import Composition, Overlay, Shot, compose
from handlers.export.graph.encoding import STILL, Output
from handlers.export.graph.expressions import Clock, number
from handlers.export.graph.geometry import box, plain
from handlers.export.graph.hdr import hdr_of
from handlers.export.graph.inputs import Inputs, Source, Stream, seconds
from handlers.export.graph.layer import Layer, Placer
from handlers.export.graph.scaling import Material, fitted, hold, ticking
from handlers.export.model import ONE, SAMPLE_RATE, Blend, Film, FilmError, Picture, Sound, Text
from handlers.export.text import Raster
from listener.kit.media import Video

# A frame counts as begun so many seconds early, for containers round their times to milliseconds.
_EARLY = Fraction(1, 500)


def composed(film: Film, sources: Mapping[str, Source]) -> Composition:
    """What is the ground of a film and what lies over it.

    Raises:
        FilmError: a clip needs pictures that its source doesn't have.
    """

    def place(clip: Picture) -> tuple[bool, bool]:
        video = seen(clip, sources)
        if video.has_alpha or not plain(clip.placement):
            return False, False
        return True, box(film, clip.placement, size(clip, video, film), even=True).fills(film)

    def grounds(clip: Picture) -> bool:
        # Older FFmpegs turn the colour of `pad` into YUV by bt601; greys are the same in every matrix.
        opaque, fills = place(clip)
        return fills or (opaque and len(set(film.background)) == 1)

    return compose(film, fills=lambda clip: place(clip)[1], grounds=grounds)


def arguments(
    film: Film,
    sources: Mapping[str, Source],
    rasters: Mapping[Text, Raster],
    target: Path,
    output: Output = Output(),  # noqa: B008 - immutable
    still: Path | None = None,
) -> list[str]:
    """The arguments that make all of `film` at `target`.

    Args:
        sources: by the ids that the film's clips name.
        rasters: the drawn texts; a text that is missing here is not seen.
        still: where to put a JPEG of the frame a third into the film, which costs nearly nothing on the way.

    Raises:
        FilmError: a clip needs pictures that its source doesn't have.
    """
    inputs = Inputs(sources)
    picture = _Graph(film, inputs, rasters, composed(film, sources)).video()
    if still:
        both = picture.split()
        picture = both[0]
        # It ends with that frame: an output that waits for more keeps FFmpeg from the sound, until it is too late.
        chosen = both[1].filter("trim", start_frame=film.frames // 3, end_frame=film.frames // 3 + 1)
        second = ffmpeg.output(colour.jpeg(chosen), f"file:{still}", **STILL, vframes=1)
    streams = [picture]
    if output.sound:
        sounds = [mix.placed(sound, film, inputs) for sound in film.sounds if mix.heard(sound, sources)]
        streams.append(mix.whole(film, inputs, sounds))
    made = ffmpeg.output(*streams, str(target), **output.whole(film))
    if still:
        made = ffmpeg.merge_outputs(made, second)
    return [str(argument) for argument in made.get_args()]


def pictures(
    film: Film,
    sources: Mapping[str, Source],
    rasters: Mapping[Text, Raster],
    slice_: Composition,
    target: Path,
    output: Output,
) -> list[str]:
    """The arguments that make a slice of `film` at `target`, without its sound."""
    stream = _Graph(film, Inputs(sources), rasters, slice_).video()
    made = ffmpeg.output(stream, str(target), **output.slice(film, slice_.end - slice_.first))
    return [str(argument) for argument in made.get_args()]


def mixture(film: Film, sources: Mapping[str, Source], sounds: Sequence[Sound], target: Path) -> list[str]:
    """The arguments that mix some sounds of `film` at `target`; it begins with the first of them."""
    inputs, origin = Inputs(sources), first_sample(film, sounds)
    stream = mix.together([mix.placed(sound, film, inputs, origin=origin) for sound in sounds])
    made = ffmpeg.output(stream, str(target), acodec="wavpack", ar=SAMPLE_RATE, format="wv")
    return [str(argument) for argument in made.get_args()]


def first_sample(film: Film, sounds: Sequence[Sound]) -> int:
    return min(film.sample(sound.start) for sound in sounds)


def joined(
    film: Film, picture: Path, mixtures: Sequence[tuple[int, Path]], target: Path, output: Output
) -> list[str]:
    """The arguments that join the slices that the list `picture` names, and mix `mixtures` to them.

    Args:
        mixtures: the files, and the samples of the film at which they begin.
    """
    inputs = Inputs({})
    streams = [inputs.own(picture, format="concat", safe=0).video]
    if output.sound:
        sounds = [mix.delayed(inputs.own(path).audio, sample) for sample, path in mixtures]
        streams.append(mix.whole(film, inputs, sounds))
    made = ffmpeg.output(*streams, str(target), **output.joined(film))
    return [str(argument) for argument in made.get_args()]


def seen(clip: Picture, sources: Mapping[str, Source]) -> Video:
    """The pictures of a clip's source.

    Raises:
        FilmError: it has none.
    """
    video = sources[clip.source].media.video
    if video is None:
        raise FilmError(f"“{clip.name}” should be seen, but its file holds no pictures.")
    return video


def size(clip: Picture, video: Video, film: Film) -> tuple[Fraction, Fraction]:
    """How large a picture is by itself, in pixels of the film."""
    if clip.fit == "cover":
        return Fraction(film.width), Fraction(film.height)
    width = video.width * video.pixel_aspect
    scale = min(film.width / width, Fraction(film.height, video.height))
    return width * scale, video.height * scale


def text_scale(clip: Text) -> float:
    """The size at which a text is to be drawn so that it stays sharp where it is largest."""
    sizes = (key.value for curve in (clip.placement.scale_x, clip.placement.scale_y) for key in curve.keys)
    return min(8.0, max(0.1, *map(abs, sizes)))


class _Graph:
    def __init__(
        self, film: Film, inputs: Inputs, rasters: Mapping[Text, Raster], composition: Composition
    ) -> None:
        self.film, self.inputs, self.rasters, self.composition = film, inputs, rasters, composition
        self.base = composition.first
        self.space = colour.RGB if composition.blended else colour.YUV

    def video(self) -> Stream:
        composition = self.composition
        pieces = [self._shot(shot) for shot in composition.shots]
        stream = pieces[0] if len(pieces) == 1 else ffmpeg.concat(*pieces, v=1, a=0)
        stream = ticking(stream, self.film)
        for overlay in composition.overlays:
            stream = self._over(stream, overlay)
        if self.space is colour.RGB:
            stream = colour.converted(stream, colour.YUV.opaque)
        return stream.filter("setparams", **colour.TAGS, range="tv")

    def _shot(self, shot: Shot) -> Stream:
        film, clip = self.film, shot.clip
        if clip is None:
            background = "0x{:02x}{:02x}{:02x}".format(*film.background)
            return hold(self._colour(background), shot.end - shot.first)
        material = self._material(clip, shot.first, shot.end)
        where = box(film, clip.placement, material.size, even=True)
        inside = where.seen(film)
        if inside is None:  # beside the film
            return self._shot(Shot(None, shot.first, shot.end))
        picture = fitted(film, material, where, clip.placement, self.space.opaque)
        if not where.fills(film):
            background = "0x{:02x}{:02x}{:02x}".format(*film.background)
            picture = picture.filter(
                "pad", film.width, film.height, inside.left, inside.top, color=background
            )
        if material.still:  # which has a rate of its own, and so long FFmpeg would show the film's last frame
            picture = picture.filter("fps", str(film.fps), round="up", eof_action="pass")
        return hold(picture, shot.end - shot.first)

    def _over(self, below: Stream, overlay: Overlay) -> Stream:
        clip = overlay.clip
        still = isinstance(clip, Text) or seen(clip, self.inputs.sources).is_image
        if isinstance(clip, Text) and clip not in self.rasters:
            return below
        windows = overlay.windows
        # A still is decoded and scaled once for all of its windows; of a video each reads only what it shows.
        spans = [(windows[0][0], windows[-1][1])] if still else list(windows)
        for first, end in spans:
            clock = Clock(self.film.fps, clip.start, first, end)
            material = self._drawn(clip) if isinstance(clip, Text) else self._material(clip, first, end)
            placer = Placer(self.film, self.inputs, clip.placement, clock, self.base, self.space)
            # What only fades or is wiped lies where it would lie without.
            even = isinstance(clip, Picture) and plain(replace(clip.placement, opacity=ONE, reveal=ONE))
            if layer := placer.layer(material, even=even):
                shown = [window for window in windows if first <= window[0] and window[1] <= end]
                below = self._lay(below, layer, shown, clip.placement.blend)
        return below

    def _lay(self, below: Stream, layer: Layer, windows: list[tuple[int, int]], mode: Blend) -> Stream:
        place = {"x": layer.x, "y": layer.y, "format": self.space.overlay}
        if mode == "normal":
            return ffmpeg.filter([below, layer.stream], "overlay", **place, enable=self._during(windows))
        first, end, last = (n - self.base for n in (windows[0][0], windows[-1][1], self.composition.end))
        canvas = ticking(hold(self._colour(blend.NEUTRAL[mode]), end - first), self.film, first)
        # From the start: FFmpeg asks for the first frame whether the filter is on when it has read a still, at 0.
        shown = self._during([(self.base, windows[0][1]), *windows[1:]])
        above = ffmpeg.filter([canvas, layer.stream], "overlay", **place, enable=shown)
        return blend.blended(self.film, below, above, mode, (first, end, last))

    def _during(self, windows: Sequence[tuple[int, int]]) -> str:
        """An expression that is true in each window; in halves, for FFmpeg takes no long sums."""
        if len(windows) > 1:
            middle = len(windows) // 2
            later = self._time(windows[middle][0])
            return f"if(lt(t,{later}),{self._during(windows[:middle])},{self._during(windows[middle:])})"
        ((first, end),) = windows
        return f"between(t,{self._time(first)},{self._time(end)})"

    def _time(self, frame: int) -> str:
        """The time between a frame and the one before it, for times are rounded on their way."""
        return seconds((frame - self.base - Fraction(1, 2)) / self.film.fps)

    def _colour(self, name: str) -> Stream:
        """One frame of a colour."""
        film = self.film
        still = f"color=c={name}:s={film.width}x{film.height}:r={film.fps}:d={seconds(1 / film.fps)}"
        return colour.converted(self.inputs.lavfi(f"{still},format=rgb24").video, self.space.opaque)

    def _drawn(self, clip: Text) -> Material:
        raster = self.rasters[clip]
        stream = self.inputs.file(raster.path, threads=1).video
        extent = Fraction(raster.width), Fraction(raster.height)
        return Material(stream, *raster.pixels, extent, opaque=False, still=True)

    def _material(self, clip: Picture, first: int, end: int) -> Material:
        """What a clip shows from the film's frame `first` on, in the film's rhythm."""
        video = seen(clip, self.inputs.sources)
        if video.is_image:
            stream = _upright(self.inputs, self.inputs.sources[clip.source].path, video)
        else:
            stream = self._frames(clip, video, first, end)
        if video.pix_fmt == "pal8":  # which FFmpeg always makes YUV by bt601
            stream = stream.filter("format", "rgba")
        width, height = video.width, video.height
        if clip.fit == "cover":
            wanted = Fraction(self.film.width, self.film.height) / video.pixel_aspect
            width = min(width, max(2, round(height * wanted / 2) * 2))
            height = min(height, max(2, round(width / wanted / 2) * 2))
            if (width, height) != (video.width, video.height):
                stream = stream.filter("crop", width, height)
        return Material(
            stream,
            width,
            height,
            size(clip, video, self.film),
            opaque=not video.has_alpha,
            still=video.is_image,
            matrix=colour.matrix_of(video),
            is_films=colour.is_films(video),
            hdr=hdr_of(video),
            blur=clip.blur,
        )

    def _frames(self, clip: Picture, video: Video, first: int, end: int) -> Stream:
        film, source = self.film, self.inputs.sources[clip.source]
        begin = (first - film.frame(clip.start)) / film.fps
        offset = clip.offset + begin * clip.rate
        length = min(clip.length - begin, (end - first + 1) / film.fps) * clip.rate
        if video.last is not None and not source.loops:  # beyond its end a video holds its last frame
            offset = min(offset, video.last + (1 / video.fps / 2 if video.fps else 0))
        cut = self.inputs.cut(clip.source, offset, length or 2 / film.fps)
        self.inputs.spare[clip.source, clip.start + begin, offset, length] = cut
        stream = cut.input.video
        if video.is_interlaced:
            stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
        # In microseconds, for some containers count whole frames, and what `setpts` makes is rounded down.
        stream, times = stream.filter("settb", "AVTB"), f"PTS-{seconds(cut.lead + _EARLY)}/TB"
        if clip.rate not in {0, 1}:
            early = min(_EARLY / clip.rate, 1 / film.fps / 2)
            times = f"(PTS-{seconds(cut.lead)}/TB)*{number(1 / clip.rate)}-{seconds(early)}/TB"
        # A frame of the film shows what the source shows at that time: the latest frame that has begun.
        stream = stream.filter("setpts", times).filter("fps", str(film.fps), start_time=0, round="up")
        return hold(stream, 1) if clip.rate == 0 else stream


def _upright(inputs: Inputs, path: Path, video: Video) -> Stream:
    """A still image, turned as its Exif says: some FFmpegs do so only with JPEGs, and only they know mirrored ones."""
    if video.codec == "mjpeg" or not video.rotation:
        return inputs.file(path).video
    stream = inputs.file(path, noautorotate=None).video
    for _ in range(video.rotation // 90):
        stream = stream.filter("transpose", "clock")
    return stream.filter("sidedata", mode="delete", type="DISPLAYMATRIX")
