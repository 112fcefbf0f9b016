"""The format *scenes*: a project whose scenes have a list of tracks, in float seconds (versions 1 to 22)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from handlers.export.model import Curve, FilmError, Picture, Placement
from handlers.export.opencut import schema, transitions
from handlers.export.opencut.appearance import ElementsBuilder, Item, visible
from handlers.export.opencut.builder import Request, Timeline, media_of
from handlers.export.opencut.curves import mapped
from handlers.export.opencut.elements import TextLook, Track
from handlers.export.opencut.known import DOCUMENT, PROJECT, SCENE, TRACK, Shape
from handlers.export.opencut.schema import Model, check, members

_DRAWN = {"video", "image", "audio", "media", "text"}
_LEFT_OUT = {"sticker": "stickers", "graphic": "shapes", "effect": "effects over other tracks"}
_OLD_ZOOM = 1.4  # of the blurred background, which was a copy of the whole picture before version 21


class Background(Model):
    type: str = "color"
    color: str = "#000000"
    blurIntensity: schema.Blurred | None = None


class Settings(Model):
    fps: schema.Rate = Fraction(30)
    canvasSize: schema.CanvasSize | None = None
    background: Background = Background()


class Scene(Model):
    id: str = ""
    isMain: bool = False
    tracks: Any = None


class Project(Model):
    version: Annotated[float, Field(ge=0, le=10_000)] | None = None
    settings: Settings = Settings()
    scenes: list[Scene]
    currentSceneId: str = ""


class ScenesReader(ElementsBuilder):
    """Reads the format *scenes*; also the base of the reader of *ticks*."""

    version = 10.0  # the default if the project has none

    def __init__(self, project: Mapping[str, Any], document: Mapping[str, Any], request: Request) -> None:
        self.project = check(Project, project, "the project")
        settings = self.project.settings
        super().__init__(media_of(document, project), request, settings.canvasSize, settings.fps)
        self._raw_scenes: list[object] = project["scenes"]
        self._holders: list[tuple[object, Shape, str]] = [(project, PROJECT, "the project")]
        if project is not document:
            self._holders.insert(0, (document, DOCUMENT, "the timeline"))
        if self.project.version is not None:
            self.version = self.project.version
        self.lines = settings.canvasSize.height if settings.canvasSize else self.height
        self.main: list[Picture] = []

    def read(self) -> Timeline:
        for raw, shape, what in self._holders:
            self.inspect(raw, shape, what)
        tracks = self._tracks()
        self.count(sum(len(track.elements) for track in tracks))
        soloed = any(track.solo for track in tracks)
        for track in tracks:
            track.muted = track.muted or (soloed and not track.solo)
            if not track.hidden:
                self._track(track)
        background = self.project.settings.background
        if background.type not in {"color", "blur"}:
            self.warn(
                f"The background of type “{background.type[:40]}” is not drawn; the background colour is."
            )
        color = "#000000" if background.color == "transparent" else background.color
        return self.timeline(color, self._backdrop() if background.type == "blur" else ())

    def _scene(self) -> Scene:
        """Return the scene that was open when the project was saved, because the editor exports that one."""
        scenes = self.project.scenes
        if len(scenes) > 1:
            self.warn("Only one of the project's scenes is drawn: the one that is open in the editor.")
        current = [scene for scene in scenes if scene.id == self.project.currentSceneId]
        scene = (current or [scene for scene in scenes if scene.isMain] or scenes)[0]
        self.inspect(self._raw_scenes[scenes.index(scene)], SCENE, "the scene")
        return scene

    def _tracks(self) -> list[Track]:
        """Return the tracks from the bottom to the top; the main track lies below all others."""
        return self._from_list(self._scene().tracks)

    def _from_list(self, raw: object) -> list[Track]:
        tracks = self._checked(raw, "track")
        pictures = [track for track in tracks if track.type in {"video", "media"}]
        main = next((track for track in pictures if track.isMain), pictures[0] if pictures else None)
        for track in tracks:
            track.isMain = track is main
        tracks.reverse()
        return sorted(tracks, key=lambda track: not track.isMain)

    def _checked(self, raw: object, where: str) -> list[Track]:
        if not isinstance(raw, list):
            raise FilmError("The scene has no 'tracks'.")
        for number, track in enumerate(raw, 1):
            self.inspect(track, TRACK, "the track", str(members(track).get("name") or number)[:80])
        return [check(Track, track, f"{where} {number}", self.clock) for number, track in enumerate(raw, 1)]

    def _track(self, track: Track) -> None:
        items = [
            self.item(raw, name)
            for number, raw in enumerate(track.elements, 1)
            if self._drawn(raw, name := _name(raw, number, track))
        ]
        row: list[transitions.Drawn] = []
        for item in sorted(items, key=lambda item: (item.timing.startTime, item.timing.id)):
            if self.lasts(item.timing.startTime, item.timing.duration, item.name):
                self._item(item, track, row)
        clips = transitions.apply(
            [drawn.clip for drawn in row], transitions.find(track, row, self.warn), self.width, self.height
        )
        self.clips += [clip for clip in clips if visible(clip.placement)]
        if track.isMain:
            self.main = [drawn.clip for drawn in row if isinstance(drawn.clip, Picture)]

    def _item(self, item: Item, track: Track, row: list[transitions.Drawn]) -> None:
        if (
            clip := self.text(item, item.look)
            if isinstance(item.look, TextLook)
            else self.picture(item, track)
        ):
            row.append(transitions.Drawn(item.timing, clip))
        elif item.timing.transitionIn or item.timing.transitionOut:
            self.warn(f"The transition of “{item.name}” is left out: it is only heard.")

    def _drawn(self, raw: Mapping[str, Any], name: str) -> bool:
        kind = str(raw.get("type"))
        if raw.get("hidden") is True or kind in _DRAWN:
            return raw.get("hidden") is not True
        reason = f"elements of type “{kind[:40]}” are unknown"
        rest = f"left out: {f'{_LEFT_OUT[kind]} are not drawn' if kind in _LEFT_OUT else reason}."
        self.warn_of(name, f"is {rest}", f"are {rest}")
        return False

    def _backdrop(self) -> list[Picture]:
        """Return the pictures of the main track, blurred; those that begin later lie above."""
        intensity = self.project.settings.background.blurIntensity
        if self.version >= 21:
            strength = (10 if intensity is None else intensity) / 5  # for a film of 1920 × 1080
            blur = strength * self.width / 1920, strength * self.height / 1080
            return [
                replace(clip, fit="cover", blur=blur, placement=Placement()) for clip in reversed(self.main)
            ]
        radius = (8 if intensity is None else intensity) * self.scale
        return [
            replace(clip, blur=(radius, radius), placement=_zoomed(clip.placement))
            for clip in reversed(self.main)
        ]


def _name(raw: Mapping[str, Any], number: int, track: Track) -> str:
    return str(raw.get("name") or f"element {number} of track {track.name or track.type}")[:80]


def _zoomed(placement: Placement) -> Placement:
    def zoom(curve: Curve) -> Curve:
        return mapped(curve, lambda value: value * _OLD_ZOOM)

    return replace(
        placement,
        x=zoom(placement.x),
        y=zoom(placement.y),
        scale_x=zoom(placement.scale_x),
        scale_y=zoom(placement.scale_y),
        blend="normal",
    )
