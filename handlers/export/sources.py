"""Bring the media of a timeline to the local disk and look into each: FFmpeg is given nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import anyio
from anyio import to_thread

from handlers.export.graph import Source
from handlers.export.model import FilmError
from handlers.export.opencut import MediaItem
from listener.kit import media, storage
from listener.kit.fetch import FetchError, decode_data_url, fetch

BUCKET = "export_data"
MAX_BYTES = 4 * 1024**3
_AT_ONCE = 4


async def collect(
    items: Mapping[str, MediaItem], folder: Path, *, owner: str, allow: Collection[str] | None = None
) -> dict[str, Source]:
    """Fetches and probes each media, a few at once.

    Args:
        items: by id; `url` is an https or data URL, or a key in the bucket `export_data`.
        folder: where the files go, under names of our own.
        owner: user id; a storage key must lie in the folder of that name.
        allow: as for `fetch`.

    Raises:
        FilmError: the media is of another user, or not media at all.
        FetchError, StorageError: it could not be fetched.
    """
    sources: dict[str, Source] = {}
    slots = anyio.CapacityLimiter(_AT_ONCE)

    async def one(media_id: str, item: MediaItem, target: Path) -> None:
        async with slots:
            sources[media_id] = await _source(item, target, owner, allow)

    try:
        async with anyio.create_task_group() as tasks:
            for number, (media_id, item) in enumerate(items.items()):
                tasks.start_soon(one, media_id, item, folder / f"in{number}.bin")
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return sources


async def _source(item: MediaItem, target: Path, owner: str, allow: Collection[str] | None) -> Source:
    try:
        await _bring(item, target, owner, allow)
        return Source(target, await media.probe(target))
    except FetchError as error:
        message = f"The media “{item.name}” could not be fetched: {error}"
        raise FetchError(message, permanent=error.permanent) from error
    except media.MediaError as error:
        reason = str(error).replace(target.name, "it", 1)
        raise FilmError(f"The media “{item.name}” can't be used: {reason}") from error


async def _bring(item: MediaItem, target: Path, owner: str, allow: Collection[str] | None) -> None:
    scheme = item.url.partition(":")[0].lower()
    if scheme == "data":
        await to_thread.run_sync(lambda: decode_data_url(item.url, target, max_bytes=MAX_BYTES))
    elif scheme in {"http", "https"}:
        await fetch(item.url, target, max_bytes=MAX_BYTES, allow=allow)
    elif item.url.split("/")[0] != owner:
        raise FilmError(f"The media “{item.name}” does not lie in this user's folder of the storage.")
    else:
        try:
            found = await storage.download(BUCKET, item.url, target.parent)
        except (storage.ObjectNotFound, storage.BadKey) as error:
            raise FilmError(f"The media “{item.name}” is not in the storage: {error}") from error
        await to_thread.run_sync(found.rename, target)
