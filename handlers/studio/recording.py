"""Bring a recording to the local disk, and keep users to their own folders of the storage."""

from __future__ import annotations

from pathlib import Path

from handlers.studio.audio import RecordingError
from handlers.studio.settings import settings
from listener.kit import intake
from listener.kit.errors import TooLarge

_MB = 1024**2


def own_key(name: str, user: str) -> str:
    """Return the key of a user's recording in the bucket; a plain file name lies in the user's folder.

    Raises:
        RecordingError: the key lies in another user's folder.
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
        address: an https address, a `data:` URL, or a key in the bucket STUDIO_BUCKET.
        user: its owner.
        folder: where the file is written.

    Raises:
        RecordingError: it is another user's, or too large.
        FetchError, StorageError: it could not be fetched; ObjectNotFound if it may still be uploaded.
    """
    limit = settings().max_file_mb
    is_key = address.partition(":")[0].lower() not in {"http", "https", "data"}
    try:
        return await intake.bring(
            own_key(address, user) if is_key else address,
            folder / "recording.bin",
            bucket=settings().bucket,
            owner=user,
            max_bytes=limit * _MB,
            what="The recording",
        )
    except TooLarge as error:
        raise RecordingError(
            f"The recording is larger than {limit} MB, the limit (STUDIO_MAX_FILE_MB)."
        ) from error
