"""The export room: renders films, whether OpenCut projects or what other rooms describe.

Other rooms use `render_film`, with the model that it takes, around it `outcomes`, and after it perhaps `poster`; the
service includes `handlers.export.handler.app`.
"""

from handlers.export.film import render_film
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
    "outcomes",
    "poster",
    "render_film",
]
