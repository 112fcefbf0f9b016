"""Values of options are parsed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click
import pytest

from listener.cli import values
from listener.cli.show import ago, plain, span

HERE = click.Context(click.Command("test"))
OPTION = click.Option(["--option"])


def parse(how: Callable[..., Any], typed: Any) -> Any:
    return how(HERE, OPTION, typed)


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("30s", 30), ("10min", 600), ("2h", 7200), ("1d", 86400), ("1h30min", 5400),
     ("1.5 h", 5400), ("250ms", 0.25), ("0", 0)],
)  # fmt: skip
def test_a_duration(typed: str, seconds: float) -> None:
    assert parse(values.duration, typed) == timedelta(seconds=seconds)


@pytest.mark.parametrize("typed", ["", "10", "soon", "10 fortnights", "10min!", "-5s", "9" * 30 + "d"])
def test_no_duration(typed: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is not a duration; write numbers with units|is too long"):
        parse(values.duration, typed)


def test_names_and_pairs() -> None:
    assert parse(values.names, "a, b,") == ["a", "b"]
    assert parse(values.pairs, "ready=queued, running=in progress") == {
        "ready": "queued",
        "running": "in progress",
    }
    with pytest.raises(click.BadParameter, match="ready=queued"):
        parse(values.pairs, "queued,running")


def test_columns_of_a_row() -> None:
    assert parse(values.columns, ()) == {}
    assert parse(values.columns, ('{"width": 2}',)) == {"width": 2}
    assert parse(values.columns, ("path=a=b", 'options:={"a": [1]}')) == {
        "path": "a=b",
        "options": {"a": [1]},
    }


@pytest.mark.parametrize(
    "typed", [("{bad",), ("[1]",), ("{}", "a=b"), ("width",), ("=2",), (":=2",), ("width:=x",)]
)
def test_no_columns_of_a_row(typed: tuple[str, ...]) -> None:
    with pytest.raises(click.BadParameter):
        parse(values.columns, typed)


def test_times_as_people_say_them() -> None:
    assert [span(s) for s in (0.04, 3, 119, 120, 7300, 86400 * 9)] == [
        "40 ms",
        "3 s",
        "119 s",
        "2 min",
        "2 h",
        "9 d",
    ]
    assert ago(None) == ""
    assert ago("2020-01-01T00:00:00+00:00").endswith(" d ago")
    assert ago("2999-01-01T00:00:00+00:00").startswith("in ")


def test_what_a_row_holds_cannot_steer_the_terminal() -> None:
    assert plain("two\nlines \x1b[2J\x07") == "two lines \ufffd[2J\ufffd"
