"""The type of functions that report progress."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[float, str | None], None]
"""Called with the percentage that is done and a few words, or None to keep the last ones; as `Job.progress`."""
