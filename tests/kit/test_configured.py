"""The storage that the settings name, and all that `configure` sets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from listener.config import Settings
from listener.errors import ConfigError
from listener.kit import ffmpeg, storage, tables
from listener.kit.configured import configure, configured_storage
from listener.kit.fetch import FetchError, fetch
from listener.kit.storage import LocalStorage
from listener.kit.storage.s3 import S3Storage
from listener.kit.storage.supabase import SupabaseStorage

SUPABASE = {"supabase_url": "https://abc.supabase.co", "supabase_service_key": "sb_secret_x"}
S3 = {"s3_endpoint": "https://s3.example.com", "s3_access_key_id": "id", "s3_secret_access_key": "key"}


def test_the_nearest_storage_that_is_configured_is_taken(tmp_path: Path) -> None:
    assert configured_storage(Settings.load(database_url="postgresql://x")) is None
    assert isinstance(configured_storage(Settings.load(**SUPABASE)), SupabaseStorage)
    assert isinstance(configured_storage(Settings.load(**SUPABASE, **S3)), S3Storage)
    assert isinstance(
        configured_storage(Settings.load(**SUPABASE, **S3, storage_dir=tmp_path / "files")), LocalStorage
    )


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, too"):
        configured_storage(Settings.load(s3_endpoint=S3["s3_endpoint"]))
    with pytest.raises(ConfigError, match="copy it again"):
        configured_storage(Settings.load(**SUPABASE | {"supabase_service_key": "two words"}))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="STORAGE_DIR can't be written to"):
        configured_storage(Settings.load(storage_dir=tmp_path / "file"))
    monkeypatch.delitem(sys.modules, "listener.kit.storage.s3")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match=r"pip install 'supalistener\[s3\]'"):
        configured_storage(Settings.load(**S3))


@pytest.fixture
def unset() -> Iterator[None]:
    """The kit as it is without any settings, afterwards."""
    yield
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    configure(Settings.load(**defaults))


@pytest.mark.usefixtures("unset")
async def test_everything_is_set_in_one_place(tmp_path: Path) -> None:
    chosen = {"storage_dir": tmp_path / "files", "media_hosts": "127.0.0.1:1", "ffmpeg_memory_mb": 256}
    made = configure(Settings.load(database_url="postgresql://x", **chosen))
    assert storage.current() is made.storage is made.local_storage
    assert tables.current() is made.tables
    with pytest.raises(FetchError, match="could not be read"):  # and not refused
        await fetch("http://127.0.0.1:1/film.mp4", tmp_path / "film.mp4", max_bytes=1, timeout=1)
    huge = ["-f", "lavfi", "-i", "color=s=640x360:d=3", "-vf", "scale=16000:8000", "-f", "null", "-"]
    with pytest.raises(ffmpeg.FfmpegError, match="more memory than the 256 MB"):
        await ffmpeg.run(huge)
    await made.close()


@pytest.mark.usefixtures("unset")
async def test_what_the_settings_do_not_name_is_unset(tmp_path: Path) -> None:
    configure(Settings.load(database_url="postgresql://x", storage_dir=tmp_path, media_hosts="127.0.0.1"))
    made = configure(Settings.load())
    assert (made.storage, made.tables) == (None, None)
    with pytest.raises(storage.StorageError, match="No storage is configured; set STORAGE_DIR"):
        storage.current()
    with pytest.raises(tables.TablesError, match="No tables are configured; set DATABASE_URL"):
        tables.current()
    with pytest.raises(FetchError, match="is not an https address"):
        await fetch("http://127.0.0.1/film.mp4", tmp_path / "film.mp4", max_bytes=1)
    await made.close()
