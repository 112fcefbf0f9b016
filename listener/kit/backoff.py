"""Seconds to wait between tries of a call inside a handler. Between attempts the queue's own backoff applies."""

from listener.backoff import delays

__all__ = ["delays"]
