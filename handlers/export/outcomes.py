"""What can go wrong with a film, as an outcome of a job."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from handlers.export.model import FilmError
from handlers.export.render.renderer import RenderError
from handlers.export.settings import limits, over
from listener import Fail, Retry
from listener.kit import storage
from listener.kit.fetch import FetchError
from listener.kit.ffmpeg import FfmpegError

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextmanager
def outcomes() -> Iterator[None]:
    """Errors of the block become `Fail` or `Retry`, with a sentence that an application can show to its user."""
    try:
        yield
    except FilmError as error:
        raise Fail(str(error)) from error
    except FetchError as error:
        raise (Fail if error.permanent else Retry)(str(error)) from error
    except storage.Refused as error:
        raise Fail(str(error)) from error
    except FfmpegError as error:
        if error.reason == "disk":
            raise Retry("The disk of the renderer is full.") from error
        if error.reason == "size":
            limit = f"{limits().max_output_mb} MB"
            raise Fail(str(over("The film would be too large", limit, "max_output_mb"))) from error
        outcome = Fail if error.permanent else Retry
        raise outcome(f"The film could not be rendered: {error}") from error
    except (RenderError, storage.StorageError) as error:
        raise Retry(str(error)) from error
    except OSError as error:
        if error.errno in _FULL:
            raise Retry("The disk of the renderer is full.") from error
        raise
