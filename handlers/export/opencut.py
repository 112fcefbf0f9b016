"""Read the timeline that OpenCut's export button sends: `{project, tracks, mediaItems}`, in float seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from handlers.export import opencut_schema as schema
from handlers.export.model import Colour, Film, FilmError, Picture, Sound, Style, Text
from handlers.export.opencut_schema import check, exact

MAX_BYTES = 64 * 1024 * 1024
MAX_ELEMENTS = 2_000
MAX_HOURS = 4
MAX_WIDTH, MAX_HEIGHT = 7680, 4320
MAX_FPS = 120

_PADDING = (8.0, 4.0)  # of the editor's text box, in pixels of its canvas
_RADIUS = 2.0
_RANKS = {"text": 0, "media": 1, "main": 2, "audio": 3}  # the editor lists its tracks so, top first
_ALIGNS: dict[str, Literal["left", "center", "right"]] = {
    "left": "left",
    "center": "center",
    "right": "right",
}
_BOLD = {"bold", "bolder", "600", "700", "800", "900"}


@dataclass(frozen=True, slots=True)
class MediaItem:
    """A media file that the film needs, and where it lies: an https or data URL, or a key in the storage."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a timeline asks for.

    Attributes:
        media: by the ids that the film's clips name; only what is seen or heard.
        warnings: a sentence for each thing that the film won't show as the editor does.
    """

    film: Film
    media: Mapping[str, MediaItem]
    warnings: Sequence[str]


def load(path: Path) -> dict[str, Any]:
    """Parses a timeline file.

    Raises:
        FilmError: it is larger than `MAX_BYTES`, or not a JSON object.
    """
    if path.stat().st_size > MAX_BYTES:
        limit = MAX_BYTES // 1024**2
        raise FilmError(f"The timeline is larger than {limit} MB; upload its media instead of inlining them.")
    try:
        document = json.loads(path.read_bytes())
    except RecursionError:
        raise FilmError("The timeline is not valid JSON (it is nested too deeply).") from None
    except ValueError as error:
        raise FilmError(f"The timeline is not valid JSON ({error}).") from None
    if not isinstance(document, dict):
        raise FilmError("The timeline must be a JSON object with 'tracks' and 'mediaItems'.")
    return document


def read(document: Mapping[str, Any], *, width: int, height: int, fps: int) -> Timeline:
    """Turns a parsed timeline into a film of `width` × `height` pixels (rounded down to even) at `fps`.

    Raises:
        FilmError: with a sentence that names the element, or the limit, that stands against it.
    """
    if not (2 <= width <= MAX_WIDTH and 2 <= height <= MAX_HEIGHT):
        raise FilmError(
            f"A film of {width} × {height} pixels can't be made; "
            f"the limits are 2 × 2 and {MAX_WIDTH} × {MAX_HEIGHT}."
        )
    if not 1 <= fps <= MAX_FPS:
        raise FilmError(f"A film of {fps} frames a second can't be made; the limits are 1 and {MAX_FPS}.")
    return _Reader(document, width // 2 * 2, height // 2 * 2, fps).timeline()


class _Reader:
    """Collects clips, sounds, media and warnings, one element at a time."""

    def __init__(self, document: Mapping[str, Any], width: int, height: int, fps: int) -> None:
        self.width, self.height, self.fps = width, height, fps
        self.document = document
        self.project = check(schema.Project, document.get("project") or {}, "the project")
        canvas = self.project.canvasSize or schema.Canvas(width=width, height=height)
        self.scale = min(width / canvas.width, height / canvas.height)
        self.items = _items(document.get("mediaItems"))
        self.media: dict[str, MediaItem] = {}
        self.warnings: list[str] = []
        self.clips: list[Picture | Text] = []
        self.sounds: list[Sound] = []
        self.end = Fraction(0)

    def timeline(self) -> Timeline:
        for track in reversed(self._tracks()):
            for number, raw in enumerate(track.elements, 1):
                if raw.get("hidden") is not True:
                    name = str(raw.get("name") or f"element {number} of track {track.name or track.type}")
                    self._element(track, raw, name[:80])
        if self.end == 0:
            raise FilmError(" ".join(["The timeline has nothing to show or play.", *self.warnings]))
        if self.end > MAX_HOURS * 3600:
            raise FilmError(
                f"The film would be {float(self.end) / 3600:.1f} hours long; the limit is {MAX_HOURS} hours."
            )
        if self.project.backgroundType != "color":
            kind = self.project.backgroundType
            self.warnings.append(f"The background of type “{kind}” is not drawn; the background colour is.")
        background = self._colour(self.project.backgroundColor, (0, 0, 0, 255), "the background")
        film = Film(
            width=self.width,
            height=self.height,
            fps=Fraction(self.fps),
            duration=self.end,
            background=background[:3],
            clips=tuple(self.clips),
            sounds=tuple(self.sounds),
        )
        return Timeline(film, self.media, self.warnings)

    def _tracks(self) -> list[schema.Track]:
        """The tracks from the top to the bottom."""
        raw = self.document.get("tracks")
        if not isinstance(raw, list):
            raise FilmError("The timeline has no list 'tracks': send {project, tracks, mediaItems}.")
        tracks = [check(schema.Track, track, f"track {number}") for number, track in enumerate(raw, 1)]
        count = sum(len(track.elements) for track in tracks)
        if count > MAX_ELEMENTS:
            raise FilmError(f"The timeline has {count} elements; the limit is {MAX_ELEMENTS}.")
        return sorted(tracks, key=lambda track: _RANKS.get("main" if track.isMain else track.type, 1))

    def _element(self, track: schema.Track, raw: dict[str, Any], name: str) -> None:
        kind = raw.get("type")
        if kind == "text":
            text = check(schema.TextElement, raw, f"“{name}”")
            if self._lasts(text, name):
                self._text(text, name)
        elif kind == "media":
            media = check(schema.MediaElement, raw, f"“{name}”")
            if self._lasts(media, name):
                self._media(track, media, name)
        else:
            self.warnings.append(f"“{name}” is left out: elements of type “{kind}” are unknown.")

    def _lasts(self, element: schema.Element, name: str) -> bool:
        if element.length <= 0:
            self.warnings.append(f"“{name}” is left out: nothing of it remains after trimming.")
            return False
        self.end = max(self.end, element.start + element.length)
        return True

    def _media(self, track: schema.Track, element: schema.MediaElement, name: str) -> None:
        kind = self._need(element.mediaId, name)
        span = (name, element.start, element.length, element.mediaId, exact(element.trimStart))
        if kind != "audio" and track.type != "audio":
            self.clips.append(Picture(*span))
        if kind != "image" and not (track.muted or element.muted):
            self.sounds.append(Sound(*span))

    def _need(self, media_id: str, name: str) -> str:
        """Notes that a media is used; answers its type."""
        if media_id not in self.items:
            raise FilmError(f"“{name}” uses the media “{media_id}”, which is not in 'mediaItems'.")
        item = check(schema.MediaItem, self.items[media_id], f"the media “{media_id}”")
        title = item.name or media_id
        if item.url.startswith("blob:"):
            raise FilmError(
                f"The media “{title}” was never uploaded: "
                "its address (blob:…) exists only in the browser that made it."
            )
        self.media[media_id] = MediaItem(title, item.url)
        return item.type

    def _text(self, element: schema.TextElement, name: str) -> None:
        align = _ALIGNS.get(element.textAlign, "left")
        if element.textAlign not in _ALIGNS:
            self.warnings.append(f"“{name}” is aligned left: “{element.textAlign}” is not supported.")
        style = Style(
            family=element.fontFamily,
            size=max(1.0, element.fontSize * self.scale),
            colour=self._colour(element.color, (255, 255, 255, 255), f"“{name}”"),
            box=self._colour(element.backgroundColor, (0, 0, 0, 0), f"“{name}”"),
            bold=element.fontWeight in _BOLD,
            italic=element.fontStyle in {"italic", "oblique"},
            underline="underline" in element.textDecoration,
            strike="line-through" in element.textDecoration,
            align=align,
            padding=(_PADDING[0] * self.scale, _PADDING[1] * self.scale),
            radius=_RADIUS * self.scale,
            rotation=element.rotation,
            opacity=element.opacity,
        )
        x, y = element.x * self.scale, element.y * self.scale
        self.clips.append(Text(name, element.start, element.length, element.content, style, x, y))

    def _colour(self, css: str, default: Colour, where: str) -> Colour:
        try:
            return schema.colour(css)
        except ValueError:
            self.warnings.append(f"The colour “{css[:40]}” of {where} is not known; the default is used.")
            return default


def _items(raw: object) -> Mapping[str, object]:
    """`mediaItems` comes as an object by id, or as a list of items that have an id."""
    if isinstance(raw, list):
        return {str(item.get("id")): item for item in raw if isinstance(item, dict)}
    return raw if isinstance(raw, dict) else {}
