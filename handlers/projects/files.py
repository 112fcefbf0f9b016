"""Store the files of projects, each in its project's folder of a bucket."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from anyio import to_thread

from listener import ListenerError
from listener.kit import media, storage
from listener.kit.storage import Storage
from listener.kit.tables import Row

FILES = {"clips": ("clips", "clips"), "audio_files": ("audio", "audio"), "exports": ("exports", "final")}
"""Table -> bucket of its files, and their folder below the project's folder."""


class ProjectError(ListenerError):
    """The call makes no sense; the text says why."""


class ProjectFiles:
    """Upload files, and make their addresses.

    Args:
        files: the storage of the buckets; None takes the one chosen with `storage.use`.
    """

    def __init__(self, files: Storage | None) -> None:
        self._files = files

    @property
    def _storage(self) -> Storage:
        return self._files or storage.current()

    async def upload(self, project_id: str, table: str, data: bytes | Path, name: str) -> str:
        """Store a file and return its address.

        Raises:
            ProjectError: the file is not media of this table's kind.
        """
        bucket, part = FILES[table]
        with tempfile.TemporaryDirectory() as folder:
            path = data if isinstance(data, Path) else Path(folder) / "file"
            if isinstance(data, bytes):
                await to_thread.run_sync(path.write_bytes, data)
            try:
                found = await media.probe(path)
            except media.MediaError as error:
                raise ProjectError(f"The file can't be stored with the project: {error}") from error
            if (found.video if table == "clips" else found.audio) is None:
                wanted = "picture" if table == "clips" else "sound"
                raise ProjectError(f"The file can't be stored with the project: it has no {wanted}.")
            key = f"projects/{project_id}/{part}/{name}"
            await self._storage.upload(bucket, path, key)
        return await self._storage.url(bucket, key)

    async def place(self, project_id: str, table: str, url: str) -> dict[str, str]:
        """Return the columns for the address of a file; with its key, if it is in this storage."""
        bucket, part = FILES[table]
        place = {"file_url": url}
        found = re.search(rf"projects/{re.escape(project_id)}/{part}/.+", unquote(urlsplit(url).path))
        if found is None:
            return place
        try:
            ours = await self._storage.url(bucket, found[0])
        except storage.StorageError:
            return place
        is_ours = ours.partition("?")[0] == url.partition("?")[0]
        return place | ({"storage_key": found[0]} if is_ours else {})

    async def renew(self, row: Row, column: str, bucket: str, key: str) -> None:
        """Write a new address into a row, unless the file is missing."""
        try:
            row[column] = await self._storage.url(bucket, key)
        except storage.StorageError:
            return  # keep the old address
