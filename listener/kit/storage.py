"""Where files live: buckets of objects, named by keys like `user/job/film.mp4`.

One `Storage` is chosen at start with `use`; handlers call the functions of this module. `LocalStorage` keeps
objects in a folder and hands out signed, expiring addresses that `storage_http.routes` serves.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
import secrets
import time
import unicodedata
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

from anyio import from_thread, to_thread

from listener.errors import ListenerError

WEEK = timedelta(days=7)
CHUNK = 1024 * 1024
KEY_BYTES = 1024
SEGMENT_BYTES = 255  # what file systems take


class StorageError(ListenerError):
    """The storage could not do it; trying again may help."""


class ObjectNotFound(StorageError):
    """There is no such object (yet)."""


class BadKey(StorageError):
    """A bucket or key that is never valid; trying again won't help."""


class BadSignature(StorageError):
    """A signed address was altered, or has expired."""


class Storage(Protocol):
    """What every storage does. No method ever holds a whole object in memory."""

    async def download(self, bucket: str, key: str, folder: Path) -> Path:
        """Copy an object into `folder` and return the new file.

        The file's name is made by us; of the key it keeps only a plain suffix such as `.mp4`.

        Raises:
            ObjectNotFound: there is no such object.
            BadKey: the bucket or key is invalid.
            StorageError: anything else, e.g. a full disk.
        """
        ...

    async def upload(self, bucket: str, path: Path, key: str, *, content_type: str | None = None) -> None:
        """Store the file at `path` as `key`; whole or not at all, in place of an older object.

        Args:
            bucket: made when it is missing.
            path: a local file.
            key: name in the bucket.
            content_type: media type, or None to go by the key's suffix.

        Raises:
            BadKey: the bucket or key is invalid.
            StorageError: anything else.
        """
        ...

    async def url(self, bucket: str, key: str, *, expires: timedelta = WEEK) -> str:
        """An address that lets anybody read the object until it expires.

        Raises:
            BadKey: the bucket or key is invalid.
        """
        ...

    async def remove(self, bucket: str, key: str) -> None:
        """Remove an object, if it is there.

        Raises:
            BadKey: the bucket or key is invalid.
        """
        ...


_current: Storage | None = None


def use(storage: Storage) -> None:
    """Choose the storage that `download` and `upload` of this module work with."""
    global _current  # noqa: PLW0603 - one service has one storage, chosen once at start
    _current = storage


def current() -> Storage:
    """The storage chosen with `use`.

    Raises:
        StorageError: none was chosen.
    """
    if _current is None:
        raise StorageError(
            "No storage is configured; set STORAGE_DIR, or call listener.kit.storage.use(...)."
        )
    return _current


async def download(bucket: str, key: str, folder: Path) -> Path:
    """Copy an object into `folder`; see `Storage.download`."""
    return await current().download(bucket, key, folder)


async def upload(bucket: str, path: Path, key: str | None = None) -> str:
    """Store a file and return an address to read it, valid for seven days; see `Storage.upload`.

    Args:
        bucket: where to.
        path: a local file.
        key: name in the bucket; None takes the names of the file's folder and the file, `folder/file.jpg`,
            which for a file in a job's scratch folder is different for each job.
    """
    key = f"{path.parent.name}/{path.name}" if key is None else key
    await current().upload(bucket, path, key)
    return await current().url(bucket, key)


