"""Values of handlers have their usual form in JSON."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import fractions
import ipaddress
from typing import Any

import pydantic
import pytest

from listener import App, ConfigError, Job
from listener.jsonable import jsonable


class Model(pydantic.BaseModel):
    frames: int
    when: datetime.date


@dataclasses.dataclass
class Inner:
    model: Model


class Int64:
    """A number as numpy has it."""

    def __index__(self) -> int:
        return 5

    def tolist(self) -> int:
        return 5


MODEL = Model(frames=3, when=datetime.date(2026, 1, 1))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (MODEL, {"frames": 3, "when": "2026-01-01"}),
        (Inner(MODEL), {"model": {"frames": 3, "when": "2026-01-01"}}),
        (datetime.timedelta(seconds=90), 90.0),
        (b"abc", "YWJj"),
        (Int64(), 5),
        (ipaddress.ip_address("127.0.0.1"), "127.0.0.1"),
        ((n for n in range(3)), [0, 1, 2]),
        (collections.deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ([float("nan"), float("inf")], [None, None]),
        (decimal.Decimal("1.50"), "1.50"),
        (fractions.Fraction(1, 3), "1/3"),
        ({1: "a", (1, 2): "b"}, {"1": "a", "(1, 2)": "b"}),
    ],
)
def test_a_usual_form(value: Any, form: Any) -> None:
    assert jsonable(value) == form


def test_a_generator_is_no_handler() -> None:
    app = App()
    with pytest.raises(ConfigError, match="use `return` instead of `yield`"):

        @app.handler("jobs")
        async def handle(job: Job) -> Any:
            yield job.key
