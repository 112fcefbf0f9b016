"""The interface of a storage: buckets of objects, named by keys such as `user/job/film.mp4`."""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from listener.kit.errors import KitError, TooLarge

WEEK = timedelta(days=7)
CHUNK = 1024 * 1024
MAX_KEY_BYTES = 1024

Remember = Callable[[str], Awaitable[None]]
"""Saves a word with which a later process can resume an upload."""


class StorageError(KitError):
    """The storage failed; trying again may help."""


class ObjectNotFound(StorageError):
    """There is no such object; it may still be uploaded."""


class Refused(StorageError):
    """The storage does not allow the operation, or does not accept the file."""

    permanent = True


class BadKey(Refused):
    """A bucket or key that is never valid."""


class BadSignature(StorageError):
    """A signed address was altered, or has expired."""

    permanent = True


class Storage(Protocol):
    """Interface of every storage. No method holds a whole object in memory."""

    async def download(self, bucket: str, key: str, folder: Path, *, max_bytes: int | None = None) -> Path:
        """Copy an object into `folder` and return the new file.

        The name of the file is a hash of bucket and key, with the key's suffix if that is a plain one such as `.mp4`.

        Args:
            bucket: of the object.
            key: of the object.
            folder: on the local disk.
            max_bytes: largest object accepted, checked before and during the transfer; None accepts any size.

        Raises:
            ObjectNotFound: there is no such object.
            BadKey: the bucket or key is invalid.
            TooLarge: it is larger than `max_bytes`.
            Refused: the storage does not allow us to read it.
            StorageError: anything else, e.g. a full disk.
        """
        ...

    async def upload(
        self,
        bucket: str,
        path: Path,
        key: str,
        *,
        content_type: str | None = None,
        resume: str | None = None,
        remember: Remember | None = None,
    ) -> None:
        """Store the file at `path` as `key`, whole or not at all; an older object is replaced.

        Args:
            bucket: a local storage creates a missing one; others refuse.
            path: a local file.
            key: name in the bucket.
            content_type: media type; None derives it from the key's suffix.
            resume: the word that an earlier upload of the same content to the same key gave to `remember`; a storage
                that supports it resumes that upload.
            remember: called before the first byte is sent, by a storage that can resume. The word is not secret, and
                is valid for a day.

        Raises:
            BadKey: the bucket or key is invalid.
            Refused: the storage does not accept the file.
            StorageError: anything else.
        """
        ...

    async def url(self, bucket: str, key: str, *, expires: timedelta = WEEK) -> str:
        """Return an address at which anybody can read the object until it expires.

        Raises:
            ObjectNotFound: there is no such object; not every storage checks that.
            BadKey: the bucket or key is invalid.
            StorageError: anything else.
        """
        ...

    async def remove(self, bucket: str, key: str) -> None:
        """Remove an object if it exists.

        Raises:
            BadKey: the bucket or key is invalid.
            StorageError: anything else.
        """
        ...

    async def keys(self, bucket: str, folder: str) -> list[str]:
        """Return the sorted keys of the objects directly in `folder`; an empty list if there is no such folder.

        Args:
            bucket: of the objects.
            folder: the part of the keys before their last `/`.

        Raises:
            BadKey: the bucket or folder is invalid.
            StorageError: anything else.
        """
        ...


def check(bucket: str, key: str) -> None:
    """Refuse a bucket or key that could name another object than it seems to.

    Raises:
        BadKey: the text names the broken rule.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", bucket):
        raise BadKey(f"{bucket!r} is not a bucket name; use letters, digits, '_', '-' and '.'.")
    if problem := _problem(key):
        raise BadKey(f"{key[:100]!r} is not a valid object key: it {problem}.")


def check_size(size: int, max_bytes: int | None) -> None:
    """Compare the size of an object with the limit.

    Raises:
        TooLarge: it is larger.
    """
    if max_bytes is not None and size > max_bytes:
        raise TooLarge(f"The object is larger than the {max_bytes} bytes that are accepted.")


@contextmanager
def storing(name: str) -> Iterator[None]:
    """Turn an error of the local disk, while `name` is read or written, into a `StorageError`."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror
        raise StorageError(f"{name} could not be stored: {reason}.") from error


def local_name(bucket: str, key: str) -> str:
    """Return the file name of the local copy of an object."""
    suffix = re.search(r"\.[a-z0-9]{1,8}$", key.lower())
    name = hashlib.blake2s(f"{bucket}/{key}".encode(), digest_size=8).hexdigest()
    return name + (suffix[0] if suffix else "")


def media_type(key: str) -> str:
    """Return the media type of an object by the suffix of its key."""
    return mimetypes.guess_type(key, strict=False)[0] or "application/octet-stream"


def _problem(key: str) -> str | None:
    rules = {
        "has an empty, '.' or '..' segment": bool({"", ".", ".."} & set(key.split("/"))),
        "contains a control character": any(unicodedata.category(char) in {"Cc", "Cs"} for char in key),
        "contains a backslash": "\\" in key,
        "contains a percent escape": unquote(key) != key,
        "is not in Unicode normal form NFKC": not unicodedata.is_normalized("NFKC", key),
        f"is longer than {MAX_KEY_BYTES} bytes": len(key.encode(errors="surrogatepass")) > MAX_KEY_BYTES,
    }
    return next((problem for problem, broken in rules.items() if broken), None)
