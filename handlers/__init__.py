"""The reference application: one room for each system that it serves."""

from handlers.briefs.handler import app as _briefs
from handlers.clips.handler import app as _clips
from handlers.export import app as _export
from handlers.operations.handler import app as _operations
from handlers.projects.handler import app as _projects
from handlers.studio.handler import app as _studio
from listener import App

# Nobody has the tables of all rooms.
app = App()
app.include(_briefs, optional=True)
app.include(_clips, optional=True)
app.include(_export, optional=True)
app.include(_operations, optional=True)
app.include(_projects, optional=True)
app.include(_studio, optional=True)
