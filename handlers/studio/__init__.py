"""The studio: recordings become texts that can be published."""

from handlers.studio.blocking import StudioJobsClient
from handlers.studio.client import (
    AsyncStudioJobsClient,
    Statistics,
    StudioJobError,
    StudioJobNotFound,
    StudioJobOver,
)
from handlers.studio.handler import app

__all__ = [
    "AsyncStudioJobsClient",
    "Statistics",
    "StudioJobError",
    "StudioJobNotFound",
    "StudioJobOver",
    "StudioJobsClient",
    "app",
]
