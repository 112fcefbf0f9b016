"""Convert values to what the database can store: texts for Postgres, values for JSON."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import math
import operator
import pathlib
import uuid
from collections.abc import Collection, Generator, Mapping
from typing import Any

from listener.log import redact

MAX_ERROR_CHARACTERS = 4000

_ADDRESSES = (
    *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
    *(ipaddress.IPv4Interface, ipaddress.IPv6Interface),
)


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


def jsonable(value: Any) -> Any:  # noqa: PLR0911, PLR0912 - one line for each kind of value
    """Convert a value to JSON types, with clean texts.

    Durations become seconds, bytes become base64, and numbers that are not finite become null.

    Raises:
        TypeError: the type of a value has no usual form in JSON.
    """
    match value:
        case enum.Enum():
            return jsonable(value.value)
        case None | bool() | int():
            return value
        case str():
            return clean(value)
        case float():
            # As JavaScript's JSON.stringify does: JSON has no form of NaN and infinity.
            return value if math.isfinite(value) else None
        case Mapping():
            return {clean(str(key)): jsonable(item) for key, item in value.items()}
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case uuid.UUID() | decimal.Decimal() | fractions.Fraction() | pathlib.PurePath():
            return clean(str(value))
        case _ if isinstance(value, _ADDRESSES):
            return str(value)
        case datetime.timedelta():
            return value.total_seconds()
        case _ if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
            return jsonable(dump(mode="json"))  # a model of pydantic
        case _ if callable(plain := getattr(value, "tolist", None)) and not isinstance(value, type):
            return jsonable(plain())  # a number or an array of numpy
        case _ if hasattr(value, "__index__") and not isinstance(value, type):
            return operator.index(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case Collection() | Generator():
            return [jsonable(item) for item in value]
        case _:
            raise TypeError(f"a {type(value).__name__} has no form in JSON")
