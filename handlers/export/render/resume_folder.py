"""A folder of a job's own that outlives its attempts, and the process: what one has finished the next one finds.

It lies in TEMP_DIR, or in the system's temporary folder. Where that is lost in a restart, or another machine does the
next attempt, the work is done again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

from anyio import to_thread

from listener import Fail
from listener.kit.settings import Settings

LONGEST = 6 * 3600.0  # seconds that a folder waits for the next attempt
_LOCK = ".lock"


@asynccontextmanager
async def kept_folder(job: str) -> AsyncIterator[Path | None]:
    """The job's folder; removed when the block ends well or with `Fail`, and else kept for the next attempt.

    It is None where another attempt has it still, whose lease was lost, or where none can be made.

    Args:
        job: a name that the job shares with no other.
    """
    folder = _root() / hashlib.sha256(job.encode()).hexdigest()[:32]
    lock = await to_thread.run_sync(_taken, folder)
    if lock is None:
        yield None
        return
    with lock:
        try:
            yield folder
        except Fail:
            await to_thread.run_sync(_remove, folder)
            raise
        await to_thread.run_sync(_remove, folder)


def remove_old() -> None:
    """Remove the folders of jobs that were not tried again."""
    for folder in _root().glob("*/"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > LONGEST and (lock := _taken(folder)):
                with lock:
                    _remove(folder)


def _root() -> Path:
    parent = Settings.load().temp_dir or Path(tempfile.gettempdir())
    return parent / f"listener-kept-{os.getuid()}"


def _taken(folder: Path) -> IO[str] | None:
    """The lock of a folder, which is made when it is missing."""
    try:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        # A temporary folder is everybody's: nobody else must have made this one, or be able to write into it.
        status = folder.parent.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            return None
        folder.mkdir(exist_ok=True)
        lock = (folder / _LOCK).open("a")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock.fileno()), (folder / _LOCK).stat()):
            return lock
    except OSError:  # somebody has it, or has removed it right now
        pass
    lock.close()
    return None


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
