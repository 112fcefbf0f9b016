"""Run jobs for rows that are inserted into your own Postgres or Supabase tables.

Public are the names in `__all__`, the modules of `listener.kit` (tools for handlers) and those of `listener.testing`
(run an app in a test). Every other package and module is internal and can change in any release, and so can every
module whose name begins with an underscore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from listener.web.identity import Caller, caller

__all__ = [
    "App",
    "Caller",
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
    "caller",
]


def __getattr__(name: str) -> Any:
    # FastAPI takes longer to import than all the rest, and only routes need it.
    if name in {"Caller", "caller"}:
        from listener.web import identity

        return getattr(identity, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
