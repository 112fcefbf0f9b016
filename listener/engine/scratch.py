"""The folder for the files of handlers: one for each process, removed when the process has ended."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from listener.errors import ConfigError

_PREFIX = "listener-scratch-"
_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """Make a folder for the scratch folders of jobs, and remove it at the end.

    The folders of processes that were killed are removed at the start: nobody holds their locks any more.

    Args:
        parent: the folder to make it in; None is the system's temporary folder.

    Raises:
        ConfigError: the parent can't be written to.
    """
    root = Path(parent or tempfile.gettempdir())
    try:
        for old in root.glob(f"{_PREFIX}*"):
            _remove_if_left(old)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        lock = (folder / _LOCK).open("w")
    except OSError as error:
        raise ConfigError(
            f"jobs can't write files in {root} ({error.strerror}); set TEMP_DIR to a folder that they can write to"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    # An error means: another user's folder, or one that is just being made, removed or still in use.
    with contextlib.suppress(OSError), (folder / _LOCK).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
