"""Objects in a storage that speaks S3. Needs the extra `s3` of this package."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from listener.kit.storage.base import (
    WEEK,
    ObjectNotFound,
    Refused,
    Remember,
    StorageError,
    check,
    check_size,
    local_name,
    media_type,
    storing,
)

if TYPE_CHECKING:  # these exist in the type stubs only
    from obstore import Bytes, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config

PART_BYTES = 8 * 1024 * 1024  # in one request; a transfer uses AT_ONCE times as much memory
AT_ONCE = 4
KEY_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"}
REFUSALS = {"AccessDenied", "EntityTooLarge", "InvalidBucketName", "AllAccessDisabled", "KeyTooLongError"}


class S3Storage:
    """The buckets of an account. You create them; a lifecycle rule of the bucket removes unfinished uploads.

    Args:
        endpoint: such as `https://s3.eu-central-1.amazonaws.com` or `https://abc.supabase.co/storage/v1/s3`; buckets
            are addressed as the first folder of its path.
        access_key_id: names the key.
        secret_access_key: signs requests; it is never sent.
        region: of the endpoint.
        patience: seconds during which a request is repeated while the storage is busy or unreachable.
    """

    def __init__(
        self,
        endpoint: str,
        access_key_id: str,
        secret_access_key: str,
        region: str,
        *,
        patience: float = 300.0,
    ) -> None:
        self._config: S3Config = {
            "endpoint": endpoint,
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
            "region": region,
            "virtual_hosted_style_request": False,
        }
        self._client: ClientConfig = {
            "allow_http": endpoint.startswith("http:"),
            "connect_timeout": timedelta(seconds=10),
            "timeout": timedelta(seconds=120),
        }
        self._retry: RetryConfig = {"max_retries": 1000, "retry_timeout": timedelta(seconds=patience)}

    async def download(self, bucket: str, key: str, folder: Path, *, max_bytes: int | None = None) -> Path:
        """Copy an object into a folder, as `Storage.download` says."""
        store = self._store(bucket, key)
        target, draft = folder / local_name(bucket, key), folder / f".{secrets.token_hex(8)}"
        try:
            with storing(target.name):
                with _errors(f"There is no object {key!r} in bucket {bucket!r}."):
                    found = await obstore.head_async(store, key)
                check_size(found["size"], max_bytes)
                async with await anyio.open_file(draft, "xb") as file:
                    for start in range(0, found["size"], PART_BYTES):
                        await file.write(await _part(store, key, start, found))
                draft.replace(target)
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
        """Store a file, as `Storage.upload` says. Failed parts are repeated; a new process starts again."""
        store = self._store(bucket, key)
        kind = content_type or media_type(key)
        with storing(path.name):
            await anyio.Path(path).stat()
        try:
            with _errors(f"There is no bucket {bucket!r}; make it first."):
                await obstore.put_async(
                    store,
                    key,
                    path,
                    attributes={"Content-Type": kind},
                    chunk_size=PART_BYTES,
                    max_concurrency=AT_ONCE,
                )
        except ObjectNotFound as error:
            raise Refused(str(error)) from error

    async def url(self, bucket: str, key: str, *, expires: timedelta = WEEK) -> str:
        """Return a signed address, as `Storage.url` says. It expires after a week at the latest."""
        with _errors(""):
            return await obstore.sign_async(self._store(bucket, key), "GET", key, min(expires, WEEK))

    async def remove(self, bucket: str, key: str) -> None:
        """Remove an object, as `Storage.remove` says."""
        with suppress(ObjectNotFound), _errors(""):
            await obstore.delete_async(self._store(bucket, key), key)

    async def keys(self, bucket: str, folder: str) -> list[str]:
        """Return the keys of a folder, as `Storage.keys` says."""
        try:
            with _errors(""):
                found = await obstore.list_with_delimiter_async(self._store(bucket, folder), folder)
        except ObjectNotFound:
            return []
        return sorted(meta["path"] for meta in found["objects"])

    def _store(self, bucket: str, key: str) -> S3Store:
        check(bucket, key)
        return S3Store(bucket, config=self._config, client_options=self._client, retry_config=self._retry)


async def _part(store: S3Store, key: str, start: int, found: ObjectMeta) -> Bytes:
    end = min(start + PART_BYTES, found["size"])
    with _errors("The object was removed while it was read."):
        answer = await obstore.get_async(
            store, key, options={"range": (start, end), "if_match": found["e_tag"]}
        )
        return await answer.bytes_async()


@contextmanager
def _errors(missing: str) -> Iterator[None]:
    """Turn the library's errors into ours, without their long description of the request."""
    try:
        yield
    except FileNotFoundError:
        raise ObjectNotFound(missing) from None
    except BaseError as error:
        raise _error(error, missing) from None


def _error(error: BaseError, missing: str) -> StorageError:
    found = {tag: re.search(f"<{tag}>([^<]*)</{tag}>", str(error)) for tag in ("Code", "Message")}
    code, message = (match[1] if match else "" for match in found.values())
    said = f"The S3 storage reports: {code} {message}".rstrip(". ") + "."
    if code in KEY_CODES or isinstance(error, UnauthenticatedError):
        return StorageError(f"Check S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and S3_REGION. {said}")
    if code == "NoSuchBucket":
        return ObjectNotFound(missing)
    if code in REFUSALS:
        return Refused(said)
    if isinstance(error, PermissionDeniedError):  # a response without a body has no code
        return Refused("The S3 storage does not allow this key to do that.")
    return StorageError(
        said if code else "The S3 storage could not be reached, or its response makes no sense."
    )
