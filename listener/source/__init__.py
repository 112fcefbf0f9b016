"""Where events come from. A source only wakes; it carries no job."""

from listener.source.base import Source, Wakes
from listener.source.postgres import PostgresSource

__all__ = ["PostgresSource", "Source", "Wakes"]
