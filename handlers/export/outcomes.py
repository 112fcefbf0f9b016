"""The outcomes of a film's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from handlers.export.model import FilmError, RenderError
from handlers.export.settings import limits, over
from handlers.shared.outcomes import outcomes as shared_outcomes
from listener.kit.ffmpeg import FfmpegError


@contextmanager
def outcomes() -> Iterator[None]:
    """Turn the errors of a block that renders into `Fail` or `Retry`, as `handlers.shared.outcomes` does."""
    with shared_outcomes("The film could not be rendered", fail=(FilmError,), retry=(RenderError,)):
        try:
            yield
        except FfmpegError as error:
            if error.reason == "size":
                limit = f"{limits().max_output_mb} MB"
                raise over("The film would be too large", limit, "max_output_mb") from error
            raise
