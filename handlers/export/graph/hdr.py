"""Convert pictures of a high dynamic range (HDR) into the colours of a film; unconverted they would look pale.

Light is taken as a screen of 1000 cd/m² shows it (ITU-R BT.2100). White paper has 203 cd/m² (BT.2408) and gets a
little less than the film's white. What is at most half as bright stays as it is, faces among it; what is brighter is
compressed as by FFmpeg's `tonemap=mobius`, all three colours by the same factor. The film's signals are those of
BT.1886. FFmpeg gets all of this as a table: that takes half the time of its filters of floating point, and none of the
libraries that it may lack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache

from handlers.export.graph.dsl import Stream
from handlers.export.model import Source
from listener.kit.media import Video

Light = tuple[float, float, float]

_SIDE = 33  # colours along each edge of a table
_PAPER_NITS, _SCREEN_NITS = 203, 1000  # cd/m²
_PEAK, _KNEE = _SCREEN_NITS / _PAPER_NITS, 0.5

# From the primaries of BT.2020 to those of BT.709, by BT.2087.
_PRIMARIES = ((1.6605, -0.5876, -0.0729), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1188))


def _pq(signal: Light) -> Light:
    def light(value: float) -> float:
        root = math.pow(value, 1 / 78.84375)
        share = max(0.0, root - 0.8359375) / (18.8515625 - 18.6875 * root)
        return 10_000 / _PAPER_NITS * math.pow(share, 1 / 0.1593017578125)

    red, green, blue = signal
    return light(red), light(green), light(blue)


def _hlg(signal: Light) -> Light:
    def scene(value: float) -> float:
        if value < 0.5:
            return value**2 / 3
        return (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12

    red, green, blue = map(scene, signal)
    screen = _PEAK * (0.2627 * red + 0.678 * green + 0.0593 * blue) ** 0.2
    return red * screen, green * screen, blue * screen


_LIGHTS: dict[str, Callable[[Light], Light]] = {"smpte2084": _pq, "arib-std-b67": _hlg}


def hdr_of(video: Video) -> str | None:
    """Return the transfer characteristics of an HDR video; None for others."""
    return video.transfer if video.transfer in _LIGHTS else None


def toned(stream: Stream, transfer: str) -> Stream:
    """Convert RGB of an HDR transfer into RGB of a film, by a table in FFmpeg's working directory."""
    stream = stream.filter("lut3d", file=_name(transfer))
    return stream.filter("setparams", color_primaries="bt709", color_trc="bt709")


def tables(sources: Iterable[Source]) -> dict[str, str]:
    """Return the contents of the files, by their names, that `toned` needs for these sources."""
    videos = (source.media.video for source in sources)
    return {_name(transfer): _table(transfer) for video in videos if video and (transfer := hdr_of(video))}


def _name(transfer: str) -> str:
    return f"{transfer}.cube"


@cache
def _table(transfer: str) -> str:
    """Return a table in Adobe's format Cube LUT 1.0: the first colour changes fastest."""
    light = _LIGHTS[transfer]
    steps = [step / (_SIDE - 1) for step in range(_SIDE)]
    rows = (_film(light((red, green, blue))) for blue in steps for green in steps for red in steps)
    return "\n".join([f"LUT_3D_SIZE {_SIDE}", *("{:.5f} {:.5f} {:.5f}".format(*row) for row in rows), ""])


def _film(light: Light) -> Light:
    """Return the signals of a film for light by the primaries of BT.2020, in which 1 is white paper."""
    shown = [sum(share * part for share, part in zip(row, light, strict=True)) for row in _PRIMARIES]
    brightest = max(shown)
    factor = _compressed(brightest) / brightest if brightest > _KNEE else 1.0
    red, green, blue = (min(1.0, max(0.0, part * factor)) ** (1 / 2.4) for part in shown)
    return red, green, blue


def _compressed(light: float) -> float:
    """Compress light above the knee, by a hyperbola that begins as steep as the line below it and is 1 at the peak."""
    above = light - _KNEE
    return _KNEE + above / (1 + above * (1 / (1 - _KNEE) - 1 / (_PEAK - _KNEE)))
