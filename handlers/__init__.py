"""The reference application: one room for each system that it serves.

Each room exports its `app`, and the functions and clients that other programs may use; `shared` has what several rooms
use.
"""

from handlers import briefs, clips, export, operations, projects, studio
from listener import App

app = App()
for room in (briefs, clips, export, operations, projects, studio):
    # No database has the tables of all rooms.
    app.include(room.app, optional=True)
