"""Store files in buckets of objects, named by keys such as `user/job/film.mp4`.

`use` sets the process's `Storage` at the start; handlers call the functions of this module. There are `LocalStorage`,
`storage.supabase.SupabaseStorage` and `storage.s3.S3Storage`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from anyio import from_thread, to_thread

from listener.kit.storage.base import (
    CHUNK,
    Storage,
    StorageError,
)

_current: Storage | None = None


def use(storage: Storage | None) -> None:
    """Set the storage that the functions of this module use; None leaves them without one."""
    global _current  # noqa: PLW0603 - one service has one storage, chosen once at start
    _current = storage


def current() -> Storage:
    """Return the storage set by `use`.

    Raises:
        StorageError: there is none.
    """
    if _current is None:
        raise StorageError(
            "No storage is configured; set STORAGE_DIR, S3_ENDPOINT, or SUPABASE_URL with SUPABASE_SERVICE_KEY."
        )
    return _current


async def download(bucket: str, key: str, folder: Path, *, max_bytes: int | None = None) -> Path:
    """Copy an object into `folder`, as `Storage.download` says."""
    return await current().download(bucket, key, folder, max_bytes=max_bytes)


async def upload(bucket: str, path: Path, key: str | None = None) -> str:
    """Store a file, and return an address at which it can be read for seven days.

    Args:
        bucket: of the new object.
        path: a local file.
        key: name in the bucket; None takes the names of the file's folder and the file, `folder/file.jpg`, which
            is unique to a job for a file in its scratch folder.
    """
    key = f"{path.parent.name}/{path.name}" if key is None else key
    await current().upload(bucket, path, key)
    return await current().url(bucket, key)


async def publish(
    bucket: str,
    path: Path,
    key: str,
    *,
    fence: int,
    saved: Any = None,
    remember: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
) -> str:
    """Store the result of an attempt as a separate object, and return an address that is valid for seven days.

    With the fence 17, `user/job/film.mp4` is stored as `user/job/film-17.mp4`. No storage can check a fence, and a
    worker that seemed dead may still be uploading. Therefore attempts share no name; the transaction that completes
    the row with this address checks the fence and decides which attempt counts. Nothing is moved to a plain name
    afterwards, because a move has no fence either, and caches would keep serving the older file.

    Afterwards the objects of attempts with lower fences are removed; an attempt never removes the result of a later
    one. A job that runs again therefore loses its former file a moment before its row shows the new one.

    Args:
        bucket: of the new object.
        path: a local file.
        key: name without the fence, in a folder that belongs to the job.
        fence: of this attempt, higher than that of any earlier attempt.
        saved: the object that an earlier attempt gave to `remember`. If the file is the same, to the byte, its upload
            is resumed.
        remember: saves a JSON object for the next attempt, and raises if this attempt has lost its lease.

    Raises:
        BadKey, Refused, StorageError: as for `Storage.upload`.
    """
    own = fenced(key, fence)
    memo: dict[str, Any] = {"bucket": bucket, "key": own, "upload": None}
    if remember:
        memo["digest"] = await to_thread.run_sync(_digest, path)
        if _is_same(saved, memo, key):
            memo = dict(saved)
        # Called even if nothing can be resumed: an attempt that has lost its lease stops here.
        await remember(memo)

    async def begun(word: str) -> None:
        if remember:
            await remember({**memo, "upload": word})

    stored = memo["key"]
    await current().upload(bucket, path, stored, resume=memo["upload"], remember=begun)
    url = await current().url(bucket, stored)
    await _remove_older(bucket, key, stored, fence)
    return url


def fenced(key: str, fence: int | str) -> str:
    """Return the key under which `publish` stores a result, unless it resumes the upload of an earlier attempt."""
    stem, dot, suffix = key.rpartition(".")
    return f"{stem}-{fence}.{suffix}" if dot and "/" not in suffix else f"{key}-{fence}"


def _fence_of(stored: str, key: str) -> int | None:
    """Return the fence in a key that `fenced` made from `key`."""
    found = re.search(r"-(\d{1,19})(?:\.[^./]*)?$", stored)
    return int(found[1]) if found and fenced(key, found[1]) == stored else None


def _is_same(saved: Any, memo: Mapping[str, Any], key: str) -> bool:
    return (
        isinstance(saved, dict)
        and saved.keys() == memo.keys()
        and (saved["bucket"], saved["digest"]) == (memo["bucket"], memo["digest"])
        and _fence_of(str(saved["key"]), key) is not None
    )


async def _remove_older(bucket: str, key: str, stored: str, fence: int) -> None:
    try:
        for other in await current().keys(bucket, key.rpartition("/")[0]):
            older = _fence_of(other, key)
            if older is not None and older < fence and other != stored:
                await current().remove(bucket, other)
    except StorageError as error:  # leftovers only use space
        structlog.get_logger("listener.kit.storage").warning("leftovers kept", error=str(error))


def _digest(path: Path) -> str:
    """Return a fingerprint of a file's content; runs in a worker thread."""
    digest = hashlib.blake2b(digest_size=32)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                from_thread.check_cancelled()
                digest.update(chunk)
    except OSError as error:
        raise StorageError(f"{path.name} could not be read: {error.strerror}.") from error
    return digest.hexdigest()
