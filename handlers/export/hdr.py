"""Pictures of a high dynamic range (HDR) in the colours of a film: by themselves they would look pale.

Light is taken as a screen of 1000 cd/m² shows it (ITU-R BT.2100). White paper has 203 cd/m² (BT.2408), and gets a
little less than the film's white; what is at most half as bright stays as it is, faces among it; what is brighter is
compressed as FFmpeg's `tonemap=mobius` does it, all three colours by the same factor. Signals of the film are those
of BT.1886. All of this is worked out once, for a table of colours: quick, and no FFmpeg lacks the filters for it.
"""

from __future__ import annotations

import ffmpeg

from handlers.export.inputs import Inputs, Stream

_SIDE = 36  # colours along each edge of the table
_WHITE = 203
_PEAK = 1000 / _WHITE
_KNEE = 0.5

# A signal, 0..1, as light of the screen (PQ) or of the scene (HLG), and by what each colour of the latter grows.
_PQ = "({0}^(1/78.84375))"
_PQ = f"{10_000 / _WHITE}*(max(0,{_PQ}-0.8359375)/(18.8515625-18.6875*{_PQ}))^(1/0.1593017578125)"
_HLG = "if(lt({0},0.5),{0}^2/3,(exp(({0}-0.55991073)/0.17883277)+0.28466892)/12)"
_LIGHT = {
    "smpte2084": (_PQ, "1"),
    "arib-std-b67": (_HLG, f"{_PEAK}*(0.2627*ld(0)+0.678*ld(1)+0.0593*ld(2))^0.2"),
}
TRANSFERS = frozenset(_LIGHT)
"""FFmpeg's names of the transfer characteristics that need this."""

# From the primaries of BT.2020 to those of BT.709.
_PRIMARIES = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))


def mapped(stream: Stream, transfer: str, inputs: Inputs) -> Stream:
    """RGB of 16 bits, of such a transfer, by the table."""
    table = inputs.lavfi(_table(transfer)).video
    stream = ffmpeg.filter([stream, table], "haldclut")
    return stream.filter("setparams", color_primaries="bt709", color_trc="bt709")


def _table(transfer: str) -> str:
    light, screen = _LIGHT[transfer]
    signals = [f"mod(floor((X+Y*{_SIDE**1.5:.0f})/{_SIDE**channel}),{_SIDE})/{_SIDE - 1}" for channel in range(3)]
    steps = [f"st({channel},{light.format('ld(9)')})" for channel in range(3)]
    steps = [f"st(9,{signal})*0+{step}" for signal, step in zip(signals, steps, strict=True)]
    ...
