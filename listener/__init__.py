"""Rows inserted into your own Postgres or Supabase tables become jobs: heard at once, done once, never stuck."""

from listener.app import App
from listener.errors import (
    ConfigError,
    DatabaseError,
    DatabaseUnavailable,
    Fail,
    LeaseLost,
    ListenerError,
    Retry,
    SchemaError,
    Snooze,
)
from listener.job import Job

__all__ = [
    "App",
    "ConfigError",
    "DatabaseError",
    "DatabaseUnavailable",
    "Fail",
    "Job",
    "LeaseLost",
    "ListenerError",
    "Retry",
    "SchemaError",
    "Snooze",
]
