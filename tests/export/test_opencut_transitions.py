"""Transitions: what is seen at each moment, once they have become curves."""

from __future__ import annotations

from fractions import Fraction

import pytest

from handlers.export import opencut
from handlers.export.model import Picture, Text
from handlers.export.opencut import transitions
from handlers.export.opencut.curves import combined
from tests.support.timelines import Json, scenes, shot, ticks, track

from .test_opencut_scenes import VIDEO, curve

FILM = 1000, 500


def read(document: Json) -> opencut.Timeline:
    return opencut.read(document, width=FILM[0], height=FILM[1], fps=30)


def after(kind: str, length: float = 1, **more: object) -> Json:
    """Two clips of two seconds; the transition begins at their cut."""
    change = {"type": kind, "duration": length, "fromElementId": "a"}
    row = track(
        "video", shot("a", 0, 2, trimStart=5), shot("b", 2, 2, trimStart=7, transitionIn=change, **more)
    )
    return ticks(row, items=VIDEO, canvasSize={"width": FILM[0], "height": FILM[1]})


def around(kind: str, length: float = 1) -> Json:
    """Two clips of two seconds; the transition has their cut in its middle."""
    change = {"type": kind, "duration": length, "fromElementId": "a", "toElementId": "b"}
    row = track("video", shot("a", 0, 2, trimStart=5), shot("b", 2, 2, trimStart=7), transitions=[change])
    return scenes(row, items=VIDEO, canvasSize={"width": FILM[0], "height": FILM[1]})


def seen(document: Json, time: float, *properties: str) -> list[tuple[object, ...]]:
    """Return each clip at a moment, from the bottom: its name, the second of its source, and properties."""
    moment = Fraction(repr(time))
    found: list[tuple[object, ...]] = []
    for clip in read(document).film.clips:
        if clip.start <= moment < clip.end:
            into = moment - clip.start
            values = (round(getattr(clip.placement, name).at(into), 3) for name in properties)
            second = round(float(clip.offset + into * clip.rate), 3) if isinstance(clip, Picture) else None
            found.append((clip.name, second, *values))
    return found


def test_a_crossfade_fades_both_clips_and_the_going_one_is_frozen() -> None:
    document = after("crossfade")

    assert seen(document, 1.9, "opacity") == [("a", 6.9, 1)]
    assert seen(document, 2.25, "opacity") == [("a", 7, 0.75), ("b", 7.25, 0.25)]
    assert seen(document, 2.75, "opacity") == [("a", 7, 0.25), ("b", 7.75, 0.75)]
    assert seen(document, 3, "opacity") == [("b", 8, 1)]


def test_a_centred_fade_freezes_first_the_coming_and_then_the_going_clip() -> None:
    document = around("fade")

    assert seen(document, 1.4, "opacity") == [("a", 6.4, 1)]
    assert seen(document, 1.75, "opacity") == [("a", 6.75, 0.75), ("b", 7, 0.25)]
    assert seen(document, 2.25, "opacity") == [("a", 7, 0.25), ("b", 7.25, 0.75)]
    assert seen(document, 2.5, "opacity") == [("b", 7.5, 1)]


def test_a_dissolve_is_smooth_and_the_going_clip_stays() -> None:
    for time, share in (1.5, 0), (1.625, 0.043), (2, 0.5), (2.375, 0.957):
        assert [clip[2] for clip in seen(around("dissolve"), time, "opacity")] == [1, share]


def test_fade_through_black_shows_neither_in_the_middle() -> None:
    document = after("fade-through-black")

    assert seen(document, 2.25, "opacity") == [("a", 7, 0.5), ("b", 7.25, 0)]
    assert seen(document, 2.5, "opacity") == [("a", 7, 0), ("b", 7.5, 0)]
    assert seen(document, 2.75, "opacity") == [("a", 7, 0), ("b", 7.75, 0.5)]


