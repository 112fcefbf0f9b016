"""The reference application: one room for each system that it serves."""

from handlers.export.handler import app as export
from listener import App

app = App()
app.include(export)
