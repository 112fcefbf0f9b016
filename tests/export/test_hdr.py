"""Videos of a high dynamic range, as telephones record them, look in a film as they are meant to."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from listener.kit import ffmpeg, media

from .test_odd_media import film_of
from .viewer import colour, look, near

# Light as a multiple of white paper, 203 cd/m², by the primaries of BT.709; and the colours of the film, worked out
# by hand: up to 0.5 the 2.4th root, and above it what FFmpeg's tonemap=mobius:param=0.5:peak=4.926 makes of it.
SEEN = {
    (0.01, 0.01, 0.01): (37, 37, 37),
    (0.128, 0.128, 0.128): (108, 108, 108),  # a grey card
    (0.35, 0.2, 0.14): (165, 130, 112),  # a face
    (0.1, 0.3, 0.05): (98, 154, 73),
    (1.0, 1.0, 1.0): (228, 228, 228),
    (2.0, 2.0, 2.0): (245, 245, 245),
    (4.9, 4.9, 4.9): (255, 255, 255),
    (2.0, 1.0, 0.5): (245, 184, 138),
}
WIDE = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))  # BT.709 to BT.2020


def pq(light: list[float]) -> list[float]:
    """Signals for light, by SMPTE ST 2084."""
    powers = [(part * 203 / 10_000) ** 0.1593017578125 for part in light]
    return [((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375 for power in powers]


def hlg(light: list[float]) -> list[float]:
    """Signals for light on a screen of 1000 cd/m², by ITU-R BT.2100."""
    screen = [part * 203 / 1000 for part in light]
    grows = (0.2627 * screen[0] + 0.6780 * screen[1] + 0.0593 * screen[2]) ** (1 / 1.2 - 1)
    scene = [part * grows for part in screen]
    return [
        math.sqrt(3 * part) if part <= 1 / 12 else 0.17883277 * math.log(12 * part - 0.28466892) + 0.55991073
        for part in scene
    ]


async def patches(path: Path, transfer: str) -> Path:
    """A video of 320 × 180 of ten bits, with the lights of `SEEN` in columns of 40."""
    row = b""
    for light in SEEN:
        wide = [sum(share * part for share, part in zip(each, light, strict=True)) for each in WIDE]
        signals = (pq if transfer == "smpte2084" else hlg)(wide)
        row += struct.pack("<3H", *(round(min(1.0, signal) * 65535) for signal in signals)) * 40
    raw = path.with_suffix(".raw")
    raw.write_bytes(row * 180)
    tags = ["-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", transfer]
    convert = "scale=out_color_matrix=bt2020:out_range=tv:flags=accurate_rnd,format=yuv420p10le,loop=29:1"
    convert += f",setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc={transfer}:range=tv"
    source = ["-f", "rawvideo", "-pixel_format", "rgb48le", "-video_size", "320x180", "-framerate", "30"]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "5", "-color_range", "tv", *tags]
    await ffmpeg.run([*source, "-i", raw, "-vf", convert, *codec, path])
    return path


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
async def test_greys_and_faces_stay_as_they_are_and_lights_become_white(
    transfer: str, tmp_path: Path
) -> None:
    path = await patches(tmp_path / "telephone.mp4", transfer)
    video = (await media.probe(path)).video
    assert video
    assert video.transfer == transfer
    picture = (await look(await film_of(path), [10]))[10]

    for column, wanted in enumerate(SEEN.values()):
        seen = colour(picture, 40 * column + 20, 90)
        assert near(seen, wanted, 4), (column, seen, wanted)
