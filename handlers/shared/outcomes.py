"""The one table from an error to the outcome of a job, for every room."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from listener import Fail, Retry
from listener.kit.errors import KitError
from listener.kit.ffmpeg import FfmpegError

DISK_FULL = "The worker's disk is full."

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextmanager
def outcomes(
    work: str,
    *,
    fail: tuple[type[Exception], ...] = (),
    retry: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Turn the errors of a block into `Fail` or `Retry`, with a sentence that an application can show to its user.

    Errors that are in no row of the table pass unchanged; the engine retries them and logs their traceback.

    Args:
        work: the beginning of the sentence about a failed FFmpeg run, such as "The film could not be rendered".
        fail: further errors that no other attempt can mend.
        retry: further errors that another attempt may mend.

    Raises:
        Fail: the job can't succeed.
        Retry: another attempt may succeed.
    """
    try:
        yield
    except fail as error:
        raise Fail(str(error)) from error
    except retry as error:
        raise Retry(str(error)) from error
    except FfmpegError as error:
        if error.reason == "disk":
            raise Retry(DISK_FULL) from error
        raise (Fail if error.permanent else Retry)(f"{work}: {error}") from error
    except KitError as error:
        raise (Fail if error.permanent else Retry)(str(error)) from error
    except OSError as error:
        if error.errno in _FULL:
            raise Retry(DISK_FULL) from error
        raise
