"""Bring the media of a film to the local disk and probe each; FFmpeg gets no other file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import anyio
from anyio import to_thread

from handlers.export.intake.pictures import readable, too_large
from handlers.export.model import FilmError, MediaItem, Source
from handlers.export.settings import limits, over
from listener.kit import ffmpeg, intake, media, storage
from listener.kit.errors import TooLarge
from listener.kit.ffmpeg import MAX_FRAME_PIXELS
from listener.kit.media.probe_process import ProbeProcess

BUCKET = "export_data"
_AT_ONCE = 4
_MB = 1024**2


async def collect(
    items: Mapping[str, MediaItem | Path],
    folder: Path,
    *,
    owner: str,
    inline: Mapping[str, Path] | None = None,
    allow: Collection[str] | None = None,
    by: ProbeProcess | None = None,
) -> dict[str, Source]:
    """Fetch the media, a few at once, and then probe them.

    Args:
        items: by id: a local file, or a `url` that is a name in `inline`, an https or data URL, or a key in
            the bucket `export_data`.
        folder: where the files are written, under names that this function chooses.
        owner: user id; a storage key must lie in the folder of that name.
        inline: files that are decoded already, as `document.load` names them.
        allow: as for `fetch`.
        by: as for `probe`.

    Raises:
        FilmError: the media is of another user, too large, or not media at all.
        FetchError, StorageError: it could not be fetched.
    """
    if len(items) > limits().max_media:
        problem = f"The film is made of {len(items)} media files"
        raise over(problem, str(limits().max_media), "max_media")
    fetched = _Fetched(folder, owner, inline or {}, allow)
    try:
        async with anyio.create_task_group() as tasks:
            for media_id, item in items.items():
                tasks.start_soon(fetched.add, media_id, item)
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    paths = [fetched.files[media_id] for media_id in items]
    # Some have to be read to their end.
    found = await media.probe_all(paths, by=by, timeout=60, max_pixels=limits().max_pixels)
    known = await ffmpeg.decodable()
    sources = {}
    for (media_id, item), path, result in zip(items.items(), paths, found, strict=True):
        if isinstance(result, media.PictureTooLarge):
            if result.width * result.height > limits().max_pixels:
                raise too_large(item.name, result.width, result.height) from result
            problem = f"its frames have {result.width} × {result.height} pixels"
            most = f"{MAX_FRAME_PIXELS // 1_000_000} megapixels"
            raise FilmError(f"The media “{item.name}” can't be used: {problem}; at most {most} are possible.")
        if isinstance(result, media.MediaError):
            reason = str(result).replace(path.name, "it", 1)
            raise FilmError(f"The media “{item.name}” can't be used: {reason}") from result
        codecs = [stream.codec for stream in (result.video, result.audio) if stream]
        if unknown := [codec for codec in codecs if codec not in known]:
            reason = f"the installed FFmpeg does not decode {unknown[0]}"
            raise FilmError(f"The media “{item.name}” can't be used: {reason}.")
        sources[media_id] = Source(path, result, name=item.name)
    return sources


class _Fetched:
    """Fetches media, a few at once, within the limits.

    Attributes:
        files: by the ids of their media.
        room: bytes that further files may have.
    """

    def __init__(
        self, folder: Path, owner: str, inline: Mapping[str, Path], allow: Collection[str] | None
    ) -> None:
        self.folder = folder
        self.owner = owner
        self.inline = inline
        self.allow = allow
        self.files: dict[str, Path] = {}
        self.room = limits().max_media_mb * _MB
        self._slots = anyio.CapacityLimiter(_AT_ONCE)
        self._begun = 0

    async def add(self, media_id: str, item: MediaItem | Path) -> None:
        async with self._slots:
            target = self.folder / f"in{self._begun}.bin"
            self._begun += 1
            max_bytes = min(limits().max_file_mb * _MB, self.room)
            try:
                path = await self._fetch(item, target, max_bytes)
                path = await readable(path, target, item.name)
                size = (await to_thread.run_sync(path.stat)).st_size
            except TooLarge:
                size = max_bytes + 1
            except (intake.NotOwned, storage.ObjectNotFound, storage.BadKey) as error:
                raise FilmError(str(error)) from error
            if size > limits().max_file_mb * _MB:
                limit = f"{limits().max_file_mb} MB"
                raise over(f"The media “{item.name}” is too large", limit, "max_file_mb")
            self.room -= size
            if self.room < 0:
                limit = f"{limits().max_media_mb} MB"
                raise over("The media of the film are too large together", limit, "max_media_mb")
            self.files[media_id] = path

    async def _fetch(self, item: MediaItem | Path, target: Path, max_bytes: int) -> Path:
        if isinstance(item, Path):
            return item
        if item.url in self.inline:
            return self.inline[item.url]
        return await intake.bring(
            item.url,
            target,
            bucket=BUCKET,
            owner=self.owner,
            max_bytes=max_bytes,
            what=f"The media “{item.name}”",
            allow=self.allow,
        )
