"""Read from a document and a row how the film is to be encoded: format, quality, with or without sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from handlers.export.model import FilmError, Format, Output, Quality

Choice = TypeVar("Choice")


def requested(document: Mapping[str, Any], row: Mapping[str, Any] | None = None) -> Output:
    """Return how a film is to be encoded.

    Args:
        document: may have `format`, `quality` and `includeAudio` in `exportOptions`, in `project.exportOptions`, or
            directly; the first of these wins.
        row: its columns `format`, `quality` and `include_audio` win over the document if they are not null.

    Raises:
        FilmError: with a sentence that names the option, and what it may be.
    """
    options = [
        _object(holder.get("exportOptions")) for holder in (document, _object(document.get("project")))
    ]
    places = [row or {}, *options, document]
    return Output(
        format=_choice(places, ("format",), get_args(Format), "mp4"),
        quality=_choice(places, ("quality",), get_args(Quality), "high"),
        sound=_choice(places, ("include_audio", "includeAudio"), (True, False), True),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _choice(
    places: Sequence[Mapping[str, Any]], names: Sequence[str], choices: Sequence[Choice], default: Choice
) -> Choice:
    for place in places:
        for name in names:
            value = place.get(name)
            if value is None:
                continue
            found = [choice for choice in choices if choice == value and type(choice) is type(value)]
            if not found:
                allowed = " or ".join(str(choice).lower() for choice in choices)
                raise FilmError(f"The option '{name}' is {str(value)[:40]!r}; it may be {allowed}.")
            return found[0]
    return default
