from __future__ import annotations

import pytest

from listener import App, ConfigError, Job


async def nothing(job: Job) -> None:
    pass


def test_limits_are_read_when_the_service_starts_and_not_before() -> None:
    limits: list[tuple[int, float | None]] = []
    inner, app = App(), App()
    inner.handler("films", limits=lambda: limits[-1])(nothing)
    app.include(inner, optional=True)
    limits.append((3, 90.0))
    handler = app.handlers["films"]
    assert (handler.concurrency, handler.timeout, handler.optional) == (3, 90.0, True)


@pytest.mark.parametrize(
    ("limits", "says"), [((0, None), "asks for 0 slots"), ((1, 0.0), r"a timeout of 0\.0 s")]
)
def test_limits_that_make_no_sense_are_refused(limits: tuple[int, float | None], says: str) -> None:
    app = App()
    app.handler("films", limits=lambda: limits)(nothing)
    with pytest.raises(ConfigError, match=says):
        _ = app.handlers
    with pytest.raises(ConfigError, match=says):
        App().handler("films", concurrency=limits[0], timeout=limits[1])
