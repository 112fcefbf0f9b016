"""The room of briefs: what a user wants made, step by step, and the typed jobs that the steps are."""

from handlers.briefs.handler import app
from handlers.briefs.model import BriefError
from handlers.briefs.store import AsyncBriefs, Created
from handlers.briefs.sync_client import Briefs

__all__ = ["AsyncBriefs", "BriefError", "Briefs", "Created", "app"]