@pytest.mark.parametrize(
    ("kind", "going", "coming"),
    [
        ("slide", (-250, 0), (750, 0)),
        ("slide-left", (-250, 0), (750, 0)),
        ("slide-right", (250, 0), (-750, 0)),
        ("slide-up", (0, -125), (0, 375)),
        ("slide-down", (0, 125), (0, -375)),
    ],
)
def test_slides_push_the_going_clip_out(kind: str, going: tuple[int, int], coming: tuple[int, int]) -> None:
    assert seen(after(kind), 2.25, "x", "y") == [("a", 7, *going), ("b", 7.25, *coming)]


@pytest.mark.parametrize(
    ("kind", "side"),
    [
        ("wipe", "left"),
        ("wipe-right", "left"),
        ("wipe-left", "right"),
        ("wipe-up", "bottom"),
        ("wipe-down", "top"),
    ],
)
def test_wipes_uncover_the_coming_clip_from_one_side(kind: str, side: str) -> None:
    assert seen(after(kind), 2.25, "reveal") == [("a", 7, 1), ("b", 7.25, 0.25)]
    assert seen(around(kind), 1.75, "reveal") == [("a", 6.75, 1), ("b", 7, 0.25)]
    assert seen(around(kind), 2.25, "reveal") == [("a", 7, 1), ("b", 7.25, 0.75)]
    assert {clip.placement.side for clip in read(around(kind)).film.clips if clip.name == "b"} == {side}


def test_a_zoom_moves_scale_and_opacity() -> None:
    assert seen(after("zoom"), 2.5, "opacity", "scale_x", "scale_y") == [
        ("a", 7, 0.5, 1.075, 1.075),
        ("b", 7.5, 0.5, 0.9, 0.9),
    ]


def test_zooms_of_the_whole_film_move_what_is_not_in_its_middle() -> None:
    document = around("zoom-in")
    first = document["project"]["scenes"][0]["tracks"][0]["elements"][0]
    first["params"] = {"transform.positionX": 100}
    assert seen(document, 2.25, "opacity", "scale_x", "x")[0] == ("a", 7, 0.25, 1.375, 137.5)

    assert seen(around("zoom-out"), 2.25, "opacity", "scale_y") == [
        ("a", 7, 0.25, 1),
        ("b", 7.25, 0.75, 0.625),
    ]


@pytest.mark.parametrize("kind", transitions.KINDS)
def test_after_any_transition_the_coming_clip_is_as_it_is_by_itself(kind: str) -> None:
    properties = "x", "y", "scale_x", "scale_y", "opacity", "reveal"

    assert seen(after(kind), 3.5, *properties) == [("b", 8.5, 0, 0, 1, 1, 1, 1)]
    assert seen(around(kind), 3, *properties) == [("b", 8, 0, 0, 1, 1, 1, 1)]


def test_a_transition_and_keyframes_work_together() -> None:
    keys = [{"time": 0, "value": 0}, {"time": 60_000, "value": 1}]
    document = after("crossfade", animations={"opacity": {"keys": keys}})

    assert [clip[2] for clip in seen(document, 2.25, "opacity")] == [0.75, pytest.approx(0.125, abs=0.01)]
    assert [clip[2] for clip in seen(document, 2.75, "opacity")] == [0.25, 0.75]


def test_clips_keep_their_own_look_in_a_transition() -> None:
    document = after("slide", params={"transform.positionX": 30, "opacity": 0.5})

    assert seen(document, 2.5, "x", "opacity")[1] == ("b", 7.5, 530, 0.5)
    assert seen(document, 3.5, "x", "opacity") == [("b", 8.5, 30, 0.5)]


def test_a_transition_at_the_going_clip() -> None:
    row = track(
        "video",
        shot("a", 0, 2, transitionOut={"type": "dissolve", "duration": 1}),
        shot("b", 2, 2),
        isMain=True,
    )

    assert seen(scenes(row, items=VIDEO), 2, "opacity") == [("a", 2, 1), ("b", 0, 0.5)]


