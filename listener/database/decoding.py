"""Decode the JSON of answers, so that a value that Python can't read concerns only the row that contains it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

# Postgres stores numbers of 131,072 digits, and arrays that are nested thousands of levels deep. Python reads integers
# of at most 4,300 digits (sys.set_int_max_str_digits) and about 1,000 levels.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]')
# An answer is an object with a list of jobs, each with a row, whose columns are values.
_MAX_LEVELS = 6


class Unreadable(str):
    """The reason why a value could not be decoded; it stands in place of the value."""

    __slots__ = ()


class _PartsOfObject(dict[str, Any]):
    """A JSON object that contains an `Unreadable`, so that `unreadable` looks into no other."""


class _PartsOfArray(list[Any]):
    """A JSON array that contains an `Unreadable`."""


def decode(text: str) -> Any:
    """Return the value of a JSON text, with an `Unreadable` in place of each part that Python can't read.

    Raises:
        ValueError: the text is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        return _decode_parts(text.strip(), error, 1)


def unreadable(value: Any, path: str = "") -> str | None:
    """Return a sentence about the first `Unreadable` in a decoded value; None if everything was read."""
    match value:
        case Unreadable():
            return f"{path or 'the value'} can't be read: {value}"
        case _PartsOfObject():
            parts: Iterable[tuple[str, Any]] = value.items()
        case _PartsOfArray():
            parts = ((str(number), part) for number, part in enumerate(value))
        case _:
            return None
    sentences = (unreadable(part, f"{path}.{name}" if path else name) for name, part in parts)
    return next(filter(None, sentences), None)


def _decode_parts(text: str, error: Exception, level: int) -> Any:
    if level > _MAX_LEVELS or text[:1] not in {"{", "["}:
        return Unreadable(_reason(error))
    values = []
    for name, part in _parts(text):
        try:
            value = json.loads(part)
        except (ValueError, RecursionError) as reason:
            value = _decode_parts(part, reason, level + 1)
        values.append((name, value))
    if text[0] == "[":
        return _PartsOfArray(value for _, value in values)
    return _PartsOfObject((json.loads(name), value) for name, value in values)


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each value of an object or array; the name is empty in an array."""
    depth, start, name = 0, 1, ""
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
            case ":" if depth == 1:
                name, start = text[start : token.start()].strip(), token.end()
            case "," if depth == 1:
                yield name, text[start : token.start()].strip()
                name, start = "", token.end()
            case "]" | "}":
                depth -= 1
                if depth == 0:
                    if part := text[start : token.start()].strip():
                        yield name, part
                    return


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it has a number with more than 4,300 digits"
