"""Ways to call the SQL functions of the schema `listener`."""

from listener.transport.base import Transport
from listener.transport.postgres import PostgresTransport

__all__ = ["PostgresTransport", "Transport"]