def test_transitions_of_a_row_follow_each_other() -> None:
    change = {"type": "crossfade", "duration": 1}
    row = track(
        "video",
        shot("a", 0, 2),
        shot("b", 2, 2, transitionIn=change),
        shot("c", 4, 2, transitionIn={**change}),
    )
    document = ticks(row, items=VIDEO)

    assert seen(document, 2.5, "opacity") == [("a", 2, 0.5), ("b", 0.5, 0.5)]
    assert seen(document, 4.5, "opacity") == [("b", 2, 0.5), ("c", 0.5, 0.5)]


def test_texts_have_transitions_too() -> None:
    words = {"type": "text", "content": "hi", "trimStart": 0, "trimEnd": 0}
    change = {"type": "slide", "duration": 1, "fromElementId": "a"}
    row = track(
        "text",
        {**words, "id": "a", "name": "a", "startTime": 0, "duration": 2},
        {**words, "id": "b", "name": "b", "startTime": 2, "duration": 2, "transitionIn": change},
    )
    document = ticks(track("video"), row, canvasSize={"width": FILM[0], "height": FILM[1]})

    assert seen(document, 2.25, "x") == [("a", None, -250), ("b", None, 750)]
    assert seen(document, 3, "x") == [("b", None, 0)]
    assert all(isinstance(clip, Text) for clip in read(document).film.clips)


def test_a_transition_is_no_longer_than_its_clips() -> None:
    assert seen(after("crossfade", 60), 3, "opacity") == [("a", 7, 0.5), ("b", 8, 0.5)]
    assert seen(around("fade", 60), 1, "opacity") == [("a", 6, 0.75), ("b", 7, 0.25)]


def test_no_sound_changes_in_a_transition() -> None:
    sounds = read(after("crossfade")).film.sounds

    assert [f"{sound.start} {sound.length} {sound.gain.constant}" for sound in sounds] == [
        "0 2 1.0",
        "2 2 1.0",
    ]


def test_what_can_t_be_done_is_named() -> None:
    assert read(after("vortex")).warnings == ["The transition “vortex” to “b” is drawn as a crossfade."]
    song = shot("b", 0, 1, type="audio", name="song", transitionIn={"type": "crossfade", "duration": 1})
    row = track("audio", {**song})
    assert read(
        ticks(track("video", shot("a", 0, 1)), audio=(row,), items=VIDEO | {"b": "audio"})
    ).warnings == ["The transition of “song” is left out: it is only heard."]


@pytest.mark.parametrize(
    "row",
    [
        [shot("b", 0, 1, transitionIn={"type": "wipe", "duration": 1})],
        [
            shot("a", 0, 1),
            shot("b", 1.5, 1, transitionIn={"type": "wipe", "duration": 1, "fromElementId": "a"}),
        ],
        [
            shot("a", 0, 1),
            shot("b", 1, 1, transitionIn={"type": "wipe", "duration": 1, "fromElementId": "c"}),
        ],
    ],
)
def test_a_transition_without_a_neighbour_is_left_out(row: list[Json]) -> None:
    timeline = read(ticks(track("video", *row), items=VIDEO))

    assert timeline.warnings == ["The transition to “b” is left out: no other clip ends where it begins."]
    assert len(timeline.film.clips) == len(row)


def test_two_curves_are_combined_with_their_jumps() -> None:
    steps = curve((0, 1.0), (1, 3.0), stepped=True)
    ramp = curve((0, 0.0), (2, 2.0))
    product = combined(steps, ramp, lambda one, other: one * other)

    for time in (0, 0.25, 0.5, 0.99, 1, 1.5, 2, 5):
        moment = Fraction(repr(time))
        assert product.at(moment) == pytest.approx(steps.at(moment) * ramp.at(moment))
