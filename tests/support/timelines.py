"""Build OpenCut timelines in few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def media(media_id: str, start: float, duration: float, **more: object) -> Json:
    """Return an element that shows or plays a media item; `duration` is untrimmed, as in the editor."""
    base = {"type": "media", "mediaId": media_id, "name": media_id, "startTime": start, "duration": duration}
    return {**base, "trimStart": 0, "trimEnd": 0, **more}


def text(content: str, start: float, duration: float, **more: object) -> Json:
    base = {"type": "text", "content": content, "name": "title", "startTime": start, "duration": duration}
    return {**base, "trimStart": 0, "trimEnd": 0, "fontFamily": "DejaVu Sans", "fontSize": 24, **more}


def track(kind: str, *elements: object, **more: object) -> Json:
    return {"id": kind, "name": kind, "type": kind, "elements": list(elements), **more}


def timeline(*tracks: Json, items: Mapping[str, str] | None = None, **project: object) -> Json:
    """Return a timeline; `items` maps media ids to their types."""
    listed = {key: {"id": key, "name": key, "type": kind, "url": key} for key, kind in (items or {}).items()}
    return {
        "project": {"backgroundColor": "#000000", **project},
        "tracks": list(tracks),
        "mediaItems": listed,
    }


def shot(media_id: str, start: float, duration: float, **more: object) -> Json:
    """Return a video of the format *scenes*; `duration` is the part that is shown."""
    base = {"id": media_id, "type": "video", "mediaId": media_id, "name": media_id}
    return {**base, "startTime": start, "duration": duration, "trimStart": 0, "trimEnd": 0, **more}


def scenes(
    *tracks: object, version: int | None = 10, items: Mapping[str, str] | None = None, **settings: object
) -> Json:
    """Return a project of the format *scenes*, and its media: `items` maps ids to types."""
    return {
        "project": {
            "metadata": {"id": "p", "name": "project"},
            "version": version,
            "currentSceneId": "one",
            "scenes": [{"id": "one", "isMain": True, "tracks": list(tracks), "bookmarks": [1.5]}],
            "settings": {"fps": 30, "canvasSize": {"width": 1280, "height": 720}, **settings},
        },
        "mediaItems": {key: {"id": key, "type": kind, "url": key} for key, kind in (items or {}).items()},
    }


def ticks(main: Json, *overlay: Json, audio: tuple[Json, ...] = (), version: int = 33, **more: Any) -> Json:
    """Return a project of the format *ticks*, written in seconds like *scenes*."""
    tracks = {"main": main, "overlay": list(overlay), "audio": list(audio)}
    document = scenes(version=version, **more)
    document["project"]["scenes"][0]["tracks"] = tracks
    document["project"]["settings"]["fps"] = {"numerator": 30, "denominator": 1}
    for each in (main, *overlay, *audio):
        for element in each["elements"]:
            _in_ticks(element)
    return document


def _in_ticks(element: Json) -> None:
    for name in ("startTime", "duration", "trimStart", "trimEnd"):
        element[name] = round(element[name] * 120_000)
    if "transitionIn" in element:
        element["transitionIn"]["duration"] = round(element["transitionIn"]["duration"] * 120_000)
