"""Films: render OpenCut projects, which rows of `export_jobs` name, and films that other rooms describe.

`app` serves the queue. Other rooms describe a film with the classes of the model and call `render_film`, inside
`outcomes`, and then `poster` if they need a still. `render_file` renders a project file without a service.
"""

from handlers.export.film import render_film
from handlers.export.handler import app
from handlers.export.local import render_file
from handlers.export.model import (
    Curve,
    Film,
    FilmError,
    Key,
    MediaItem,
    Output,
    Picture,
    Placement,
    Rendered,
    Sound,
    Style,
    Text,
)
from handlers.export.outcomes import outcomes
from handlers.export.render.poster import poster

__all__ = [
    "Curve",
    "Film",
    "FilmError",
    "Key",
    "MediaItem",
    "Output",
    "Picture",
    "Placement",
    "Rendered",
    "Sound",
    "Style",
    "Text",
    "app",
    "outcomes",
    "poster",
    "render_file",
    "render_film",
]
