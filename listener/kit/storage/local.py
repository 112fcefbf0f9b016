"""Objects in a folder; `storage.http.routes` serves them at signed addresses that expire."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from anyio import from_thread, to_thread

from listener.kit.storage.base import (
    CHUNK,
    WEEK,
    BadKey,
    BadSignature,
    ObjectNotFound,
    Remember,
    check,
    check_size,
    local_name,
    storing,
)

MAX_SEGMENT_BYTES = 255  # of common file systems


class LocalStorage:
    """Objects as files `root/bucket/key`.

    Args:
        root: folder of the objects; created if it is missing.
        base_url: address of the server of `storage.http.routes`, such as `http://127.0.0.1:3001`; may be set later.
        secret: key of the signatures; None keeps one in `root/.secret`, so that addresses survive a restart.

    Attributes:
        base_url: as above.
    """

    def __init__(self, root: Path, base_url: str, secret: bytes | None = None) -> None:
        self.base_url = base_url
        self._incoming = root / ".incoming"  # no bucket can have that name
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        self._secret = secret if secret is not None else _kept_secret(root / ".secret")

    async def download(self, bucket: str, key: str, folder: Path, *, max_bytes: int | None = None) -> Path:
        """Copy an object into a folder, as `Storage.download` says."""
        source = self._find(bucket, key)
        target = folder / local_name(bucket, key)
        await to_thread.run_sync(_copy, source, target, folder / f".{secrets.token_hex(8)}", max_bytes)
        return target

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
        """Store a file, as `Storage.upload` says. The server derives its content type from the key's suffix."""
        target = self._place(bucket, key)
        await to_thread.run_sync(_copy, path, target, self._incoming / secrets.token_hex(8))

    async def url(self, bucket: str, key: str, *, expires: timedelta = WEEK) -> str:
        """Return a signed address, as `Storage.url` says."""
        check(bucket, key)
        until = int(time.time() + expires.total_seconds())
        address = f"{self.base_url.rstrip('/')}/storage/{bucket}/{quote(key)}"
        return f"{address}?expires={until}&signature={self._sign(bucket, key, until)}"

    async def remove(self, bucket: str, key: str) -> None:
        """Remove an object, as `Storage.remove` says. Empty folders remain."""
        self._place(bucket, key).unlink(missing_ok=True)

    async def keys(self, bucket: str, folder: str) -> list[str]:
        """Return the keys of a folder, as `Storage.keys` says."""
        place = self._place(bucket, folder)
        return (
            sorted(f"{folder}/{entry.name}" for entry in place.iterdir() if entry.is_file())
            if place.is_dir()
            else []
        )

    def open_signed(self, bucket: str, key: str, expires: int, signature: str) -> Path:
        """Return the file of an address made by `url`.

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
        """Return the path of an object, whether it exists or not; a symbolic link must not lead out of the bucket."""
        check(bucket, key)
        if any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in key.split("/")):
            raise BadKey(
                f"{key[:100]!r} can't be a file: a segment is longer than {MAX_SEGMENT_BYTES} bytes."
            )
        place = self._root / bucket / key
        if not place.resolve().is_relative_to(self._root / bucket):
            raise BadKey(f"{key[:100]!r} is not a valid object key: it leads out of its bucket.")
        return place

    def _find(self, bucket: str, key: str) -> Path:
        place = self._place(bucket, key)
        if not place.is_file():
            raise ObjectNotFound(f"There is no object {key!r} in bucket {bucket!r}.")
        return place


def _copy(source: Path, target: Path, temporary: Path, max_bytes: int | None = None) -> None:
    """Copy through `temporary`, so that `target` is never half written; runs in a worker thread."""
    try:
        with storing(source.name):
            with source.open("rb") as reader, temporary.open("xb") as writer:
                check_size(source.stat().st_size, max_bytes)  # and below, because the file may grow
                while chunk := reader.read(CHUNK):
                    from_thread.check_cancelled()
                    check_size(writer.tell() + len(chunk), max_bytes)
                    writer.write(chunk)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _kept_secret(path: Path) -> bytes:
    """Return the secret in `path`, which the first process creates; `os.link` lets only one of two win."""
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
