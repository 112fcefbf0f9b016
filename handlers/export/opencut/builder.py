"""Build a film from a document, one element at a time: the base of the readers of all formats."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, TypeVar

from handlers.export.model import Colour, Film, FilmError, MediaItem, Picture, Sound, Text
from handlers.export.opencut import schema
from handlers.export.opencut.curves import delayed
from handlers.export.opencut.known import MEDIA, Shape, unknown
from handlers.export.opencut.touching import Moment, equalled
from handlers.export.opencut.warnings import MAX_FIELD, Warnings

MAX_WIDTH, MAX_HEIGHT = 7680, 4320
MAX_FPS = 120

BOLD = {"bold", "bolder", "600", "700", "800", "900"}
ALIGNS: dict[str, Literal["left", "center", "right"]] = {"left": "left", "center": "center", "right": "right"}

Clips = TypeVar("Clips", Picture, Picture | Text, Sound)

_CANVAS = schema.CanvasSize(width=1920, height=1080)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A document that was read.

    Attributes:
        media: by the ids that the film's clips name; only what is seen or heard.
        warnings: a sentence for each thing that the film won't show as the editor does.
    """

    film: Film
    media: Mapping[str, MediaItem]
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Request:
    """The caller's request; the project decides about a width, height or frame rate that is None.

    Attributes:
        max_elements: how many elements the timeline may have; None sets no limit.
    """

    width: int | None
    height: int | None
    fps: Fraction | None
    max_elements: int | None


class TimelineBuilder:
    """Collects clips, sounds, media and warnings; the reader of each format derives from it.

    Attributes:
        scale: pixels of the film for a pixel of the project's canvas.
    """

    def __init__(
        self, items: Mapping[str, object], request: Request, canvas: schema.CanvasSize | None, fps: Fraction
    ) -> None:
        default = canvas or _CANVAS
        width = int(default.width) if request.width is None else request.width
        height = int(default.height) if request.height is None else request.height
        if not (2 <= width <= MAX_WIDTH and 2 <= height <= MAX_HEIGHT):
            raise FilmError(
                f"A film of {width} × {height} pixels can't be made; "
                f"the limits are 2 × 2 and {MAX_WIDTH} × {MAX_HEIGHT}."
            )
        self.fps = fps if request.fps is None else request.fps
        if not 1 <= self.fps <= MAX_FPS:
            raise FilmError(
                f"A film of {float(self.fps):g} frames a second can't be made; the limits are 1 and {MAX_FPS}."
            )
        self.width, self.height = width // 2 * 2, height // 2 * 2
        self.scale = min(width / canvas.width, height / canvas.height) if canvas else 1.0
        self.items = items
        self.elements, self.max_elements = 0, request.max_elements
        self.media: dict[str, MediaItem] = {}
        self.warnings = Warnings()
        self.clips: list[Picture | Text] = []
        self.sounds: list[Sound] = []
        self.end = Fraction(0)

    def timeline(self, background: str, backdrop: Iterable[Picture] = ()) -> Timeline:
        """Return the film of all that was collected.

        Args:
            background: a CSS colour.
            backdrop: blurred pictures for behind everything; of those at the same time only the first is drawn.

        Raises:
            FilmError: there is nothing.
        """
        if self.end == 0:
            raise FilmError(f"The timeline has nothing to show or play. {self.warnings}".strip())
        pictures = list(backdrop)
        parts = (*pictures, *self.clips, *self.sounds)
        moment = equalled([self.end, *(time for part in parts for time in (part.start, part.end))])
        film = Film(
            width=self.width,
            height=self.height,
            fps=self.fps,
            duration=moment(self.end) or self.end,
            background=self.colour(background, (0, 0, 0, 255), "the background")[:3],
            clips=(*_in_turn(_moved(pictures, moment)), *_moved(self.clips, moment)),
            sounds=tuple(_moved(self.sounds, moment)),
        )
        return Timeline(film, self.media, self.warnings.sentences())

    def warn(self, sentence: str) -> None:
        self.warnings.add(sentence)

    def warn_of(self, name: str, was: str, are: str) -> None:
        """Warn of an element with the rest of a sentence, and once of all elements that share this rest.

        Args:
            was, are: the rest, for one element and for several.
        """
        self.warnings.add(was, are, name)

    def inspect(self, raw: object, shape: Shape, what: str, name: str = "") -> None:
        """Warn of the fields of a part of the document that are neither drawn nor known to be harmless.

        Args:
            what: the kind of the part, such as `track`; empty for an element.
            name: of the part, empty where there is one only.
        """
        for path in dict.fromkeys(unknown(raw, shape)):
            self.warnings.add_unknown(path.removeprefix("params.")[:MAX_FIELD], what, name)

    def count(self, elements: int) -> None:
        """Count elements before they are read.

        Raises:
            FilmError: they are too many.
        """
        self.elements += elements
        limit = self.max_elements
        if limit is not None and self.elements > limit:
            raise FilmError(
                f"The timeline has {self.elements:,} elements; the limit is {limit:,} (EXPORT_MAX_ELEMENTS)."
            )

    def lasts(self, start: Fraction, length: Fraction, name: str) -> bool:
        """Tell whether an element lasts at all; if so, the film lasts at least until its end."""
        if length <= 0:
            remains = "left out: nothing of {} remains after trimming."
            self.warn_of(name, f"is {remains.format('it')}", f"are {remains.format('them')}")
            return False
        self.end = max(self.end, start + length)
        return True

    def need(self, media_id: str, name: str) -> Literal["image", "video", "audio"] | None:
        """Collect a media file that an element uses, and return its type.

        Raises:
            FilmError: the document has no such media, or nobody can fetch it.
        """
        if media_id not in self.items:
            raise FilmError(f"“{name}” uses the media “{media_id[:80]}”, which is not in 'mediaItems'.")
        raw = self.items[media_id]
        if isinstance(raw, str):
            raw = {"url": raw}
        item = schema.check(schema.MediaEntry, raw, f"the media “{media_id[:80]}”")
        if media_id not in self.media:
            self.inspect(raw, MEDIA, "the media", (item.name or media_id)[:80])
        self.use(media_id, item.name or media_id, item.url)
        return item.type

    def use(self, media_id: str, name: str, url: str) -> None:
        """Collect a media file by its address."""
        title = name[:80]
        if url.startswith("blob:"):
            raise FilmError(
                f"The media “{title}” was never uploaded: "
                "its address (blob:…) exists only in the browser that made it."
            )
        self.media[media_id] = MediaItem(title, url)

    def align(self, css: str, name: str) -> Literal["left", "center", "right"]:
        if css not in ALIGNS:
            self.warn(f"“{name}” is aligned left: “{css[:40]}” is not supported.")
        return ALIGNS.get(css, "left")

    def colour(self, css: str, default: Colour, where: str) -> Colour:
        try:
            return schema.colour(css)
        except ValueError:
            self.warn(f"The colour “{css[:40]}” of {where} is not known; the default is used.")
            return default


