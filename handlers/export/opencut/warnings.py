"""Collect the warnings of a document, one for all elements with the same problem, bounded in number and length."""

from __future__ import annotations

MAX_FIELD = 60  # characters of a field's path
MAX_WARNINGS = 50
_MAX_FIELDS = 25  # unknown fields that are named
_MAX_ERROR = 1_000  # characters of all warnings within an error


class Warnings:
    """The warnings so far, in the order in which they were added."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}
        self._unknown: dict[tuple[str, str], list[str]] = {}

    def add(self, was: str, are: str = "", name: str = "") -> None:
        """Add a sentence, or the rest of one about the element `name`: for one element, and for several."""
        self._names.setdefault((was, are), []).append(name)

    def add_unknown(self, path: str, what: str, name: str) -> None:
        """Add a field that is not known, of a part of the kind `what`, which is empty for an element."""
        self._unknown.setdefault((path, what), []).append(name)

    def sentences(self) -> list[str]:
        """Return the warnings; the last one counts those that are left out."""
        known = [_sentence(was, are, names) for (was, are), names in self._names.items()]
        fields = [_field(path, what, names) for (path, what), names in self._unknown.items()]
        shown = [
            *known[: MAX_WARNINGS - _MAX_FIELDS],
            *fields[:_MAX_FIELDS],
            *known[MAX_WARNINGS - _MAX_FIELDS :],
        ]
        left = len(known) + len(fields) - min(len(shown), MAX_WARNINGS)
        return [*shown[:MAX_WARNINGS], *([f"{left} more warnings are not listed."] if left else [])]

    def __str__(self) -> str:
        text = " ".join(self.sentences())
        return text if len(text) <= _MAX_ERROR else f"{text[:_MAX_ERROR]}…."


def _sentence(was: str, are: str, names: list[str]) -> str:
    if not are:
        return was
    return f"“{names[0]}” {was}" if len(names) == 1 else f"{_several(names)} {are}"


def _field(path: str, what: str, names: list[str]) -> str:
    of = f"{what} {_several(names)}".strip() if names[0] else what
    return f"The field '{path}' of {of} is unknown and not drawn."


def _several(names: list[str]) -> str:
    others = len(names) - 1
    more = f" and {others:,} other{'s' if others > 1 else ''}" if others else ""
    return f"“{names[0]}”{more}"
