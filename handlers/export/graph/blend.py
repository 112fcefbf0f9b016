"""Blend the colours of a layer with those beneath it, by W3C Compositing and Blending Level 1, section 9.1."""

from __future__ import annotations

from itertools import pairwise

from handlers.export.graph import dsl
from handlers.export.graph.dsl import Stream
from handlers.export.graph.scaling import ticking
from handlers.export.model import Blend, Film

NEUTRAL: dict[Blend, str] = {"multiply": "white", "screen": "black", "overlay": "gray"}
"""The colours that change nothing. A layer lies on a canvas of one, so that the formulas need no alpha."""

_MIDDLE = "(y-min(y/256,(255-y)/254))"  # y, adjusted so that gray, which is 128, is exactly the half
_FORMULAS: dict[Blend, str] = {
    "multiply": "x*y/255",
    "screen": "x+y-x*y/255",
    "overlay": f"if(lt(x,128),2*x*{_MIDDLE}/255,255-2*(255-x)*(255-{_MIDDLE})/255)",
}


def blended(film: Film, below: Stream, above: Stream, mode: Blend, cuts: tuple[int, int, int]) -> Stream:
    """Blend two streams in RGB.

    Args:
        above: begins and ends at the first two of the `cuts`.
        cuts: frames of `below`, the last one is its end.
    """
    # A table, because the filter `blend` rounds down and then doubles the error.
    table = {f"c{channel}": f"{_FORMULAS[mode]}+0.5" for channel in range(3)}
    copies, pieces = below.split(3), []
    for number, (first, end) in enumerate(pairwise((0, *cuts))):
        if first < end:
            piece = copies[number].filter("trim", start_frame=first, end_frame=end)
            pieces.append(dsl.merge([piece, above], "lut2", **table) if number == 1 else piece)
    return ticking(dsl.concat(pieces), film)
