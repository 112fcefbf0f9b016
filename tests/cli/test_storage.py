"""Which storage the settings ask for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from listener.config import Settings
from listener.errors import ConfigError
from listener.kit.configured import configured_storage
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
