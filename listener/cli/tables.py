"""Which way to the tables the settings ask for."""

from __future__ import annotations

from listener.config import Settings
from listener.kit.tables import Tables
from listener.kit.tables_postgres import PostgresTables
from listener.kit.tables_rest import RestTables


def configured_tables(settings: Settings, *, pooled: bool) -> Tables | None:
    """Over a connection to Postgres, or the Supabase project's REST API: the first one that is configured, or None.

    Args:
        pooled: whether a transaction-mode pooler stands before Postgres, or may do so.
    """
    if settings.database_url:
        return PostgresTables(settings.database_url.get_secret_value(), pooled=pooled)
    if settings.supabase_url and settings.supabase_service_key:
        return RestTables(settings.supabase_url, settings.supabase_service_key.get_secret_value())
    return None
