"""Resume downloads after a broken connection, with range requests (RFC 9110, section 14)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx

from listener.kit.storage.base import CHUNK, check_size
from listener.kit.storage.supabase_api import Api, Busy, reaching, refusal


async def download(
    api: Api, http: httpx.AsyncClient, path: str, draft: Path, max_bytes: int | None = None
) -> None:
    """Write a whole object to `draft`, over as many connections as necessary.

    Args:
        api: the storage.
        http: a session of it.
        path: of the object.
        draft: a new file; after an error it holds a part of the object.
        max_bytes: as for `Storage.download`.

    Raises:
        ObjectNotFound, TooLarge, Refused, StorageError: as `Storage.download`.
    """
    patience = api.patience()
    size, tag, whole = 0, "", False  # bytes in the draft, and the version they belong to
    async with await anyio.open_file(draft, "xb") as file:
        while not whole:
            try:
                async with _answer(api, http, path, size, tag) as answer:
                    if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                        size, tag = 0, answer.headers.get("ETag", "")
                        await file.seek(0)
                        await file.truncate()
                    elif answer.headers.get("ETag") != tag:
                        tag = ""  # it was replaced meanwhile, so the next try starts from the beginning
                        continue
                    check_size(_length(answer, size), max_bytes)
                    with anyio.fail_after(api.timeout) as clock:
                        async for chunk in answer.aiter_raw(CHUNK):
                            check_size(size + len(chunk), max_bytes)
                            await file.write(chunk)
                            size += len(chunk)
                            clock.deadline = anyio.current_time() + api.timeout
                whole = size == _length(answer, size)
            except TimeoutError:
                slow = Busy(f"The storage sent less than {CHUNK} bytes in {api.timeout:g} s.")
                await patience.rest(slow, size)
            except Busy as busy:
                await patience.rest(busy, size)


@asynccontextmanager
async def _answer(
    api: Api, http: httpx.AsyncClient, path: str, size: int, tag: str
) -> AsyncIterator[httpx.Response]:
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges of a compressed response would not fit
    if size and tag:
        headers |= {"Range": f"bytes={size}-", "If-Range": tag}
    with reaching():  # a response that ends early is a broken connection, too
        async with http.stream("GET", api.base + path, headers=headers) as answer:
            if answer.is_error:
                await answer.aread()
                raise refusal(answer)
            yield answer


def _length(answer: httpx.Response, size: int) -> int:
    """Return the length of the whole object; `size` if the response does not say it, because it ended cleanly."""
    whole = answer.headers.get("Content-Range", "").rpartition("/")[2] or answer.headers.get("Content-Length")
    return int(whole) if whole and whole.isdigit() else size
