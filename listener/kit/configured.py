"""Set up the kit from the settings, and make the storage and the tables that they name.

`configure` is the only place that sets the kit's process-wide choices: `listener run`, `listener dev`,
`listener render` and `listener.testing` call it.
"""

from __future__ import annotations

from dataclasses import dataclass

from listener.config import Settings
from listener.database.postgres import is_pooler
from listener.errors import ConfigError
from listener.kit import fetch, ffmpeg, storage, tables
from listener.kit.storage import LocalStorage, Storage
from listener.kit.storage.supabase import SupabaseStorage
from listener.kit.tables import Tables
from listener.kit.tables.postgres import PostgresTables
from listener.kit.tables.rest import RestTables


@dataclass(frozen=True, slots=True)
class Configured:
    """The objects that `configure` made.

    Attributes:
        storage: the storage in use, or None.
        tables: the tables in use, or None; close them at the end.
    """

    storage: Storage | None
    tables: Tables | None

    @property
    def local_storage(self) -> LocalStorage | None:
        """The storage, if it is a local one, whose addresses the service has to serve."""
        return self.storage if isinstance(self.storage, LocalStorage) else None

    async def close(self) -> None:
        """Close the connections."""
        if self.tables is not None:
            await self.tables.close()


def configure(settings: Settings, *, pooled: bool | None = None) -> Configured:
    """Set the storage, the tables, the trusted hosts and FFmpeg's memory limit of this process.

    Args:
        settings: all of them count: what they don't name is unset.
        pooled: as for `configured_tables`.

    Raises:
        ConfigError: a setting that is needed is missing or wrong; the text says how to correct it.
    """
    has_database = settings.database_url is not None or settings.project is not None
    made = Configured(
        configured_storage(settings), configured_tables(settings, pooled=pooled) if has_database else None
    )
    storage.use(made.storage)
    tables.use(made.tables)
    fetch.trust(settings.trusted_hosts, only=settings.media_hosts_only)
    ffmpeg.limit_memory(settings.ffmpeg_memory_mb * 1024**2)
    return made


def configured_tables(settings: Settings, *, pooled: bool | None = None) -> Tables:
    """Make tables over DATABASE_URL, or else over the REST API of SUPABASE_URL with the service key.

    Args:
        settings: of the service.
        pooled: whether a transaction-mode pooler stands before Postgres; None decides by the address.

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
    """Make the first storage that is configured: a folder, an S3 storage, or the Supabase project's; else None.

    Raises:
        ConfigError: it can't be used; the text says how to correct that.
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
