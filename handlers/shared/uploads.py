"""Wait for a file that an application uploads after it has inserted the row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from listener import Fail, Job, Snooze
from listener.kit.storage import ObjectNotFound

UPLOAD_WAIT_SECONDS = 120.0  # seconds from the first attempt until the job fails
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds; each pause is twice as long as the one before


@contextmanager
def await_upload(job: Job) -> Iterator[None]:
    """Snooze the job when the block finds no object yet, and fail the job after two minutes.

    Args:
        job: whose object the block downloads.

    Raises:
        Snooze: the object is not there yet.
        Fail: the object was not uploaded in time.
    """
    try:
        yield
    except ObjectNotFound as error:
        if job.waited > UPLOAD_WAIT_SECONDS:
            raise Fail(f"{error} It was not uploaded in {UPLOAD_WAIT_SECONDS / 60:g} minutes.") from error
        raise Snooze(delay=min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(job.snoozes, 10))) from error
