"""The way to the application's tables that the settings ask for."""

from __future__ import annotations

from listener.config import Settings
from listener.kit.tables import Tables
from listener.kit.tables_postgres import PostgresTables
from listener.kit.tables_rest import RestTables
from listener.postgres import is_pooler


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
    assert settings.supabase_url is not None  # noqa: S101 - require_database
    assert settings.supabase_service_key is not None  # noqa: S101
    return RestTables(settings.supabase_url, settings.supabase_service_key.get_secret_value())
