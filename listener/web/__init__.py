"""The HTTP side of the service: health, metrics, and whatever routers are added to them."""

from listener.web.server import WebServer
from listener.web.status import Status

__all__ = ["Status", "WebServer"]
