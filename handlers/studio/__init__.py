"""The studio: turn recordings into texts that can be published."""

from handlers.studio.client import (
    AsyncStudioJobsClient,
    Statistics,
    StudioJobError,
    StudioJobNotFound,
    StudioJobOver,
)
from handlers.studio.handler import app
from handlers.studio.sync_client import StudioJobsClient

__all__ = [
    "AsyncStudioJobsClient",
    "Statistics",
    "StudioJobError",
    "StudioJobNotFound",
    "StudioJobOver",
    "StudioJobsClient",
    "app",
]
