"""Rows of the app's tables, over Postgres or REST."""

from listener.kit.tables.api import (
    Row,
    Tables,
    TablesError,
    TablesUnavailable,
    Where,
    check_where,
    current,
    listed,
    split,
    use,
)

__all__ = [
    "Row",
    "Tables",
    "TablesError",
    "TablesUnavailable",
    "Where",
    "check_where",
    "current",
    "listed",
    "split",
    "use",
]