def check(bucket: str, key: str) -> None:
    """Refuse every bucket and key that could mean another object than it seems to.

    Raises:
        BadKey: the text says which rule was broken.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", bucket):
        raise BadKey(f"{bucket!r} is not a bucket name; use letters, digits, '_', '-' and '.'.")
    if problem := _problem(key):
        raise BadKey(f"{key[:100]!r} is not a valid object key: it {problem}.")


def _problem(key: str) -> str | None:
    rules = {
        "has an empty, '.' or '..' segment": bool({"", ".", ".."} & set(key.split("/"))),
        "contains a control character": any(unicodedata.category(char) in {"Cc", "Cs"} for char in key),
        "contains a backslash": "\\" in key,
        "contains a percent escape": unquote(key) != key,
        "is not in Unicode normal form NFKC": not unicodedata.is_normalized("NFKC", key),
        f"is longer than {KEY_BYTES} bytes": len(key.encode(errors="surrogatepass")) > KEY_BYTES,
    }
    return next((problem for problem, broken in rules.items() if broken), None)


class LocalStorage:
    """Objects as files `root/bucket/key`.

    Args:
        root: made when missing.
        base_url: where `storage_http.routes` is served, such as `http://127.0.0.1:3001`; may be set later.
        secret: signs addresses; None keeps one in `root/.secret`, so that they survive a restart.

    Attributes:
        base_url: as above.
    """

    def __init__(self, root: Path, base_url: str, secret: bytes | None = None) -> None:
        self.base_url = base_url
        self._incoming = root / ".incoming"  # no bucket can have that name
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        self._secret = secret if secret is not None else _kept_secret(root / ".secret")

    async def download(self, bucket: str, key: str, folder: Path) -> Path:
        """See `Storage.download`. The same object always gets the same name in `folder`."""
        source = self._find(bucket, key)
        suffix = re.search(r"\.[a-z0-9]{1,8}$", key.lower())
        name = hashlib.blake2s(f"{bucket}/{key}".encode(), digest_size=8).hexdigest()
        target = folder / (name + (suffix[0] if suffix else ""))
        await to_thread.run_sync(_copy, source, target, folder / f".{secrets.token_hex(8)}")
        return target

    async def upload(self, bucket: str, path: Path, key: str, *, content_type: str | None = None) -> None:
        """See `Storage.upload`. The content type isn't kept: the served one goes by the key's suffix."""
        target = self._place(bucket, key)
        await to_thread.run_sync(_copy, path, target, self._incoming / secrets.token_hex(8))

    async def url(self, bucket: str, key: str, *, expires: timedelta = WEEK) -> str:
        """See `Storage.url`."""
        check(bucket, key)
        until = int(time.time() + expires.total_seconds())
        address = f"{self.base_url.rstrip('/')}/storage/{bucket}/{quote(key)}"
        return f"{address}?expires={until}&signature={self._sign(bucket, key, until)}"

    async def remove(self, bucket: str, key: str) -> None:
        """See `Storage.remove`. Emptied folders stay."""
        self._place(bucket, key).unlink(missing_ok=True)

    def open_signed(self, bucket: str, key: str, expires: int, signature: str) -> Path:
        """The file behind an address made by `url`.

        Raises:
            BadSignature: the address was altered, or has expired.
            ObjectNotFound, BadKey: there is no such object.
        """
        if not hmac.compare_digest(self._sign(bucket, key, expires).encode(), signature.encode()):
            raise BadSignature("The address of this file is not valid; ask for a new one.")
        if expires < time.time():
            raise BadSignature("The address of this file has expired; ask for a new one.")
        return self._find(bucket, key)

    def _sign(self, bucket: str, key: str, expires: int) -> str:
        message = f"{bucket}\n{key}\n{expires}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()

    def _place(self, bucket: str, key: str) -> Path:
        """Where an object is or would be; a symbolic link must not lead out of its bucket."""
        check(bucket, key)
        if any(len(segment.encode()) > SEGMENT_BYTES for segment in key.split("/")):
            raise BadKey(f"{key[:100]!r} can't be a file: a segment is longer than {SEGMENT_BYTES} bytes.")
        place = self._root / bucket / key
        if not place.resolve().is_relative_to(self._root / bucket):
            raise BadKey(f"{key[:100]!r} is not a valid object key: it leads out of its bucket.")
        return place

    def _find(self, bucket: str, key: str) -> Path:
        place = self._place(bucket, key)
        if not place.is_file():
            raise ObjectNotFound(f"There is no object {key!r} in bucket {bucket!r}.")
        return place


def _copy(source: Path, target: Path, temporary: Path) -> None:
    """Copy by way of `temporary`, so that `target` is never half written; runs in a worker thread."""
    try:
        with source.open("rb") as reader, temporary.open("xb") as writer:
            while chunk := reader.read(CHUNK):
                from_thread.check_cancelled()
                writer.write(chunk)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
    except OSError as error:
        reason = "the disk is full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror
        raise StorageError(f"{source.name} could not be stored: {reason}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _kept_secret(path: Path) -> bytes:
    """The secret in `path`, made by the first process that asks; `os.link` lets only one of two win."""
    if not path.exists():
        draft = path.with_name(f".secret-{secrets.token_hex(8)}")
        draft.touch(0o600)
        draft.write_bytes(secrets.token_bytes(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
