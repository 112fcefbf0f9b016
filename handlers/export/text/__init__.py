"""Draw texts into pictures: every script, in its direction; other fonts supply the characters that a font lacks.

FFmpeg only ever sees the pictures: what users write never becomes filter syntax. The program `_raster_main.py` draws
them in a sandbox, and loads this package without the rest of the application.
"""

from handlers.export.text.raster import Budget, Raster, TextError, draw

__all__ = ["Budget", "Raster", "TextError", "draw"]
