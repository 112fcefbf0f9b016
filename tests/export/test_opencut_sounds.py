"""Sound of tracks and elements besides volume: pan, solo, fades."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from handlers.export.model import STRAIGHT, Sides
from tests.support.timelines import shot, ticks, track

from .test_opencut_scenes import VIDEO, film_of, heard, read


def test_a_track_that_is_solo_is_heard_alone_unless_it_is_muted() -> None:
    def names(**voice: bool) -> list[str]:
        tracks = track("video", shot("a", 0, 1)), track("video", shot("b", 0, 1), **voice)
        return [sound.name for sound in film_of(*tracks).sounds]

    assert sorted(names()) == ["a", "b"]
    assert names(solo=True) == ["b"]
    assert names(solo=True, muted=True) == []


LEFT, RIGHT = ((1.0, 1.0), (0.0, 0.0)), ((0.0, 0.0), (1.0, 1.0))
HALF = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("track_pan", "pan", "sides"),
    [(0, 0, STRAIGHT), (-1, 0, LEFT), (1, 0, RIGHT), (0, -1, LEFT), (-0.5, 0, ((1, HALF), (0, HALF)))],
)
def test_a_sound_lies_between_left_and_right(track_pan: float, pan: float, sides: Sides) -> None:
    (sound,) = film_of(track("video", shot("a", 0, 1, pan=pan), pan=track_pan)).sounds

    assert [share for side in sound.sides for share in side] == pytest.approx(
        [share for side in sides for share in side], abs=1e-9
    )


def test_the_pan_of_a_newer_element_is_in_hundredths_and_only_quietens_a_side() -> None:
    row = track("video", shot("a", 0, 1, pan=100), shot("b", 1, 1, pan=-25), shot("c", 2, 1))
    sounds = read(ticks(row, items=VIDEO)).film.sounds

    assert [sound.sides for sound in sounds] == [((0, 0), (0, 1)), ((1, 0), (0, 0.75)), STRAIGHT]


def test_a_pan_that_moves_is_named() -> None:
    moves = {"pan": {"keys": [{"time": 0, "value": -100}, {"time": 120_000, "value": 100}]}}
    song = shot("a", 0, 1, type="audio", animations=moves)
    document = ticks(track("video"), audio=(track("audio", song),), items={"a": "audio"})

    assert read(document).warnings == ["“a” does not move between left and right while it is heard."]


def test_sounds_fade_in_and_out() -> None:
    gain = heard(shot("a", 0, 4, volume=0.5, fadeInDuration=1, fadeOutDuration=2)).gain

    levels = [0, 0.25, 0.5, 0.5, 0.5, 0.375, 0.25, 0.125, 0]
    assert [gain.at(Fraction(half, 2)) for half in range(9)] == pytest.approx(levels)
