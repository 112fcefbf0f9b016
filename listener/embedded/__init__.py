"""Run a private Postgres for development, demonstrations and tests. Internal; tests use `listener.testing`."""

from listener.embedded.installation import EmbeddedError, bindirs, find_bindir
from listener.embedded.server import Postgres

__all__ = ["EmbeddedError", "Postgres", "bindirs", "find_bindir"]
