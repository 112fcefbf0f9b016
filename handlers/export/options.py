"""What a document or a row asks for beside the film itself: format, quality, sound or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from handlers.export.model import FilmError, Format, Output, Quality

Word = TypeVar("Word")


def wanted(document: Mapping[str, Any], row: Mapping[str, Any] | None = None) -> Output:
    """How a film is to be encoded.

    Args:
        document: may have `exportOptions`, in its project or itself: `format`, `quality` and `includeAudio`; or has
            these itself.
        row: its columns `format`, `quality` and `include_audio` win, where there are any and they aren't null.

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
    places: Sequence[Mapping[str, Any]], names: Sequence[str], choices: Sequence[Word], default: Word
) -> Word:
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
