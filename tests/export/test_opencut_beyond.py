"""The extrapolation of a property before its first and after its last keyframe."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.support.timelines import Json, shot, ticks, track

from .test_opencut_scenes import VIDEO, curve, read


@pytest.mark.parametrize(
    ("ends", "points"),
    [
        ({}, [(0.5, 10), (1, 20), (1.5, 40)]),
        ({"before": "hold", "after": "hold"}, [(0.5, 10), (1, 20), (1.5, 40)]),
        ({"before": "linear", "after": "linear"}, [(0, 0), (0.5, 10), (1, 20), (1.5, 40), (3, 100)]),
        ({"before": "linear"}, [(0, 0), (0.5, 10), (1, 20), (1.5, 40)]),
    ],
)
def test_beyond_its_keyframes_a_value_holds_or_goes_on(ends: Json, points: list[tuple[float, float]]) -> None:
    keys = [
        {"time": second * 120_000, "value": value, "segmentToNext": "linear"}
        for second, value in ((0.5, 10), (1, 20), (1.5, 40))
    ]
    for animations in (
        {"transform.positionX": {"keys": keys, "extrapolation": ends}},
        {"transform.positionX": {"value": {"keys": keys, "extrapolation": ends}}},
        {"channels": {"transform.positionX": {"keys": keys, "extrapolation": ends}}},
    ):
        document = ticks(track("video", shot("a", 0, 3, animations=animations)), items=VIDEO)
        assert read(document).film.clips[0].placement.x == curve(*points)


def test_another_way_to_go_on_is_named() -> None:
    keys = [{"time": 0, "value": 10}, {"time": 120_000, "value": 20}]
    moving = {"transform.positionX": {"keys": keys, "extrapolation": {"after": "ping-pong"}}}
    timeline = read(ticks(track("video", shot("a", 0, 3, animations=moving)), items=VIDEO))
    assert timeline.film.clips[0].placement.x == curve((0, 10), (1, 20))
    assert timeline.warnings == [
        "“a” stays as it is beyond its keyframes: “ping-pong” is not supported.",
    ]


def test_what_goes_beyond_a_limit_turns_there() -> None:
    keys = [{"time": 60_000, "value": 0.5}, {"time": 120_000, "value": 0.75}]
    faded = {"opacity": {"keys": keys, "extrapolation": {"before": "linear", "after": "linear"}}}
    document = ticks(track("video", shot("a", 0, 4, animations=faded)), items=VIDEO)

    opacity = read(document).film.clips[0].placement.opacity
    assert [opacity.at(Fraction(half, 2)) for half in range(9)] == [0.25, 0.5, 0.75, *6 * [1]]
