"""Objects in Supabase Storage."""

from __future__ import annotations

import itertools
import secrets
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import anyio
import httpx

from listener.kit.storage import tus
from listener.kit.storage.base import (
    WEEK,
    ObjectNotFound,
    Refused,
    Remember,
    check,
    local_name,
    media_type,
    storing,
)
from listener.kit.storage.supabase_api import Api, PayloadTooLarge, place
from listener.kit.storage.supabase_download import download

CACHE_SECONDS = 3600  # that browsers may cache an object, as with Supabase's clients
PAGE_KEYS = 1000  # in one response


class SupabaseStorage:
    """The storage of a Supabase project.

    You create the buckets and decide who may read them. The service key bypasses all policies, so a handler that takes
    an object's key from a row must check that the key belongs to the row's user.

    Args:
        url: the project's, such as `https://abc.supabase.co`.
        key: its secret or service_role key.
        timeout: seconds in which the next part of a request or a response must arrive.
        patience: seconds without any progress after which an operation fails; until then it is repeated.

    Raises:
        ConfigError: the key is malformed.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 60.0, patience: float = 300.0) -> None:
        self._api = Api(url, key, timeout=timeout, patience=patience)

    async def download(self, bucket: str, key: str, folder: Path, *, max_bytes: int | None = None) -> Path:
        """Copy an object into a folder, as `Storage.download` says. A broken download resumes at the last byte."""
        check(bucket, key)
        target, draft = folder / local_name(bucket, key), folder / f".{secrets.token_hex(8)}"
        try:
            with storing(target.name):
                async with self._api.session() as http:
                    source = f"/object/authenticated/{place(bucket, key)}"
                    await download(self._api, http, source, draft, max_bytes)
                draft.replace(target)
        except ObjectNotFound as error:
            raise ObjectNotFound(f"There is no object {key!r} in bucket {bucket!r}.") from error
        finally:
            draft.unlink(missing_ok=True)
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
        """Store a file, as `Storage.upload` says. A file above 6 MiB is sent as a resumable upload."""
        check(bucket, key)
        kind = content_type or media_type(key)
        try:
            with storing(path.name):
                size = (await anyio.Path(path).stat()).st_size
                async with self._api.session() as http:
                    if size <= tus.CHUNK:
                        await self._send(http, bucket, path, key, kind)
                        return
                    about = {"bucketName": bucket, "objectName": key, "contentType": kind}
                    about["cacheControl"] = str(CACHE_SECONDS)
                    await tus.upload(self._api, http, path, about, resume=resume, remember=remember)
        except PayloadTooLarge as error:
            raise await self._too_large(bucket, path.name, size) from error
        except ObjectNotFound as error:
            raise Refused(f"There is no bucket {bucket!r}; make it in the project's dashboard.") from error

    async def url(self, bucket: str, key: str, *, expires: timedelta = WEEK) -> str:
        """Return a signed address, as `Storage.url` says."""
        check(bucket, key)
        # The key is sent in the body. A key in the path is signed in a partly decoded form, `a%2Bb` for `a+b`, which
        # never equals the fully decoded path of the reader.
        wanted = {"expiresIn": int(expires.total_seconds()), "paths": [key]}
        async with self._api.session() as http:
            answer = await self._api.call(http, "POST", f"/object/sign/{bucket}", json=wanted)
        (signed,) = answer.json()
        if not signed["signedURL"]:
            raise ObjectNotFound(f"There is no object {key!r} in bucket {bucket!r}.")
        # The address in the response is not escaped; only its token is used.
        token = signed["signedURL"].rpartition("?token=")[2]
        return f"{self._api.base}/object/sign/{place(bucket, key)}?token={token}"

    async def remove(self, bucket: str, key: str) -> None:
        """Remove an object, as `Storage.remove` says."""
        check(bucket, key)
        with suppress(ObjectNotFound):  # the bucket is missing
            async with self._api.session() as http:
                await self._api.call(http, "DELETE", f"/object/{bucket}", json={"prefixes": [key]})

    async def keys(self, bucket: str, folder: str) -> list[str]:
        """Return the keys of a folder, as `Storage.keys` says."""
        check(bucket, folder)
        names: list[str] = []
        async with self._api.session() as http:
            for page in itertools.count():
                wanted = {"prefix": f"{folder}/", "limit": PAGE_KEYS, "offset": PAGE_KEYS * page}
                listed = (await self._api.call(http, "POST", f"/object/list/{bucket}", json=wanted)).json()
                names += [entry["name"] for entry in listed if entry["id"]]  # folders have no id
                if len(listed) < PAGE_KEYS:
                    break
        return sorted(f"{folder}/{name}" for name in names)

    async def _send(self, http: httpx.AsyncClient, bucket: str, path: Path, key: str, kind: str) -> None:
        """Store a small file with one request."""
        headers = {"Content-Type": kind, "Cache-Control": f"max-age={CACHE_SECONDS}", "x-upsert": "true"}
        content = await anyio.Path(path).read_bytes()
        await self._api.call(http, "POST", f"/object/{place(bucket, key)}", headers=headers, content=content)

    async def _too_large(self, bucket: str, name: str, size: int) -> Refused:
        """Return an error that names both limits, because the response does not say which was exceeded."""
        async with self._api.session() as http:
            limit = (await self._api.call(http, "GET", f"/bucket/{bucket}")).json().get("file_size_limit")
        own = f"takes at most {_mega(limit)}" if limit else "has no separate limit"
        return Refused(
            f"{name} ({_mega(size)}) is too large: the bucket {bucket!r} {own}, and the project has an upload file "
            "size limit (50 MB unless raised); raise the lower one in the project's storage settings."
        )


def _mega(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
