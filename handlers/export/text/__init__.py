"""Draw texts into pictures: every script, in its order, with what each font lacks taken from another one.

FFmpeg only ever sees the pictures: what users write never becomes filter syntax.
"""

from handlers.export.text.raster import Raster, draw

__all__ = ["Raster", "draw"]
