"""Where events come from. A source only wakes; it carries no job."""

from listener.events.base import Source, Wakeable
from listener.events.postgres import PostgresSource
from listener.events.realtime import RealtimeSource

__all__ = ["PostgresSource", "RealtimeSource", "Source", "Wakeable"]
