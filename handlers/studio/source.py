"""Where a recording comes from: an https address, or the folder of its user in the storage."""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from handlers.studio.audio import RecordingError
from handlers.studio.settings import settings
from listener.kit import storage
from listener.kit.fetch import TooLarge, fetch

_MB = 1024**2


def own_key(name: str, user: str) -> str:
    """The key of a user's recording in the bucket; a plain file name lies in the user's folder.

    Raises:
        RecordingError: it lies in somebody else's folder.
    """
    key = name if "/" in name else f"{user}/{name}"
    if key.split("/")[0] != user:
        raise RecordingError(
            f"The recording does not lie in this user's folder of the storage; it is {user}/…."
        )
    return key


async def bring(address: str, user: str, folder: Path) -> Path:
    """Bring a recording to the local disk.

    Args:
        address: an https address, or a key in the bucket STUDIO_BUCKET.
        user: whose it is.
        folder: where the file goes.

    Raises:
        RecordingError: it is another user's, or too large.
        FetchError, StorageError: it could not be fetched; ObjectNotFound, where it may still come.
    """
    most = settings().max_file_mb * _MB
    if address.partition(":")[0].lower() in {"http", "https"}:
        try:
            return await fetch(address, folder / "recording.bin", max_bytes=most)
        except TooLarge as error:
            raise _too_large() from error
    path = await storage.download(settings().bucket, own_key(address, user), folder)
    if (await to_thread.run_sync(path.stat)).st_size > most:
        raise _too_large()
    return path


def _too_large() -> RecordingError:
    limit = f"{settings().max_file_mb} MB"
    return RecordingError(f"The recording is larger than {limit}, the limit (STUDIO_MAX_FILE_MB).")
