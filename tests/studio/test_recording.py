"""Recordings that are too large, and those of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.studio.audio import RecordingError
from handlers.studio.recording import bring
from listener.kit import storage

from .conftest import Configure


async def test_a_stored_recording_that_is_too_large_is_not_downloaded(
    tmp_path: Path, configure: Configure
) -> None:
    bucket = configure(max_file_mb="1").bucket
    store = storage.LocalStorage(tmp_path / "storage", "")
    storage.use(store)
    (tmp_path / "talk").write_bytes(bytes(1024**2 + 1))
    await store.upload(bucket, tmp_path / "talk", "ann/talk.ogg")
    (folder := tmp_path / "job").mkdir()
    with pytest.raises(RecordingError, match=r"larger than 1 MB, the limit \(STUDIO_MAX_FILE_MB\)\.$"):
        await bring("talk.ogg", "ann", folder)
    assert not list(folder.iterdir())
    with pytest.raises(RecordingError, match="does not lie in this user's folder"):
        await bring("ann/talk.ogg", "bob", folder)
