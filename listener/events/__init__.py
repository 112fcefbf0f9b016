"""Receive events. A source only wakes the dispatcher; a wake carries no job. Internal."""

from listener.events.base import Source, Wakeable
from listener.events.postgres import PostgresSource
from listener.events.realtime import RealtimeSource

__all__ = ["PostgresSource", "RealtimeSource", "Source", "Wakeable"]
