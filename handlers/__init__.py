"""The reference application: one room for each system that it serves."""

from handlers.briefs.handler import app as _briefs
from handlers.clips.handler import app as _clips
from handlers.export.handler import app as _export
from handlers.operations.handler import app as _operations
from handlers.projects.handler import app as _projects
from handlers.studio.handler import app as _studio
from listener import App

app = App()
app.include(_briefs)
app.include(_clips)
app.include(_export)
app.include(_operations)
app.include(_projects)
app.include(_studio)
