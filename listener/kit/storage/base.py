"""What a storage is: buckets of objects, named by keys like `user/job/film.mp4`."""

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
KEY_BYTES = 1024

Remember = Callable[[str], Awaitable[None]]
"""Keeps a word by which a later process can go on with an upload."""


class StorageError(KitError):
    """The storage could not do it; trying again may help."""


class ObjectNotFound(StorageError):
    """There is no such object (yet)."""


class Refused(StorageError):
    """The storage doesn't allow it, or doesn't take such a file."""

    permanent = True


class BadKey(Refused):
    """A bucket or key that is never valid."""


class BadSignature(StorageError):
    """A signed address was altered, or has expired."""

    permanent = True


class Storage(Protocol):
    """What every storage does. No method ever holds a whole object in memory."""

    async def download(self, bucket: str, key: str, folder: Path, *, max_bytes: int | None = None) -> Path:
        """Copy an object into `folder` and return the new file.

        The file's name is made by us, always the same for one object; of the key it keeps only a plain suffix
        such as `.mp4`.

        Args:
            bucket: where from.
            key: the object's.
            folder: on the local disk.
            max_bytes: a larger object is given up, before or while it is read; None takes any.

        Raises:
            ObjectNotFound: there is no such object.
            BadKey: the bucket or key is invalid.
            TooLarge: it is larger than `max_bytes`.
            Refused: the storage doesn't let us read it.
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
        """Store the file at `path` as `key`; whole or not at all, in place of an older object.

        Args:
            bucket: made when it is missing by a local storage; others refuse.
            path: a local file.
            key: name in the bucket.
            content_type: media type, or None to go by the key's suffix.
            resume: what an earlier upload of the very same content to the same key gave to `remember`; a storage
                that can goes on where that one was cut off.
            remember: called, by a storage that can resume, before the first byte is sent. What it is given is no
                secret, and of use for a day.

        Raises:
            BadKey: the bucket or key is invalid.
            Refused: the storage doesn't take the file.
            StorageError: anything else.
        """
        ...

    async def url(self, bucket: str, key: str, *, expires: timedelta = WEEK) -> str:
        """An address that lets anybody read the object until it expires.

        Raises:
            ObjectNotFound: there is no such object, where the storage looks.
            BadKey: the bucket or key is invalid.
            StorageError: anything else.
        """
        ...

    async def remove(self, bucket: str, key: str) -> None:
        """Remove an object, if it is there.

        Raises:
            BadKey: the bucket or key is invalid.
            StorageError: anything else.
        """
        ...

    async def keys(self, bucket: str, folder: str) -> list[str]:
        """The keys of the objects that lie in `folder` itself, sorted; none where there is no such folder.

        Args:
            bucket: where to look.
            folder: the part of the keys before their last `/`.

        Raises:
            BadKey: the bucket or folder is invalid.
            StorageError: anything else.
        """
        ...


def check(bucket: str, key: str) -> None:
    """Refuse every bucket and key that could mean another object than it seems to.

    Raises:
        BadKey: the text says which rule was broken.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", bucket):
        raise BadKey(f"{bucket!r} is not a bucket name; use letters, digits, '_', '-' and '.'.")
    if problem := _problem(key):
        raise BadKey(f"{key[:100]!r} is not a valid object key: it {problem}.")


def check_size(size: int, max_bytes: int | None) -> None:
    """Give up what is too large to be read.

    Raises:
        TooLarge: it is.
    """
    if max_bytes is not None and size > max_bytes:
        raise TooLarge(f"The object is larger than the {max_bytes} bytes that are accepted.")


@contextmanager
def storing(name: str) -> Iterator[None]:
    """Turn what the local disk refuses while `name` is read or written into a `StorageError`."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror
        raise StorageError(f"{name} could not be stored: {reason}.") from error


def local_name(bucket: str, key: str) -> str:
    """The name of the local copy of an object."""
    suffix = re.search(r"\.[a-z0-9]{1,8}$", key.lower())
    name = hashlib.blake2s(f"{bucket}/{key}".encode(), digest_size=8).hexdigest()
    return name + (suffix[0] if suffix else "")


def media_type(key: str) -> str:
    """What an object is, by the suffix of its key."""
    return mimetypes.guess_type(key, strict=False)[0] or "application/octet-stream"


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
