"""Serve HTTP: health, metrics, the dashboard and the routes of an app. Internal; `listener` exports `Caller`."""

from listener.status import Status
from listener.web.app import create_app
from listener.web.server import WebServer
from listener.web.site import Site

__all__ = ["Site", "Status", "WebServer", "create_app"]
