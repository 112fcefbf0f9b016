"""How long to wait before trying again what may not work."""

from __future__ import annotations

import random
from collections.abc import Iterator


def delays(first: float = 0.2, most: float = 10.0) -> Iterator[float]:
    """Seconds to wait before each next try: exponential with full jitter, so that a fleet does not come back as one.

    The first is drawn from half of `first` upwards, so that no try follows at once.
    """
    ceiling = first
    while True:
        yield ceiling / 2 + random.random() * ceiling / 2  # noqa: S311
        ceiling = min(most, ceiling * 2)
