"""The fields of a document that are drawn or known to be harmless; all others are named in a warning.

A shape lists the known names of an object. The value of a name is the shape of what lies below it, or None where all
of that is harmless or is read elsewhere. The name `*` stands for all other names, such as the paths of
properties, whose values are objects of its shape; `shadow.*` stands for all names that begin with `shadow.`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handlers.export.opencut import elements, schema
from handlers.export.opencut.elements import is_set
from handlers.export.opencut.schema import Model

Shape = Mapping[str, Any]

_FACTORS = {"scale", "scaleX", "scaleY", "opacity", "volume", "gain", "rate", "speed", "playbackRate", "zoom"}


def names(*models: type[Model], more: str = "") -> dict[str, Any]:
    """Return a shape of the fields that models read, and of `more` names."""
    fields = [field.alias or name for model in models for name, field in model.model_fields.items()]
    return dict.fromkeys([*fields, *more.split()])


def unknown(raw: object, shape: Shape, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields that are set and not in a shape; a part of a list has the path of the list."""
    if isinstance(raw, list):
        for part in raw:
            if isinstance(part, dict):
                yield from unknown(part, shape, path)
    if not isinstance(raw, dict):
        return
    off = {
        name.removesuffix(".enabled")
        for name, value in raw.items()
        if name.endswith(".enabled") and not value
    }
    for name, value in raw.items():
        group = name.partition(".")[0]
        if name in shape:
            if shape[name] is not None:
                yield from unknown(value, shape[name], f"{path}{name}.")
        elif "*" in shape and _fits(value, shape["*"]):
            yield from unknown(value, shape["*"], path)
        elif group not in off and f"{group}.*" not in shape and _changes(name, value):
            related = any(known.startswith(f"{group}.") for known in shape)
            yield path + (name if related else group)


def _changes(name: str, value: object) -> bool:
    """Tell whether a field that is not drawn would change the film; a factor of 1 would not."""
    is_factor = name.rpartition(".")[2] in _FACTORS
    return is_set(value) and not (is_factor and value == 1)


def _fits(value: object, shape: Shape) -> bool:
    return isinstance(value, dict) and ("*" in shape or not value.keys().isdisjoint(shape))


_CANVAS = names(schema.CanvasSize)
_RATE = names(more="numerator denominator")
MEDIA: Shape = names(
    schema.MediaEntry,
    more="id size lastModified width height duration fps hasAudio ephemeral thumbnailUrl thumbnail file mimeType"
    " createdAt updatedAt folderId mime path storageKey codec format bitrate sampleRate channels hash",
)
_PROJECT_PARTS = "id name version metadata thumbnail createdAt updatedAt bookmarks scenes currentSceneId"
_BACKGROUND = names(more="type color blurIntensity")
_SETTINGS = {
    **names(more="canvasSizeMode lastCustomCanvasSize originalCanvasSize canvasMode"),
    "fps": _RATE,
    "canvasSize": _CANVAS,
    "background": _BACKGROUND,
}
PROJECT: Shape = {
    **names(more=f"{_PROJECT_PARTS} mediaItems media tracks timelineViewState customFonts exportOptions"),
    **names(more="backgroundColor backgroundType blurIntensity canvasMode fps isTemp duration"),
    "canvasSize": _CANVAS,
    "settings": _SETTINGS,
}
DOCUMENT: Shape = {
    **names(
        more="project tracks mediaItems media format quality includeAudio include_audio width height fps"
    ),
    **names(
        more="projectId userId user_id jobId job_id id name version createdAt updatedAt duration totalDuration"
    ),
    "exportOptions": names(more="format quality fps includeAudio include_audio width height resolution"),
}
SCENE: Shape = names(more="id name isMain tracks bookmarks createdAt updatedAt")
TRACKS: Shape = names(more="overlay main audio order")
_TRACK_PARTS = "id elements locked height collapsed expanded captionSource"
TRACK: Shape = {
    **names(elements.Track, more=_TRACK_PARTS),
    "transitions": names(elements.Change, more="id createdAt"),
}
_CHANGE = names(elements.Change, more="id createdAt")
_HANDLE = names(more="dt dv")
_KEY: Shape = {
    **names(more="id time value interpolation segmentToNext tangentMode"),
    "leftHandle": _HANDLE,
    "rightHandle": _HANDLE,
}
_CHANNEL: Shape = {
    **names(more="id valueKind kind type extrapolation propertyPath"),
    "keys": _KEY,
    "keyframes": _KEY,
}
_COMPONENTS: Shape = {**_CHANNEL, "*": _CHANNEL}
_REFRAME = [f"reframe.{name}" for name in elements.REFRAME]
_SWITCHED = [name.replace(".enabled", ".*") for name in elements.UNDRAWN_PARAMS if name.endswith(".enabled")]
_PARAMS: Shape = names(
    elements.TextLook, more=" ".join([*elements.UNDRAWN_PARAMS, *_SWITCHED, *_REFRAME, "strokeColor"])
)
_BOX: Shape = names(more="enabled color cornerRadius paddingX paddingY offsetX offsetY perLine")
_LIBRARY = "sourceType libraryAssetId librarySourceType"
_EDITOR = "id name type hidden locked trimEnd sourceDuration buffer createdAt updatedAt"
ELEMENT: Shape = {
    **names(
        elements.Element, more=f"{_EDITOR} {_LIBRARY} {' '.join(elements.SAME)} {' '.join(elements.UNDRAWN)}"
    ),
    **names(
        more="x y rotation backgroundColor strokeColor transitions"
    ),  # `transitions` repeats what keyframes show
    "transform": {**names(more="scale scaleX scaleY rotate"), "position": names(more="x y")},
    "background": _BOX,
    "retime": names(elements.Retime, more=" ".join(elements.UNDRAWN_RETIME)),
    "transitionIn": _CHANGE,
    "transitionOut": _CHANGE,
    "animations": {"bindings": None, "channels": {"*": _CHANNEL}, "*": _COMPONENTS},
    "params": _PARAMS,
}
