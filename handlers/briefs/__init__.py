"""Briefs: films made of a user's request in steps, each of which is a typed job.

`handler` registers the functions of `steps/`. Their tools are `transcode`, `image_edit`, `scene_detection`, `films` and
`query`, and `step` for the files of their brief. `store` and `sync_client` are the clients.
"""

from handlers.briefs.handler import app
from handlers.briefs.model import BriefError
from handlers.briefs.store import AsyncBriefs, Created
from handlers.briefs.sync_client import Briefs

__all__ = ["AsyncBriefs", "BriefError", "Briefs", "Created", "app"]
