"""A folder for each job that outlives its attempts and the process, so that the next attempt finds what one finished.

It lies in TEMP_DIR, or in the system's temporary folder. If that is lost in a restart, or another machine makes the
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

MAX_IDLE_SECONDS = 6 * 3600.0  # how long a folder waits for the next attempt
_LOCK = ".lock"


@asynccontextmanager
async def resume_folder(job: str) -> AsyncIterator[Path | None]:
    """Open the job's folder. It is removed when the block ends well or with `Fail`, and otherwise kept.

    It is None while another attempt, one that lost its lease, still has the folder, and when none can be made.

    Args:
        job: a name that no other job has.
    """
    folder = _root() / hashlib.sha256(job.encode()).hexdigest()[:32]
    lock = await to_thread.run_sync(_locked, folder)
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


def remove_idle_folders() -> None:
    """Remove the folders of jobs that were not tried again."""
    for folder in _root().glob("*/"):
        with suppress(OSError):
            idle = time.time() - folder.stat().st_mtime
            if idle > MAX_IDLE_SECONDS and (lock := _locked(folder)):
                with lock:
                    _remove(folder)


def _root() -> Path:
    parent = Settings.load().temp_dir or Path(tempfile.gettempdir())
    return parent / f"listener-resume-{os.getuid()}"


def _locked(folder: Path) -> IO[str] | None:
    """Make a folder if it is missing, and lock it; return None when that is not possible."""
    try:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        # Everybody may write into a temporary folder: nobody else must have made this one, or be able to write into it.
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
    except OSError:  # another attempt has it, or has just removed it
        pass
    lock.close()
    return None


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
