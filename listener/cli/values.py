"""Parse values of options: callbacks for click.option."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_SECONDS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    """Parse a duration such as 30s, 10min or 1h30min; 0 needs no unit."""
    if value is None or value == "0":
        return None if value is None else timedelta(0)
    parts = _PART.findall(value)
    if not parts or _PART.sub("", value) or any(unit not in _SECONDS for _, unit in parts):
        raise click.BadParameter(
            f"{value!r} is not a duration; write numbers with units, such as 30s, 10min, 2h or 1d"
        )
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    except OverflowError:
        raise click.BadParameter(f"{value!r} is too long") from None


def older_option(about: str) -> Callable[[F], F]:
    """Add the option `--older DURATION`; the default is ten minutes."""
    return click.option(
        "--older",
        metavar="DURATION",
        default="10min",
        show_default=True,
        callback=duration,
        help=about,
    )


def names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[str] | None:
    """Parse names separated by commas."""
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def pairs(_ctx: click.Context, _param: click.Parameter, value: str | None) -> dict[str, str] | None:
    """Parse names with values: `ready=queued,running=processing`."""
    if value is None:
        return None
    parts = [part.partition("=") for part in value.split(",")]
    if not all(name.strip() and word.strip() for name, _, word in parts):
        raise click.BadParameter(f"{value!r} is not a list of words; write ready=queued,running=processing,…")
    return {name.strip(): word.strip() for name, _, word in parts}


def columns(_ctx: click.Context, _param: click.Parameter, value: Iterable[str]) -> dict[str, Any]:
    """Parse the columns of a row: one JSON object, or pairs of `column=text` and `column:=json`."""
    given = list(value)
    if given and given[0].lstrip().startswith(("{", "[")):
        if len(given) > 1:
            raise click.BadParameter("give one JSON object or column=value pairs, not both")
        row = _json(given[0])
        if not isinstance(row, dict):
            raise click.BadParameter('a row is a JSON object, such as {"width": 1280}')
        return row
    return dict(_column(pair) for pair in given)


def _column(pair: str) -> tuple[str, Any]:
    name, equals, text = pair.partition("=")
    if not equals or not name.strip(":"):
        raise click.BadParameter(f"{pair!r} is neither a column=value pair nor a JSON object")
    return (name[:-1], _json(text)) if name.endswith(":") else (name, text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{text[:60]!r} is not JSON: {error}") from None
