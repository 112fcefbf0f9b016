"""The HTTP side of the service: health, metrics, and whatever routers are added to them."""

from listener.status import Status
from listener.web.app import create_app
from listener.web.server import WebServer
from listener.web.site import Site

__all__ = ["Site", "Status", "WebServer", "create_app"]
