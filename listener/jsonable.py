"""Convert values to what the database can store: texts for Postgres, values for JSON."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

from listener.log import redact

MAX_ERROR_CHARACTERS = 4000


def clean(text: str) -> str:
    """Replace NUL and lone surrogates, which Postgres can't store."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def bounded(text: str, most: int = MAX_ERROR_CHARACTERS) -> str:
    """Return a clean text without secrets of at most `most` characters; the middle of a longer one is left out."""
    # Redacted before it is cut, because half a secret would not be recognised.
    text = clean(redact(text))
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} … {text[-half:]}"


def jsonable(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of value
    """Convert a value to JSON types, with clean texts.

    Raises:
        TypeError: the type of a value has no obvious form in JSON.
        ValueError: a number is not finite.
    """
    match value:
        case enum.Enum():
            return jsonable(value.value)
        case None | bool() | int():
            return value
        case str():
            return clean(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} is not a number that JSON can hold")
            return value
        case Mapping():
            return {clean(str(key)): jsonable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [jsonable(item) for item in value]
        case uuid.UUID() | decimal.Decimal() | pathlib.PurePath():
            return clean(str(value))
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return jsonable(dataclasses.asdict(value))
        case _:
            raise TypeError(f"a {type(value).__name__} has no form in JSON")
