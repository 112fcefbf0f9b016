from __future__ import annotations

import errno

import pytest

from handlers.shared.outcomes import DISK_FULL, outcomes
from listener import Fail, Retry
from listener.kit import storage
from listener.kit.errors import TooLarge
from listener.kit.fetch import FetchError
from listener.kit.ffmpeg import FfmpegError
from listener.kit.media import MediaError
from listener.kit.tables import TablesError, TablesUnavailable


class Wrong(Exception):
    """An error of a room that no attempt can mend."""


class Passing(Exception):
    """An error of a room that another attempt may mend."""


@pytest.mark.parametrize(
    ("error", "outcome", "sentence"),
    [
        (Wrong("wrong."), Fail, "wrong."),
        (Passing("passing."), Retry, "passing."),
        (FfmpegError("x.", reason="exit"), Fail, "It could not be read: x."),
        (FfmpegError("x.", reason="cpu"), Fail, "It could not be read: x."),
        (FfmpegError("x.", reason="size"), Fail, "It could not be read: x."),
        (FfmpegError("x.", reason="memory"), Retry, "It could not be read: x."),
        (FfmpegError("x.", reason="killed"), Retry, "It could not be read: x."),
        (FfmpegError("x.", reason="stalled"), Retry, "It could not be read: x."),
        (FfmpegError("x.", reason="missing"), Retry, "It could not be read: x."),
        (FfmpegError("x.", reason="incomplete"), Retry, "It could not be read: x."),
        (FfmpegError("x.", reason="disk"), Retry, DISK_FULL),
        (OSError(errno.ENOSPC, "No space left on device"), Retry, DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Retry, DISK_FULL),
        (FetchError("gone.", permanent=True), Fail, "gone."),
        (FetchError("busy.", permanent=False), Retry, "busy."),
        (storage.StorageError("down."), Retry, "down."),
        (storage.ObjectNotFound("not yet."), Retry, "not yet."),
        (storage.BadKey("bad."), Fail, "bad."),
        (TooLarge("large."), Fail, "large."),
        (MediaError("no media."), Fail, "no media."),
        (TablesError("refused."), Fail, "refused."),
        (TablesUnavailable("away."), Retry, "away."),
        (PermissionError("ours"), PermissionError, "ours"),
    ],
)
def test_each_error_has_one_outcome_in_every_room(
    error: Exception, outcome: type[Exception], sentence: str
) -> None:
    with pytest.raises(outcome) as raised, outcomes("It could not be read", fail=(Wrong,), retry=(Passing,)):
        raise error

    assert str(raised.value) == sentence
    assert error in {raised.value, raised.value.__cause__}