def media_of(*holders: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the media of a document by id: a map or a list of items, under `mediaItems` or `media`."""
    for holder in holders:
        for key in ("mediaItems", "media"):
            raw = holder.get(key)
            if isinstance(raw, list):  # an older project lists bare ids here
                raw = {str(item.get("id")): item for item in raw if isinstance(item, dict)}
            if isinstance(raw, dict) and raw:
                return raw
    return {}


def _moved(clips: Iterable[Clips], moment: Moment) -> list[Clips]:
    """Return the clips from and to the moments that their times stand for; one that would end there is left out."""
    spans = ((clip, moment(clip.start), moment(clip.end)) for clip in clips)
    return [replace(clip, start=start, length=end - start) for clip, start, end in spans if start < end]


def _in_turn(pictures: Iterable[Picture]) -> list[Picture]:
    """Cut each picture to the times that those before it leave free."""
    taken: list[Picture] = []  # in the order of time
    for picture in pictures:
        start = picture.start
        at = bisect_right(taken, start, key=lambda other: other.end)
        while start < picture.end:
            end = min(picture.end, taken[at].start) if at < len(taken) else picture.end
            if start < end:
                taken.insert(at, _part(picture, start, end))
                at += 1
            if at == len(taken):
                break
            start = taken[at].end
            at += 1
    return taken


def _part(picture: Picture, start: Fraction, end: Fraction) -> Picture:
    late = start - picture.start
    return replace(
        picture,
        start=start,
        length=end - start,
        offset=picture.offset + late * picture.rate,
        placement=delayed(picture.placement, late),
    )
