"""The format *timeline*: `{project, tracks, mediaItems}` in float seconds, which OpenCut's export button sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from pydantic import Field

from handlers.export.model import Curve, FilmError, Picture, Placement, Sound, Style, Text
from handlers.export.opencut import schema
from handlers.export.opencut.builder import BOLD, Request, Timeline, TimelineBuilder, media_of
from handlers.export.opencut.known import DOCUMENT, PROJECT, names
from handlers.export.opencut.schema import Length, Model, Seconds, Share, check, exact

_PADDING = (8.0, 4.0)  # of the editor's text box, in pixels of its canvas
_RADIUS = 2.0
_RANKS = {"text": 0, "media": 1, "main": 2, "audio": 3}  # the editor's order of tracks, from the top
_ZOOM = 1.1  # of the blurred background

# The editor blurs by pixels of its preview, at any size of it; on a screen of 1080 lines that is about 540 high.
_PREVIEW = 540


class Project(Model):
    canvasSize: schema.CanvasSize | None = None
    fps: schema.Rate = Fraction(30)
    backgroundColor: str = "#000000"
    backgroundType: str = "color"
    blurIntensity: schema.Blurred = 8


class TimelineTrack(Model):
    name: str = ""
    type: str = "media"
    muted: bool = False
    isMain: bool = False
    elements: list[dict[str, Any]] = Field(default_factory=list)


class TimelineElement(Model):
    """The fields that media and text elements share; times are seconds."""

    duration: Seconds
    startTime: Seconds
    trimStart: Seconds = 0
    trimEnd: Seconds = 0

    @property
    def start(self) -> Fraction:
        return exact(self.startTime)

    @property
    def length(self) -> Fraction:
        """Seconds that are seen: `duration` is that of the untrimmed source, by the editor's rule."""
        return exact(self.duration) - exact(self.trimStart) - exact(self.trimEnd)


class Flips(Model):
    flipHorizontal: bool = False
    flipVertical: bool = False


class MediaElement(TimelineElement):
    mediaId: str
    muted: bool = False
    transform: Flips = Flips()


class TextElement(TimelineElement):
    """`x` and `y` lead from the centre of the canvas to the centre of the box, in pixels of the canvas."""

    content: schema.Words = ""
    fontSize: schema.Size = 48
    fontFamily: str = "Arial"
    color: str = "#ffffff"
    backgroundColor: str = "transparent"
    textAlign: str = "center"
    fontWeight: str = "normal"
    fontStyle: str = "normal"
    textDecoration: str = "none"
    x: Length = 0
    y: Length = 0
    rotation: Length = 0
    opacity: Share = 1


_ELEMENT = {
    **names(TextElement, MediaElement, more="id name type hidden locked sourceDuration createdAt updatedAt"),
    "transform": names(Flips),
}
_TRACK = names(TimelineTrack, more="id locked height collapsed expanded createdAt updatedAt")


class TimelineReader(TimelineBuilder):
    def __init__(self, document: Mapping[str, Any], request: Request) -> None:
        self.document = document
        self.project = check(Project, document.get("project") or {}, "the project")
        super().__init__(media_of(document), request, self.project.canvasSize, self.project.fps)

    def read(self) -> Timeline:
        self.inspect(self.document, DOCUMENT, "the timeline")
        self.inspect(self.document.get("project"), PROJECT, "the project")
        for track in reversed(self._tracks()):
            for number, raw in enumerate(track.elements, 1):
                if raw.get("hidden") is not True:
                    name = str(raw.get("name") or f"element {number} of track {track.name or track.type}")
                    self._element(track, raw, name[:80])
        kind = self.project.backgroundType
        if kind not in {"color", "blur"}:
            self.warn(f"The background of type “{kind[:40]}” is not drawn; the background colour is.")
        return self.timeline(self.project.backgroundColor, self._backdrop() if kind == "blur" else ())

    def _backdrop(self) -> list[Picture]:
        """Return the lowest picture of each moment, blurred, without its bars."""
        radius = self.project.blurIntensity * self.height / _PREVIEW
        zoomed = Placement(scale_x=Curve.fixed(_ZOOM), scale_y=Curve.fixed(_ZOOM))
        return [
            replace(clip, fit="cover", blur=(radius, radius), placement=zoomed)
            for clip in self.clips
            if isinstance(clip, Picture)
        ]

    def _tracks(self) -> list[TimelineTrack]:
        """Return the tracks from the top to the bottom."""
        raw = self.document["tracks"]
        tracks = [check(TimelineTrack, track, f"track {number}") for number, track in enumerate(raw, 1)]
        self.count(sum(len(track.elements) for track in tracks))
        for number, track in enumerate(raw):
            self.inspect(track, _TRACK, "the track", tracks[number].name[:80] or str(number + 1))
        return sorted(tracks, key=lambda track: _RANKS.get("main" if track.isMain else track.type, 1))

    def _element(self, track: TimelineTrack, raw: dict[str, Any], name: str) -> None:
        kind = str(raw.get("type"))
        if kind in {"text", "media"}:
            self.inspect(raw, _ELEMENT, "", name)
        if kind == "text":
            text = check(TextElement, raw, f"“{name}”")
            if self.lasts(text.start, text.length, name):
                self._text(text, name)
        elif kind == "media":
            media = check(MediaElement, raw, f"“{name}”")
            if self.lasts(media.start, media.length, name):
                self._media(track, media, name)
        else:
            rest = f"left out: elements of type “{kind[:40]}” are unknown."
            self.warn_of(name, f"is {rest}", f"are {rest}")

    def _media(self, track: TimelineTrack, element: MediaElement, name: str) -> None:
        kind = self.need(element.mediaId, name)
        if kind is None:
            raise FilmError(f"The media “{element.mediaId[:80]}” has no 'type': image, video or audio.")
        span = (name, element.start, element.length, element.mediaId, exact(element.trimStart))
        if kind != "audio" and track.type != "audio":
            flips = element.transform
            placement = Placement(
                scale_x=Curve.fixed(-1.0 if flips.flipHorizontal else 1.0),
                scale_y=Curve.fixed(-1.0 if flips.flipVertical else 1.0),
            )
            self.clips.append(Picture(*span, placement=placement))
        if kind != "image" and not (track.muted or element.muted):
            self.sounds.append(Sound(*span))

    def _text(self, element: TextElement, name: str) -> None:
        style = Style(
            family=element.fontFamily,
            size=max(1.0, element.fontSize * self.scale),
            colour=self.colour(element.color, (255, 255, 255, 255), f"“{name}”"),
            box=self.colour(element.backgroundColor, (0, 0, 0, 0), f"“{name}”"),
            bold=element.fontWeight in BOLD,
            italic=element.fontStyle in {"italic", "oblique"},
            underline="underline" in element.textDecoration,
            strike="line-through" in element.textDecoration,
            align=self.align(element.textAlign, name),
            padding=(_PADDING[0] * self.scale, _PADDING[1] * self.scale),
            radius=_RADIUS * self.scale,
        )
        placement = Placement(
            x=Curve.fixed(element.x * self.scale),
            y=Curve.fixed(element.y * self.scale),
            rotation=Curve.fixed(element.rotation),
            opacity=Curve.fixed(element.opacity),
        )
        self.clips.append(Text(name, element.start, element.length, element.content, style, placement))
