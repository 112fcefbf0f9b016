"""Where events come from. A source only wakes; it carries no job."""

from listener.source.base import Source, Wakes
from listener.source.postgres import PostgresSource
from listener.source.realtime import RealtimeSource

__all__ = ["PostgresSource", "RealtimeSource", "Source", "Wakes"]
