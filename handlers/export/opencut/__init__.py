"""Read the documents that OpenCut's editors send or save: three formats, distinguished by their shape.

`timeline.py`: `{project, tracks, mediaItems}`. `scenes.py`: a project with scenes, in seconds. `ticks.py`: the same
in ticks. All readers return the same model, which knows nothing of any format.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from handlers.export.model import FilmError
from handlers.export.opencut.builder import Request, Timeline
from handlers.export.opencut.scenes import ScenesReader
from handlers.export.opencut.schema import Model, Rate, check, meant, members
from handlers.export.opencut.ticks import TicksReader, in_ticks
from handlers.export.opencut.timeline import TimelineReader

__all__ = ["Timeline", "read"]


def read(
    document: Mapping[str, Any],
    *,
    width: int | None = None,
    height: int | None = None,
    fps: int | Fraction | None = None,
    max_elements: int | None = None,
) -> Timeline:
    """Turn a parsed document into a film.

    Args:
        document: a timeline, a project, or `{project, mediaItems}`.
        width, height: pixels of the film, rounded down to even numbers; the project's where they are None.
        fps: frames a second, 29.97 for 30000/1001 and its like; where it is None, those of the document's export
            options, and else the project's.
        max_elements: how many elements the timeline may have; None sets no limit.

    Raises:
        FilmError: the film can't be made; the sentence names the element or the limit.
    """
    chosen = _requested_rate(document) if fps is None else meant(Fraction(fps))
    request = Request(width, height, chosen, max_elements)
    if isinstance(document.get("tracks"), list):
        return TimelineReader(document, request).read()
    nested = members(document.get("project"))
    if any(isinstance(holder.get("timelines"), list) for holder in (document, nested)):
        raise FilmError(
            "The timeline is a project of the coming OpenCut (it has a list 'timelines'), which can't be read yet; "
            "send the JSON of a project of OpenCut Classic."
        )
    project = nested if nested.get("scenes") else document
    if not (isinstance(project.get("scenes"), list) and project["scenes"]):
        raise FilmError(
            "The timeline has no list 'tracks' and no 'scenes': "
            "send {project, tracks, mediaItems}, or a project with its scenes and 'mediaItems'."
        )
    reader = TicksReader if in_ticks(project) else ScenesReader
    return reader(project, document, request).read()


class _ExportOptions(Model):
    fps: Rate | None = None


def _requested_rate(document: Mapping[str, Any]) -> Fraction | None:
    for holder in (document, members(document.get("project"))):
        if options := members(holder.get("exportOptions")):
            return check(_ExportOptions, options, "the export options").fps
    return None
