"""The left and the right channel of a film's sound."""

from __future__ import annotations

import math

import pytest

from tests.support.timelines import scenes, shot, ticks, track

from .conftest import KINDS, Render
from .viewer import listen, loudness

SILENT = -60


def decibels(share: float) -> float:
    return 20 * math.log10(share)


async def test_a_track_is_panned_as_the_editors_mixer_does(make: Render) -> None:
    """`right` sounds on the right only; the file of `mono` has one channel, which is heard on both sides."""
    tracks = [
        track(
            "audio", shot("right", start, 1, type="audio"), shot("mono", start + 1, 1, type="audio"), pan=pan
        )
        for start, pan in ((0, 0), (2, -1), (4, 1), (6, -0.5))
    ]
    film = await make(scenes(*tracks, items=KINDS))
    left, right = await listen(film.path)

    def levels(second: int) -> tuple[float, float]:
        return loudness(left, second + 0.2, second + 0.8), loudness(right, second + 0.2, second + 0.8)

    half, folded = math.cos(math.pi / 4), math.tan(math.pi / 8)
    (quiet, stereo), (mono, other) = levels(0), levels(1)
    assert quiet < SILENT
    assert mono == pytest.approx(other, abs=0.1)
    assert levels(2)[0] == pytest.approx(stereo, abs=0.3)
    assert levels(2)[1] < SILENT
    assert levels(3)[0] == pytest.approx(mono, abs=0.3)
    assert levels(3)[1] < SILENT
    assert levels(4)[0] < SILENT
    assert levels(4)[1] == pytest.approx(stereo, abs=0.3)
    assert levels(5)[0] < SILENT
    assert levels(5)[1] == pytest.approx(mono, abs=0.3)
    assert levels(6) == pytest.approx((stereo + decibels(half), stereo + decibels(half)), abs=0.3)
    assert levels(7) == pytest.approx((mono, mono + decibels(folded)), abs=0.3)


async def test_a_balanced_element_loses_its_far_side(make: Render) -> None:
    row = track("audio", *(shot("mono", n, 1, type="audio", pan=pan) for n, pan in enumerate((0, -100, 50))))
    film = await make(ticks(track("video"), audio=(row,), items=KINDS))
    left, right = await listen(film.path)

    mono = loudness(left, 0.2, 0.8)
    assert loudness(left, 1.2, 1.8) == pytest.approx(mono, abs=0.3)
    assert loudness(right, 1.2, 1.8) < SILENT
    assert loudness(left, 2.2, 2.8) == pytest.approx(mono + decibels(0.5), abs=0.3)
    assert loudness(right, 2.2, 2.8) == pytest.approx(mono, abs=0.3)
