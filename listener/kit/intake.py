"""Bring the file that a row names into a job's scratch folder: an https address, a `data:` URL, or a storage key."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from anyio import to_thread

from listener.kit import storage
from listener.kit.data_url import decode_data_url
from listener.kit.errors import KitError
from listener.kit.fetch import FetchError, fetch


class NotOwned(KitError):
    """A storage key lies outside the folder of its owner."""

    permanent = True


async def bring(
    address: str,
    target: Path,
    *,
    bucket: str,
    owner: str | None,
    max_bytes: int,
    what: str = "The file",
    allow: Collection[str] | None = None,
) -> Path:
    """Write the file at `address` to `target`, whole or not at all.

    The size is checked before and during the transfer, so a large file never fills the disk.

    Args:
        address: an http(s) address as `fetch` accepts it, a base64 `data:` URL, or a key in `bucket`.
        target: path of the new file; an existing file is replaced.
        bucket: bucket of the storage keys.
        owner: first folder of the keys that are accepted, usually a user id; None accepts no key.
        max_bytes: largest file accepted.
        what: subject of the error sentences, such as `The recording`.
        allow: as for `fetch`.

    Returns:
        `target`.

    Raises:
        TooLarge: the file is larger than `max_bytes`.
        FetchError: the address is refused, broken or could not be read.
        NotOwned: the key lies in another folder.
        ObjectNotFound: there is no such object; it may still be uploaded.
        BadKey: the key is malformed.
        StorageError: anything else that the storage reports.
    """
    scheme = address.partition(":")[0].lower()
    try:
        if scheme == "data":
            return await to_thread.run_sync(lambda: decode_data_url(address, target, max_bytes=max_bytes))
        if scheme in {"http", "https"}:
            return await fetch(address, target, max_bytes=max_bytes, allow=allow)
    except FetchError as error:
        raise FetchError(f"{what} could not be fetched: {error}", permanent=error.permanent) from error
    if owner is None or address.partition("/")[0] != owner:
        raise NotOwned(f"{what} does not lie in this user's folder of the storage.")
    return await bring_object(bucket, address, target, max_bytes=max_bytes, what=what)


async def bring_object(
    bucket: str, key: str, target: Path, *, max_bytes: int, what: str = "The file"
) -> Path:
    """Write the object `key` to `target`; for keys that the service itself stored or checked.

    Args:
        bucket: bucket of the object.
        key: its key.
        target, max_bytes, what: as for `bring`.

    Returns:
        `target`.

    Raises:
        TooLarge, ObjectNotFound, BadKey, StorageError: as `bring`.
    """
    try:
        found = await storage.download(bucket, key, target.parent, max_bytes=max_bytes)
    except (storage.ObjectNotFound, storage.BadKey) as error:
        raise type(error)(f"{what} is not in the storage: {error}") from error
    return await to_thread.run_sync(found.replace, target)
