"""Delays between retries."""

from __future__ import annotations

import random
from collections.abc import Iterator


def delays(first: float = 0.2, most: float = 10.0) -> Iterator[float]:
    """Yield the seconds to wait before each retry, without end: exponential with jitter, so that many processes do not
    retry together. Each delay is a random part, at least half, of a value that doubles from `first` up to `most`.
    """
    ceiling = first
    while True:
        yield ceiling / 2 + random.random() * ceiling / 2  # noqa: S311
        ceiling = min(most, ceiling * 2)
