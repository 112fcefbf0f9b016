"""Ways to call the SQL functions of the schema `listener`."""

from listener.transport.base import Transport
from listener.transport.postgres import PostgresTransport
from listener.transport.rest import RestTransport

__all__ = ["PostgresTransport", "RestTransport", "Transport"]
