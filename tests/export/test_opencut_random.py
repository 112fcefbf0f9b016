"""Random documents: each becomes a consistent film, or one error sentence."""

from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from handlers.export import opencut
from handlers.export.model import Curve, FilmError, Picture, Placement
from tests.support.timelines import Json

JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**400, -(10**30), 1e308, 5e-324, float("nan"), "", "\ud800", "blob:x", "a\0b"])
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
TIMES = st.sampled_from([1, 2, 0.5, 2.25, 0, 1e-9]) | st.floats(0.1, 20)
PLACES = st.floats(-90, 90)
IDS = st.sampled_from(["a", "b", "c"])
KINDS = st.sampled_from(["video", "image", "video", "audio", "text", "media", "media", "sticker"])
CHANGES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "crossfade",
                "fade-through-black",
                "slide",
                "wipe",
                "wipe-up",
                "zoom",
                "zoom-in",
                "zoom-out",
                "x",
            ]
        ),
        "duration": TIMES,
        "fromElementId": IDS,
        "toElementId": IDS,
    }
)
KEYS = st.lists(
    st.fixed_dictionaries(
        {"time": TIMES, "value": PLACES},
        optional={
            "interpolation": st.sampled_from(["linear", "hold"]),
            "segmentToNext": st.sampled_from(["step", "linear", "bezier"]),
            "rightHandle": st.fixed_dictionaries({"dt": PLACES, "dv": PLACES}),
            "leftHandle": st.fixed_dictionaries({"dt": PLACES, "dv": PLACES}),
        },
    ),
    max_size=4,
)
PATHS = st.sampled_from(
    ["opacity", "volume", "transform.scale", "transform.positionX", "transform.rotate", "color", "pan"]
)
ENDS = st.dictionaries(st.sampled_from(["before", "after"]), st.sampled_from(["hold", "linear"]))
ANIMATIONS = st.dictionaries(
    PATHS, st.fixed_dictionaries({"keys": KEYS}, optional={"extrapolation": ENDS}), max_size=2
) | st.fixed_dictionaries(
    {"channels": st.dictionaries(PATHS, st.fixed_dictionaries({"keyframes": KEYS}), max_size=2)}
)
ELEMENTS = st.fixed_dictionaries(
    {"type": KINDS, "id": IDS, "mediaId": IDS, "startTime": TIMES, "duration": TIMES},
    optional={
        "name": JUNK,
        "trimStart": st.floats(0, 1),
        "trimEnd": st.floats(0, 1),
        "hidden": st.booleans(),
        "transform": st.fixed_dictionaries(
            {"scale": PLACES, "position": st.fixed_dictionaries({"x": PLACES})}
        ),
        "params": st.dictionaries(
            st.sampled_from(["opacity", "volume", "transform.scaleX"]), PLACES, max_size=3
        ),
        "volume": PLACES,
        "pan": PLACES,
        "fadeInDuration": TIMES,
        "fadeOutDuration": TIMES,
        "playbackRate": st.floats(0.01, 20),
        "transitionIn": CHANGES,
        "transitionOut": CHANGES,
        "animations": ANIMATIONS,
        "effects": JUNK,
        "masks": JUNK,
        "content": st.text(max_size=5),
        "fontSize": st.floats(1, 100),
    },
)
TRACKS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["video", "media", "text", "audio"]),
        "elements": st.lists(ELEMENTS, min_size=1, max_size=4),
    },
    optional={
        "isMain": st.booleans(),
        "muted": st.booleans(),
        "solo": st.booleans(),
        "pan": PLACES,
        "transitions": st.lists(CHANGES, max_size=2),
    },
)
MEDIA = st.just(
    {name: {"type": kind, "url": name} for name, kind in zip("abc", ["video", "image", "audio"], strict=True)}
)
BACKGROUNDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["color", "blur"]), "blurIntensity": st.floats(0, 500)}
)

TIMELINES = st.fixed_dictionaries(
    {
        "project": st.fixed_dictionaries({"backgroundType": st.sampled_from(["color", "blur"])}),
        "tracks": st.lists(TRACKS, min_size=1, max_size=3),
        "mediaItems": MEDIA,
    }
)
PROJECTS = st.fixed_dictionaries(
    {
        "version": st.integers(1, 33),
        "settings": st.fixed_dictionaries({"background": BACKGROUNDS}),
        "scenes": st.lists(
            st.fixed_dictionaries(
                {
                    "tracks": st.lists(TRACKS, min_size=1, max_size=3)
                    | st.fixed_dictionaries(
                        {"main": TRACKS, "overlay": st.lists(TRACKS, max_size=2), "audio": st.just([])}
                    )
                }
            ),
            min_size=1,
            max_size=2,
        ),
        "mediaItems": MEDIA,
    }
)


def read(document: Json) -> opencut.Timeline | str:
    try:
        return opencut.read(document, width=320, height=180, fps=30)
    except FilmError as error:
        return str(error)


@given(TIMELINES | PROJECTS)
def test_a_document_of_any_format_becomes_a_whole_film(document: Json) -> None:
    timeline = read(document)
    if isinstance(timeline, str):
        assert timeline.endswith(".")
        return
    film = timeline.film
    assert film.duration > 0
    assert {clip.source for clip in film.clips if isinstance(clip, Picture)} <= timeline.media.keys()
    assert {sound.source for sound in film.sounds} <= timeline.media.keys()
    for clip in film.clips:
        assert 0 <= clip.start < clip.end <= film.duration
        check_placement(clip.placement)
    for sound in film.sounds:
        assert 0 <= sound.start < sound.end <= film.duration
        check_curve(sound.gain, 0, 1000)
        assert all(-1e-9 <= share <= 2 for side in sound.sides for share in side)


def check_placement(placement: Placement) -> None:
    check_curve(placement.opacity, 0, 1)
    check_curve(placement.reveal, 0, 1)
    check_curve(placement.scale_x, -1000, 1000)
    check_curve(placement.x, -200_000, 200_000)


def check_curve(curve: Curve, least: float, most: float) -> None:
    times = [key.time for key in curve.keys]
    assert times == sorted(times)
    for time in (*times, Fraction(1, 3)):
        assert least <= curve.at(time) <= most


@st.composite
def damaged(draw: st.DrawFn, documents: st.SearchStrategy[Json]) -> Json:
    """A document in which anything was put somewhere."""
    document = deepcopy(draw(documents))
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return document
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.integers(0, 3)) == 0:
            place[key] = draw(JUNK)
            return document
        place = place[key]


@given(damaged(TIMELINES | PROJECTS))
def test_a_damaged_document_gets_a_sentence_or_a_film(document: Json) -> None:
    timeline = read(document)
    assert len(timeline) < 2_000 if isinstance(timeline, str) else timeline.film.frames > 0
