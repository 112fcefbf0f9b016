"""Resumable uploads to Supabase Storage: TUS 1.0.0 with its extension `creation`.

https://tus.io/protocols/resumable-upload, https://supabase.com/docs/guides/storage/uploads/resumable-uploads
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx

from listener.kit.storage.base import ObjectNotFound, Remember
from listener.kit.storage.supabase_api import Api, Busy

CHUNK = 6 * 1024 * 1024
"""Bytes in every request except the last: Supabase requires exactly this size."""

PIECE_BYTES = 64 * 1024  # sent at once; each must be sent before the time-out
UPLOADS = "/upload/resumable"
VERSION = {"Tus-Resumable": "1.0.0"}
UPSERT = {"x-upsert": "true"}
"""Sent with every POST and PATCH: the server decides for each request whether it may replace an object, and forgets
what the upload began with. Without it, the repetition of a last chunk whose answer was lost gets 409."""


async def upload(
    api: Api,
    http: httpx.AsyncClient,
    path: Path,
    about: dict[str, str],
    *,
    resume: str | None,
    remember: Remember | None,
) -> None:
    """Send a file in chunks, and repeat each until it has arrived.

    Args:
        api: the storage.
        http: a session of it.
        path: the file; it must not change during the upload.
        about: bucketName, objectName, contentType and cacheControl.
        resume: the word that `remember` was called with when this upload began, or None.
        remember: called when an upload begins, with the word for `resume`.

    Raises:
        ObjectNotFound: there is no such bucket.
        BadKey, Refused, StorageError: as `Storage.upload`.
    """
    patience = api.patience()
    metadata = [f"{name} {b64encode(value.encode()).decode()}" for name, value in about.items()]
    async with await anyio.open_file(path, "rb") as file:
        size = await file.seek(0, 2)
        word, offset = resume or "", -1  # a negative offset is unknown: ask the storage
        while offset < size:
            try:
                if not word:
                    word, offset = await _begin(api, http, size, metadata), 0
                    if remember:
                        await remember(word)
                if offset < 0:
                    offset = await _offset(api, http, word, size, metadata)
                await file.seek(offset)
                offset = await _send(api, http, word, offset, await file.read(CHUNK))
            except ObjectNotFound as missing:
                if not word:  # it is the bucket that is missing
                    raise
                word = ""  # the upload has expired, or belongs to another object
                await patience.rest(Busy(str(missing)), offset)
            except Busy as busy:
                await patience.rest(busy, offset)
                offset = -1


async def _begin(api: Api, http: httpx.AsyncClient, size: int, metadata: list[str]) -> str:
    """Begin an upload, and return the word that names it: the last part of its address.

    The rest of the address is dropped, because behind a proxy it may name a host that only the proxy knows.
    """
    headers = {"Upload-Length": str(size), "Upload-Metadata": ",".join(metadata)}
    answer = await api.once(http, "POST", UPLOADS, headers=VERSION | UPSERT | headers)
    location: str = answer.headers.get("Location", "")
    return urlsplit(location).path.rpartition("/")[2]


async def _offset(api: Api, http: httpx.AsyncClient, word: str, size: int, metadata: list[str]) -> int:
    """Return the number of bytes that have arrived."""
    answer = await api.once(http, "HEAD", f"{UPLOADS}/{word}", headers=VERSION)
    named = answer.headers.get("Upload-Metadata", "").split(",")
    if answer.headers.get("Upload-Length") != str(size) or not set(metadata[:2]) <= set(named):
        raise ObjectNotFound("This is the upload of another object.")
    return int(answer.headers["Upload-Offset"])


async def _send(api: Api, http: httpx.AsyncClient, word: str, offset: int, chunk: bytes) -> int:
    """Send the chunk that begins at `offset`, and return where the next one begins."""
    headers = (
        VERSION
        | UPSERT
        | {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(len(chunk)),
        }
    )
    answer = await api.once(http, "PATCH", f"{UPLOADS}/{word}", headers=headers, content=_pieces(chunk))
    return int(answer.headers["Upload-Offset"])


async def _pieces(chunk: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(chunk), PIECE_BYTES):
        yield chunk[start : start + PIECE_BYTES]
