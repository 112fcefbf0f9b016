"""Compile what is seen of a film: the ground, shot by shot, and the overlays above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from handlers.export.graph import blend, colour, dsl
from handlers.export.graph.composition import Composition, Overlay, Shot
from handlers.export.graph.dsl import Stream
from handlers.export.graph.expressions import TickRange, number, seconds
from handlers.export.graph.geometry import box, plain
from handlers.export.graph.hdr import hdr_of
from handlers.export.graph.inputs import Cut, Inputs, Span
from handlers.export.graph.layer import Layer, Placer
from handlers.export.graph.plan import Plan, natural_size, video_of
from handlers.export.graph.scaling import Material, fitted, steady, ticking, to_length
from handlers.export.model import ONE, Blend, Picture, Source, Text
from listener.kit.media import Video

# Seconds by which a frame counts as begun early, because containers round their times to milliseconds.
_TOLERANCE_SECONDS = Fraction(1, 500)


@dataclass(frozen=True, slots=True)
class Seen:
    """The picture of a part of a film.

    Attributes:
        cuts: the inputs that were opened for it; the sounds of the same spans can be read from them.
    """

    stream: Stream
    cuts: Mapping[Span, Cut]


def picture(plan: Plan, part: Composition, inputs: Inputs) -> Seen:
    """Compile what is seen in a part of a film."""
    compiler = _Compiler(plan, part, inputs)
    return Seen(compiler.video(), compiler.cuts)


class _Compiler:
    def __init__(self, plan: Plan, composition: Composition, inputs: Inputs) -> None:
        self.film, self.rasters = plan.film, plan.rasters
        self.composition, self.inputs = composition, inputs
        self.cuts: dict[Span, Cut] = {}
        self.base = composition.first
        self.space = colour.RGB if composition.blended else colour.YUV

    def video(self) -> Stream:
        composition = self.composition
        pieces = [self._shot(shot) for shot in composition.shots]
        stream = pieces[0] if len(pieces) == 1 else dsl.concat(pieces)
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
            return to_length(self._colour(background), shot.end - shot.first)
        material = self._material(clip, shot.first, shot.end)
        where = box(film, clip.placement, material.size, even=True)
        inside = where.seen(film)
        if inside is None:  # the clip lies outside the film
            return self._shot(Shot(None, shot.first, shot.end))
        picture = fitted(film, material, where, clip.placement, self.space.opaque)
        if not where.fills(film):
            background = "0x{:02x}{:02x}{:02x}".format(*film.background)
            picture = picture.filter(
                "pad", film.width, film.height, inside.left, inside.top, color=background
            )
        if material.still:  # at its own frame rate FFmpeg would show the film's last frame too long
            picture = picture.filter("fps", str(film.fps), round="up", eof_action="pass")
        return to_length(picture, shot.end - shot.first)

    def _over(self, below: Stream, overlay: Overlay) -> Stream:
        clip = overlay.clip
        still = isinstance(clip, Text) or video_of(clip, self.inputs.sources).is_image
        if isinstance(clip, Text) and clip not in self.rasters:
            return below
        windows = overlay.windows
        # A still is decoded and scaled once for all of its windows; each window of a video reads only what it shows.
        spans = [(windows[0][0], windows[-1][1])] if still else list(windows)
        for first, end in spans:
            ticks = TickRange(self.film.fps, clip.start, first, end)
            material = self._drawn(clip) if isinstance(clip, Text) else self._material(clip, first, end)
            placer = Placer(self.film, self.inputs, clip.placement, ticks, self.base, self.space)
            # A clip that only fades or is wiped lies where it would lie if it did not.
            even = isinstance(clip, Picture) and plain(replace(clip.placement, opacity=ONE, reveal=ONE))
            if layer := placer.layer(material, even=even):
                shown = [window for window in windows if first <= window[0] and window[1] <= end]
                below = self._lay(below, layer, shown, clip.placement.blend)
        return below

    def _lay(self, below: Stream, layer: Layer, windows: list[tuple[int, int]], mode: Blend) -> Stream:
        place = {"x": layer.x, "y": layer.y, "format": self.space.overlay}
        if mode == "normal":
            return dsl.merge([below, layer.stream], "overlay", **place, enable=self._during(windows))
        first, end, last = (n - self.base for n in (windows[0][0], windows[-1][1], self.composition.end))
        canvas = ticking(to_length(self._colour(blend.NEUTRAL[mode]), end - first), self.film, first)
        # From the start, because FFmpeg decides at the first frame, when it has read a still, whether the filter is on.
        shown = self._during([(self.base, windows[0][1]), *windows[1:]])
        above = dsl.merge([canvas, layer.stream], "overlay", **place, enable=shown)
        return blend.blended(self.film, below, above, mode, (first, end, last))

    def _during(self, windows: Sequence[tuple[int, int]]) -> str:
        """Return an expression that is true in each window; nested in halves, because FFmpeg accepts no long sums."""
        if len(windows) > 1:
            middle = len(windows) // 2
            later = self._time(windows[middle][0])
            return f"if(lt(t,{later}),{self._during(windows[:middle])},{self._during(windows[middle:])})"
        ((first, end),) = windows
        return f"between(t,{self._time(first)},{self._time(end)})"

    def _time(self, frame: int) -> str:
        """Return the time between a frame and the one before it, because FFmpeg rounds times."""
        return seconds((frame - self.base - Fraction(1, 2)) / self.film.fps)

    def _colour(self, name: str) -> Stream:
        """Make one frame of a colour."""
        film = self.film
        still = f"color=c={name}:s={film.width}x{film.height}:r={film.fps}:d={seconds(1 / film.fps)}"
        return colour.converted(self.inputs.lavfi(f"{still},format=rgb24").video, self.space.opaque)

    def _drawn(self, clip: Text) -> Material:
        raster = self.rasters[clip]
        stream = self.inputs.file(raster.path, threads=1).video
        extent = Fraction(raster.width), Fraction(raster.height)
        return Material(stream, *raster.pixels, extent, opaque=False, still=True)

    def _material(self, clip: Picture, first: int, end: int) -> Material:
        """Read what a clip shows from the film's frame `first` on, at the film's frame rate."""
        video = video_of(clip, self.inputs.sources)
        if video.is_image:
            stream = _upright(self.inputs, self.inputs.sources[clip.source], video)
            # Behind a photograph there may be more: its gain map, a thumbnail, the other pages.
            stream = stream.filter("trim", end_frame=1)
        else:
            stream = self._frames(clip, video, first, end)
        if video.pix_fmt == "pal8":  # FFmpeg always converts it into YUV by bt601
            stream = stream.filter("format", "rgba")
        width, height = video.width, video.height
        if clip.fit == "cover":
            aspect = Fraction(self.film.width, self.film.height) / video.pixel_aspect
            width = min(width, max(2, round(height * aspect / 2) * 2))
            height = min(height, max(2, round(width / aspect / 2) * 2))
            if (width, height) != (video.width, video.height):
                stream = stream.filter("crop", width, height)
        return Material(
            stream,
            width,
            height,
            natural_size(clip, video, self.film),
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
        self.cuts[Span(clip.source, clip.start + begin, offset, length)] = cut
        stream = steady(cut.input.video, video)
        if video.is_interlaced:
            stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
        # In microseconds, because some containers count whole frames, and the result of `setpts` is rounded down.
        stream, times = stream.filter("settb", "AVTB"), f"PTS-{seconds(cut.lead + _TOLERANCE_SECONDS)}/TB"
        if clip.rate not in {0, 1}:
            early = min(_TOLERANCE_SECONDS / clip.rate, 1 / film.fps / 2)
            times = f"(PTS-{seconds(cut.lead)}/TB)*{number(1 / clip.rate)}-{seconds(early)}/TB"
        # A frame of the film shows what the source shows at that time: the latest frame that has begun.
        stream = stream.filter("setpts", times).filter("fps", str(film.fps), start_time=0, round="up")
        return to_length(stream, 1) if clip.rate == 0 else stream


def _upright(inputs: Inputs, source: Source, video: Video) -> Stream:
    """Read a still image, turned as its Exif tag requires; some FFmpegs turn only JPEGs, and mirrored ones too."""
    if video.codec == "mjpeg" or not video.rotation:
        return inputs.source(source).video
    stream = inputs.source(source, noautorotate=None).video
    for _ in range(video.rotation // 90):
        stream = stream.filter("transpose", "clock")
    return stream.filter("sidedata", mode="delete", type="DISPLAYMATRIX")
