"""Short words for long OpenCut timelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def media(media_id: str, start: float, duration: float, **more: object) -> Json:
    """An element that shows or plays a media item; `duration` is untrimmed, as in the editor."""
    base = {"type": "media", "mediaId": media_id, "name": media_id, "startTime": start, "duration": duration}
    return {**base, "trimStart": 0, "trimEnd": 0, **more}


def text(content: str, start: float, duration: float, **more: object) -> Json:
    base = {"type": "text", "content": content, "name": "title", "startTime": start, "duration": duration}
    return {**base, "trimStart": 0, "trimEnd": 0, "fontFamily": "DejaVu Sans", "fontSize": 24, **more}


def track(kind: str, *elements: object, **more: object) -> Json:
    return {"id": kind, "name": kind, "type": kind, "elements": list(elements), **more}


def timeline(*tracks: Json, items: Mapping[str, str] | None = None, **project: object) -> Json:
    """A timeline; `items` maps media ids to their types."""
    listed = {key: {"id": key, "name": key, "type": kind, "url": key} for key, kind in (items or {}).items()}
    return {
        "project": {"backgroundColor": "#000000", **project},
        "tracks": list(tracks),
        "mediaItems": listed,
    }
