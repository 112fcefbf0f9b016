"""Draw texts into pictures: every script, in its direction; other fonts supply the characters that a font lacks.

FFmpeg only ever sees the pictures: what users write never becomes filter syntax.
"""

from handlers.export.text.raster import Raster, draw

__all__ = ["Raster", "draw"]
