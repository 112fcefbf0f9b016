"""The application's tables and storage that the settings ask for."""

from __future__ import annotations

from listener.config import Settings
from listener.database.postgres import is_pooler
from listener.errors import ConfigError
from listener.kit.storage import LocalStorage, Storage
from listener.kit.storage.supabase import SupabaseStorage
from listener.kit.tables import Tables
from listener.kit.tables.postgres import PostgresTables
from listener.kit.tables.rest import RestTables


def configured_tables(settings: Settings, *, pooled: bool | None = None) -> Tables:
    """Over DATABASE_URL, else over the REST API of SUPABASE_URL with the service key.

    Args:
        pooled: whether a transaction-mode pooler stands before Postgres; None where only the address tells.

    Raises:
        ConfigError: neither is configured.
    """
    settings.require_database()
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        return PostgresTables(dsn, pooled=is_pooler(dsn) if pooled is None else pooled)
    assert settings.project is not None  # noqa: S101 - require_database
    return RestTables(*settings.project)


def configured_storage(settings: Settings) -> Storage | None:
    """A folder, an S3 storage, or the Supabase project's: the first one that is configured, or None.

    Raises:
        ConfigError: it can't be used; the text says how to mend that.
    """
    if settings.storage_dir:
        try:
            return LocalStorage(settings.storage_dir, settings.public_url or "")
        except OSError as error:
            reason = f"STORAGE_DIR can't be written to ({error.strerror})"
            raise ConfigError(f"{reason}; name a folder that can.") from None
    if settings.s3_endpoint:
        return _s3(settings, settings.s3_endpoint)
    return SupabaseStorage(*settings.project) if settings.project else None


def _s3(settings: Settings, endpoint: str) -> Storage:
    if not settings.s3_access_key_id or not settings.s3_secret_access_key:
        raise ConfigError("S3_ENDPOINT is set; set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, too.")
    try:
        from listener.kit.storage.s3 import S3Storage
    except ImportError:
        raise ConfigError("S3_ENDPOINT needs one more package: pip install 'supalistener[s3]'") from None
    secret = settings.s3_secret_access_key.get_secret_value()
    return S3Storage(endpoint, settings.s3_access_key_id, secret, settings.s3_region)
