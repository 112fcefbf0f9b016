"""Timelines of the oldest format, and what all three formats share: films, warnings and error sentences."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from handlers.export import opencut
from handlers.export.model import Curve, Film, FilmError, MediaItem, Picture, Placement, Text
from tests.support.timelines import Json, media, text, timeline, track


def read(document: Json, width: int = 1280, height: int = 720, fps: int = 30) -> opencut.Timeline:
    return opencut.read(document, width=width, height=height, fps=fps, max_elements=2000)


def film_of(*tracks: Json, items: dict[str, str], **more: Any) -> Film:
    return read(timeline(*tracks, items=items, **more)).film


def test_what_is_seen_of_a_clip_is_its_duration_without_both_trims() -> None:
    film = film_of(
        track("media", media("a", 1.1, 10, trimStart=3.3, trimEnd=3.4), isMain=True), items={"a": "video"}
    )

    assert film.clips == (Picture("a", Fraction("1.1"), Fraction("3.3"), "a", Fraction("3.3")),)
    assert film.duration == Fraction("4.4")
    assert film.frames == 132


def test_seconds_do_not_drift_however_many_there_are() -> None:
    clips = [media("a", round(number * 0.1, 1), 0.1) for number in range(1000)]
    film = film_of(track("media", *clips), items={"a": "image"})

    assert film.frames == 3000
    edges = [(film.frame(clip.start), film.frame(clip.end)) for clip in film.clips]
    assert edges == [(3 * number, 3 * number + 3) for number in range(1000)]


def test_texts_lie_above_everything_and_the_main_track_below() -> None:
    film = film_of(
        track("media", media("main", 0, 1), isMain=True),
        track("media", media("upper", 0, 1)),
        track("media", media("lower", 0, 1)),
        track("text", text("title", 0, 1)),
        items=dict.fromkeys(("main", "upper", "lower"), "video"),
    )

    assert [clip.name for clip in film.clips] == ["main", "lower", "upper", "title"]


def test_what_is_hidden_is_neither_seen_nor_heard_nor_counted() -> None:
    film = film_of(
        track("media", media("a", 0, 2), media("b", 5, 2, hidden=True)), items={"a": "video", "b": "video"}
    )

    assert [clip.name for clip in film.clips] == ["a"]
    assert film.duration == 2


def test_a_muted_track_or_element_is_seen_but_not_heard() -> None:
    film = film_of(
        track("media", media("a", 0, 2), muted=True),
        track("media", media("b", 0, 2, muted=True), media("c", 2, 2)),
        items=dict.fromkeys("abc", "video"),
    )

    assert len(film.clips) == 3
    assert [sound.name for sound in film.sounds] == ["c"]


def test_a_video_on_an_audio_track_is_only_heard() -> None:
    film = film_of(track("audio", media("a", 0, 2)), items={"a": "video"})

    assert film.clips == ()
    assert [sound.name for sound in film.sounds] == ["a"]


def test_positions_and_sizes_follow_from_the_canvas_to_the_film() -> None:
    document = timeline(
        track("text", text("hi", 0, 1, x=-100, y=50, fontSize=40)), canvasSize={"width": 640, "height": 360}
    )
    (clip,) = read(document).film.clips

    assert isinstance(clip, Text)
    assert (clip.placement.x, clip.placement.y) == (Curve.fixed(-200), Curve.fixed(100))
    assert clip.style.size == 80
    assert clip.style.padding == (16, 8)


def test_odd_sizes_are_rounded_down_to_even_ones() -> None:
    film = read(timeline(track("text", text("hi", 0, 1))), 853, 481).film

    assert (film.width, film.height) == (852, 480)


def test_media_may_come_as_a_list() -> None:
    document = timeline(track("media", media("a", 0, 1)))
    document["mediaItems"] = [{"id": "a", "type": "image", "url": "u/a.png", "ephemeral": True}]

    assert read(document).media == {"a": MediaItem("a", "u/a.png")}


def test_only_media_that_are_used_are_asked_for() -> None:
    document = timeline(track("media", media("a", 0, 1)), items={"a": "image", "b": "image"})
    document["mediaItems"]["b"]["url"] = "blob:https://editor/1"

    assert list(read(document).media) == ["a"]


@pytest.mark.parametrize(
    ("css", "wanted"),
    [
        ("#ff8000", (255, 128, 0, 255)),
        ("#f80", (255, 136, 0, 255)),
        ("#ff800080", (255, 128, 0, 128)),
        ("RGBA(255, 128, 0, 0.5)", (255, 128, 0, 128)),
        ("rgb(1,2,3)", (1, 2, 3, 255)),
        ("tomato", (255, 99, 71, 255)),
        ("transparent", (0, 0, 0, 0)),
    ],
)
def test_css_colours(css: str, wanted: tuple[int, ...]) -> None:
    (clip,) = read(timeline(track("text", text("hi", 0, 1, color=css)))).film.clips

    assert isinstance(clip, Text)
    assert clip.style.colour == wanted


@pytest.mark.parametrize(
    ("document", "warning"),
    [
        (
            timeline(track("media", {"type": "sticker", "name": "Star"})),
            "“Star” is left out: elements of type “sticker” are unknown.",
        ),
        (
            timeline(track("text", text("x", 0, 5, trimStart=5, name="Gone"))),
            "“Gone” is left out: nothing of it remains after trimming.",
        ),
        (
            timeline(track("text", text("x", 0, 5, color="url(#a)", name="Odd"))),
            "The colour “url(#a)” of “Odd” is not known; the default is used.",
        ),
        (
            timeline(track("text", text("x", 0, 5, textAlign="justify", name="Wide"))),
            "“Wide” is aligned left: “justify” is not supported.",
        ),
        (
            timeline(backgroundType="image"),
            "The background of type “image” is not drawn; the background colour is.",
        ),
    ],
)
def test_what_is_not_shown_as_in_the_editor_is_named(document: Json, warning: str) -> None:
    document["tracks"].append(track("text", text("stays", 0, 1)))

    assert read(document).warnings == [warning]


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("element", "words"),
    [
        (media("a", NAN, 1, name="Clip 3"), ["'startTime' of “Clip 3”", "finite"]),
        (media("a", 0, INF, name="Clip 3"), ["'duration' of “Clip 3”", "finite"]),
        (media("a", 0, 1e308, name="Clip 3"), ["'duration' of “Clip 3”", "86400"]),
        (media("a", -1, 1, name="Clip 3"), ["'startTime' of “Clip 3”", "greater than or equal to 0"]),
        (media("a", 0, 1, name="Clip 3", trimStart="1"), ["'trimStart' of “Clip 3”", "number"]),
        ({**media("a", 0, 1), "name": "", "duration": None}, ["'duration' of “element 1 of track media”"]),
        (media("gone", 0, 1, name="Clip 3"), ["“Clip 3”", "“gone”", "mediaItems"]),
        (text("x", 0, 1, name="Title", fontSize=0), ["'fontSize' of “Title”", "greater than 0"]),
        (text("x", 0, 1, name="Title", x=NAN), ["'x' of “Title”"]),
        (text("x" * 20_001, 0, 1, name="Title"), ["'content' of “Title”", "20000"]),
        ({"type": "effect", "name": "Glow"}, ["nothing to show or play", "“Glow”", "“effect”"]),
        (17, ["'elements.0' of track 1"]),
    ],
)
def test_a_wrong_element_is_named(element: Json, words: list[str]) -> None:
    with pytest.raises(FilmError) as caught:
        read(timeline(track("media", element), items={"a": "video"}))

    for word in words:
        assert word in str(caught.value)


def test_a_blob_address_names_the_item_that_was_never_uploaded() -> None:
    document = timeline(track("media", media("a", 0, 1)), items={"a": "video"})
    document["mediaItems"]["a"] |= {"url": "blob:https://editor/17", "name": "holiday.mp4"}

    with pytest.raises(FilmError, match=r"The media “holiday\.mp4” was never uploaded"):
        read(document)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((0, 720, 30), "0 × 720"),
        ((-2, 720, 30), "-2 × 720"),
        ((1280, 4321, 30), "7680 × 4320"),
        ((1280, 720, 0), "0 frames a second"),
        ((1280, 720, 121), "1 and 120"),
    ],
)
def test_a_size_out_of_bounds_names_the_bounds(size: tuple[int, int, int], words: str) -> None:
    with pytest.raises(FilmError, match=words):
        read(timeline(track("text", text("x", 0, 1))), *size)


def test_a_million_elements_are_too_many() -> None:
    with pytest.raises(FilmError, match="1,000,000 elements; the limit is 2,000"):
        read(timeline(track("media", *[{}] * 1_000_000)))


@pytest.mark.parametrize("document", [{}, {"tracks": {}}, {"tracks": None, "scenes": []}])
def test_without_tracks_there_is_no_film(document: Json) -> None:
    with pytest.raises(FilmError, match="no list 'tracks'"):
        read(document)


def test_an_empty_timeline_has_nothing_to_show() -> None:
    with pytest.raises(FilmError, match="nothing to show"):
        read(timeline())


def test_a_flipped_clip_is_mirrored() -> None:
    (clip,) = film_of(
        track("media", media("a", 0, 1, transform={"flipHorizontal": True, "flipVertical": False})),
        items={"a": "video"},
    ).clips

    assert clip.placement == Placement(scale_x=Curve.fixed(-1), scale_y=Curve.fixed(1))


def test_a_text_has_its_style() -> None:
    style = {"fontWeight": "bold", "fontStyle": "italic", "textDecoration": "underline", "textAlign": "right"}
    words = text("hi", 0, 1, **style, backgroundColor="#102030", rotation=30, opacity=0.5)
    (clip,) = read(timeline(track("text", words))).film.clips

    assert isinstance(clip, Text)
    assert (clip.style.bold, clip.style.italic, clip.style.underline, clip.style.strike) == (
        True,
        True,
        True,
        False,
    )
    assert (clip.style.align, clip.style.box, clip.anchor) == ("right", (16, 32, 48, 255), 0.5)
    assert (clip.placement.rotation, clip.placement.opacity) == (Curve.fixed(30), Curve.fixed(0.5))


def test_a_blurred_background_repeats_the_lowest_picture_of_each_moment() -> None:
    film = film_of(
        track("media", media("main", 1, 4, trimStart=1), isMain=True),
        track("media", media("upper", 0, 6, trimStart=0.5)),
        track("text", text("title", 0, 1)),
        items={"main": "video", "upper": "video"},
        backgroundType="blur",
        blurIntensity=18,
    )

    behind, shown = film.clips[:3], film.clips[3:]
    assert [f"{clip.name} {clip.start}..{clip.end}" for clip in behind] == [
        "upper 0..1",
        "main 1..4",
        "upper 4..11/2",
    ]
    assert [clip.offset for clip in behind if isinstance(clip, Picture)] == [
        Fraction("0.5"),
        1,
        Fraction("4.5"),
    ]
    for clip in behind:
        assert isinstance(clip, Picture)
        assert (clip.fit, clip.blur) == ("cover", (24, 24))  # the preview has 540 lines, the film 720
        assert clip.placement.scale_x == Curve.fixed(1.1)
    assert [clip.name for clip in shown] == ["main", "upper", "title"]


@pytest.mark.parametrize(
    ("fps", "wanted"),
    [
        (25, 25),
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        ({"numerator": 2997, "denominator": 100}, Fraction(30000, 1001)),
        (24, 24),
        (12.5, Fraction(25, 2)),
        ({"numerator": 60000, "denominator": 1001}, Fraction(60000, 1001)),
    ],
)
def test_what_the_row_does_not_say_the_project_decides(fps: object, wanted: Fraction) -> None:
    document = timeline(track("text", text("hi", 0, 1)), canvasSize={"width": 641, "height": 360}, fps=fps)
    film = opencut.read(document).film

    assert (film.width, film.height, film.fps) == (640, 360, wanted)


@pytest.mark.parametrize(
    ("fps", "wanted"),
    [("29.97", "30000/1001"), ("23.976", "24000/1001"), ("119.88", "120000/1001"), ("25", "25")],
)
def test_whoever_asks_for_a_rate_means_the_same_as_a_project(fps: str, wanted: str) -> None:
    document = timeline(track("text", text("hi", 0, 1)))

    assert opencut.read(document, fps=Fraction(fps)).film.fps == Fraction(wanted)


def test_without_any_size_a_film_is_full_hd() -> None:
    film = opencut.read(timeline(track("text", text("hi", 0, 1)))).film

    assert (film.width, film.height, film.fps) == (1920, 1080, Fraction(30))


def test_a_timeline_of_too_many_elements_is_refused() -> None:
    tracks = [track("text", *[text("hi", n, 1) for n in range(count)]) for count in (6, 5)]

    assert len(opencut.read(timeline(*tracks), max_elements=11).film.clips) == 11
    with pytest.raises(FilmError, match=r"has 11 elements; the limit is 10 \(EXPORT_MAX_ELEMENTS\)\.$"):
        opencut.read(timeline(*tracks), max_elements=10)
