"""Types of the fixtures in conftest.py, where tests can import them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from fastapi import APIRouter

from listener.metrics import Metrics


class Clock:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Serving(Protocol):
    """`async with serving(*open_routers) as url:` runs the component until the block ends."""

    def __call__(
        self, *open_routers: APIRouter, metrics: Metrics | None = None
    ) -> AbstractAsyncContextManager[str]: ...
