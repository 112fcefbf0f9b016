"""Where handlers put their files: a folder of this process, and nobody else's leftovers."""

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
    """A folder for the scratch folders of jobs, removed at the end. Those of processes that were killed, which
    nobody has locked any more, are removed at the start.

    Args:
        parent: where it is made; None takes the system's temporary folder.

    Raises:
        ConfigError: nothing can be written there.
    """
    root = Path(parent or tempfile.gettempdir())
    try:
        for old in root.glob(f"{_PREFIX}*"):
            _remove_if_left(old)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        lock = (folder / _LOCK).open("w")
    except OSError as error:
        raise ConfigError(
            f"jobs can't write to their scratch folder {root} ({error.strerror}); set TEMP_DIR to one that they can"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    # Another user's folder, or one that is being made or removed right now, is none of ours.
    with contextlib.suppress(OSError), (folder / _LOCK).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
