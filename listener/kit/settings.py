"""Settings of the service, and the base class for the settings of an application.

class ThumbnailSettings(Environment):
    width: int = setting(320, "Pixels across.", "a whole number from 1 up", "THUMBNAIL_WIDTH", ge=1)

app.add_settings(ThumbnailSettings)
"""

from listener.config import Environment, Settings, Url, setting
from listener.service_key import ServiceKey

__all__ = ["Environment", "ServiceKey", "Settings", "Url", "setting"]
