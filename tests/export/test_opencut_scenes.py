"""Projects with scenes, of all the versions that the editor has had: what an element shows."""

from __future__ import annotations

from fractions import Fraction

import pytest

from handlers.export import opencut
from handlers.export.model import Curve, Film, FilmError, Key, MediaItem, Picture, Placement, Sound, Text
from tests.support.timelines import Json, scenes, shot, ticks, track

VIDEO = {"a": "video", "b": "video", "c": "video"}


def read(document: Json) -> opencut.Timeline:
    return opencut.read(document, width=1280, height=720, fps=30, max_elements=2000)


def film_of(*tracks: Json, version: int = 10, **more: object) -> Film:
    return read(scenes(*tracks, version=version, items=VIDEO, **more)).film


def placed(element: Json, version: int = 10) -> Placement:
    (clip,) = film_of(track("video", element), version=version).clips
    return clip.placement


def heard(element: Json, version: int = 10) -> Sound:
    (sound,) = film_of(track("video", element), version=version).sounds
    return sound


def words(**more: object) -> Json:
    return {
        "id": "t",
        "type": "text",
        "name": "title",
        "startTime": 0,
        "duration": 1,
        "content": "hi",
        **more,
    }


def text_of(element: Json, version: int = 10) -> Text:
    (clip,) = film_of(track("text", element), version=version).clips
    assert isinstance(clip, Text)
    return clip


def fixed(x: float = 0, y: float = 0, scale: float = 1) -> Placement:
    return Placement(Curve.fixed(x), Curve.fixed(y), Curve.fixed(scale), Curve.fixed(scale))


def curve(*points: tuple[float, float], stepped: bool = False) -> Curve:
    """Of keys that are stepped, the last one doesn't: nothing comes after it."""
    *keys, last = (Key(Fraction(repr(time)), value, stepped) for time, value in points)
    return Curve((*keys, Key(last.time, last.value)))


# What is seen


def test_a_duration_is_what_is_seen() -> None:
    film = film_of(track("video", shot("a", 0.5, 2, trimStart=3, trimEnd=4)))

    assert film.clips == (Picture("a", Fraction("0.5"), Fraction(2), "a", Fraction(3)),)
    assert film.sounds == (Sound("a", Fraction("0.5"), Fraction(2), "a", Fraction(3)),)
    assert film.duration == Fraction("2.5")


def test_the_main_track_lies_at_the_bottom_wherever_it_stands() -> None:
    film = film_of(
        track("video", shot("a", 0, 1), isMain=True),
        track("text", words()),
        track("video", shot("b", 0, 1)),
        track("video", shot("c", 0, 1)),
    )

    assert [clip.name for clip in film.clips] == ["a", "c", "b", "title"]


def test_without_a_main_track_the_first_one_with_pictures_is_it() -> None:
    film = film_of(track("text", words()), track("video", shot("a", 0, 1)), track("video", shot("b", 0, 1)))

    assert [clip.name for clip in film.clips] == ["a", "b", "title"]


def test_what_is_hidden_or_muted() -> None:
    film = film_of(
        track("video", shot("a", 0, 1), hidden=True),
        track("video", shot("b", 0, 1, hidden=True), shot("c", 1, 1)),
        track("video", shot("a", 0, 1), muted=True),
        track("video", shot("b", 0, 1, muted=True)),
    )

    assert [clip.name for clip in film.clips] == ["b", "a", "c"]
    assert [sound.name for sound in film.sounds] == ["c"]


def test_the_scene_that_is_open_is_drawn() -> None:
    document = scenes(track("video", shot("a", 0, 1)), items=VIDEO)
    other = {"id": "two", "isMain": False, "tracks": [track("video", shot("b", 0, 1))]}
    document["project"]["scenes"].append(other)
    document["project"]["currentSceneId"] = "two"
    opened = read(document)

    assert [clip.name for clip in opened.film.clips] == ["b"]
    assert opened.warnings == [
        "Only one of the project's scenes is drawn: the one that is open in the editor."
    ]

    del document["project"]["currentSceneId"]
    assert [clip.name for clip in read(document).film.clips] == ["a"]


def test_version_1_has_media_tracks() -> None:
    old = {**shot("a", 0, 1), "type": "media"}
    music = {**shot("b", 0, 1), "type": "audio"}
    film = read(
        scenes(track("media", old), track("audio", music), version=1, items={"a": "image", "b": "audio"})
    ).film

    assert [clip.name for clip in film.clips] == ["a"]
    assert [sound.name for sound in film.sounds] == ["b"]


NESTED = {"scale": 2, "position": {"x": 10, "y": -20}, "rotate": 45}
PARAMS = {
    "transform.scaleX": 2,
    "transform.scaleY": 2,
    "transform.positionX": 10,
    "transform.positionY": -20,
    "transform.rotate": 45,
    "opacity": 0.5,
    "blendMode": "screen",
}


@pytest.mark.parametrize(
    ("element", "version"),
    [
        (shot("a", 0, 1, transform=NESTED, opacity=0.5, blendMode="screen"), 3),
        (
            shot("a", 0, 1, transform={**NESTED, "scaleX": 2, "scaleY": 2}, opacity=0.5, blendMode="screen"),
            11,
        ),
        (shot("a", 0, 1, params=PARAMS), 22),
    ],
)
def test_every_version_places_alike(element: Json, version: int) -> None:
    where = placed(element, version)

    assert where.blend == "screen"
    assert (where.x, where.y, where.rotation) == (Curve.fixed(10), Curve.fixed(-20), Curve.fixed(45))
    assert (where.scale_x, where.scale_y, where.opacity) == (Curve.fixed(2), Curve.fixed(2), Curve.fixed(0.5))


def test_lengths_follow_from_the_canvas_to_the_film() -> None:
    document = scenes(
        track("video", shot("a", 0, 1, transform={"position": {"x": 10, "y": 20}})),
        items=VIDEO,
        canvasSize={"width": 640, "height": 360},
    )
    (clip,) = read(document).film.clips

    assert clip.placement == fixed(x=20, y=40)


def test_what_can_t_be_seen_is_left_out() -> None:
    film = film_of(track("video", shot("a", 0, 1, opacity=0), shot("b", 1, 1, transform={"scale": 0})))

    assert film.clips == ()
    assert film.duration == 2


# What moves


MOVES = [
    (
        {
            "channels": {
                "transform.position.x": {"keyframes": [{"time": 0, "value": 0}, {"time": 1, "value": 9}]}
            }
        },
        10,
    ),
    (
        {
            "channels": {
                "transform.position": {
                    "valueKind": "vector",
                    "keyframes": [
                        {"time": 1, "value": {"x": 9, "y": 0}},
                        {"time": 0, "value": {"x": 0, "y": 0}},
                    ],
                }
            }
        },
        14,
    ),
    (
        {
            "bindings": {
                "transform.position": {
                    "components": [{"key": "x", "channelId": "17"}, {"key": "y", "channelId": "18"}]
                }
            },
            "channels": {
                "17": {"kind": "scalar", "keys": [{"time": 0, "value": 0}, {"time": 1, "value": 9}]}
            },
        },
        22,
    ),
]


@pytest.mark.parametrize(("animations", "version"), MOVES)
def test_every_version_moves_alike(animations: Json, version: int) -> None:
    assert placed(shot("a", 0, 2, animations=animations), version).x == curve((0, 0.0), (1, 9.0))


def test_a_held_keyframe_holds() -> None:
    keys = [{"time": 0, "value": 1, "interpolation": "hold"}, {"time": 0.5, "value": 0}]
    where = placed(shot("a", 0, 1, animations={"channels": {"opacity": {"keyframes": keys}}}))

    assert where.opacity == curve((0, 1.0), (0.5, 0.0), stepped=True)


def test_one_scale_moves_both() -> None:
    channel = {"keyframes": [{"time": 0, "value": 1}, {"time": 1, "value": 3}]}
    where = placed(shot("a", 0, 1, animations={"channels": {"transform.scale": channel}}))

    assert where.scale_x == where.scale_y == curve((0, 1.0), (1, 3.0))


# What is heard


@pytest.mark.parametrize(
    ("volume", "version", "gain"),
    [(None, 10, 1), (0.5, 10, 0.5), (None, 18, 1), (-20, 18, 0.1), (40, 18, 10), (-99, 20, 0.001)],
)
def test_volume_is_a_factor_and_later_decibels(volume: float | None, version: int, gain: float) -> None:
    assert heard(shot("a", 0, 1, volume=volume), version).gain.constant == pytest.approx(gain)


def test_a_fade_in_decibels_is_close_all_the_way() -> None:
    keys = [{"time": 0, "value": -60}, {"time": 2, "value": 0}]
    gain = heard(shot("a", 0, 2, animations={"channels": {"volume": {"keyframes": keys}}}), 20).gain

    for step in range(41):
        assert gain.at(Fraction(step, 20)) == pytest.approx(10 ** ((step * 1.5 - 60) / 20), rel=0.02)


def test_a_muted_sound_a_silent_one_and_a_switched_off_one_are_not_heard() -> None:
    row = [
        shot("a", 0, 1, volume=0),
        shot("b", 1, 1, isSourceAudioEnabled=False),
        shot("c", 2, 1, muted=True),
    ]

    assert film_of(track("video", *row)).sounds == ()


def test_a_tracks_volume_counts() -> None:
    (sound,) = film_of(track("video", shot("a", 0, 1, volume=0.5), volume=0.5)).sounds

    assert sound.gain.constant == 0.25


def test_speed() -> None:
    film = film_of(track("video", shot("a", 0, 1, playbackRate=1.5), shot("b", 1, 1, retime={"rate": 2})))

    assert [(sound.rate, sound.keep_pitch) for sound in film.sounds] == [
        (Fraction("1.5"), True),
        (Fraction(2), False),
    ]
    assert [clip.rate for clip in film.clips if isinstance(clip, Picture)] == [Fraction("1.5"), 2]


def test_sounds_of_a_library_come_from_their_address() -> None:
    music = {**shot("", 0, 1), "type": "audio", "name": "song", "sourceUrl": "https://sounds.example/1.mp3"}
    timeline = read(scenes(track("audio", music)))

    (sound,) = timeline.film.sounds
    assert timeline.media[sound.source] == MediaItem("song", "https://sounds.example/1.mp3")


# Texts


def test_a_text_is_measured_in_ninetieths_of_the_height() -> None:
    text = text_of(words(fontSize=10, letterSpacing=3, lineHeight=2, fontWeight="700"))

    assert (text.style.size, text.style.letter_spacing, text.style.line_height) == (80, 3, 2)
    assert text.style.bold


@pytest.mark.parametrize(("align", "anchor"), [("left", 0), ("center", 0.5), ("right", 1)])
def test_a_text_is_anchored_at_its_side(align: str, anchor: float) -> None:
    assert text_of(words(textAlign=align)).anchor == anchor


@pytest.mark.parametrize(
    ("box", "padding"),
    [
        ({"backgroundColor": "#102030"}, (8, 4)),
        ({"background": {"color": "#102030", "paddingX": 12, "paddingY": 6}}, (24, 12)),
        ({"background": {"color": "#102030", "enabled": True}}, (60, 84)),
    ],
)
def test_boxes_of_every_version(box: Json, padding: tuple[int, int]) -> None:
    style = text_of(words(fontSize=30, **box)).style

    assert style.box == (16, 32, 48, 255)
    assert style.padding == pytest.approx(padding)


def test_a_box_has_corners_and_an_offset() -> None:
    box = {"enabled": True, "color": "#ffffff", "cornerRadius": 50, "offsetX": 4, "offsetY": -5}
    style = text_of(words(background=box)).style

    assert (style.roundness, style.box_offset) == (0.5, (4, -5))


@pytest.mark.parametrize(
    "box",
    [
        {"background": {"enabled": False, "color": "#ffffff"}},
        {"background": {"color": "transparent"}},
        {"backgroundColor": "transparent"},
        {},
    ],
)
def test_a_text_without_a_box(box: Json) -> None:
    style = text_of(words(**box)).style

    assert (style.box[3], style.padding) == (0, (0, 0))


# Backgrounds


def test_a_blurred_background_was_once_a_copy_of_the_whole() -> None:
    moved = shot("a", 0, 1, transform={"scale": 2, "position": {"x": 10, "y": 0}})
    film = film_of(track("video", moved), background={"type": "blur", "blurIntensity": 6})

    behind = film.clips[0]
    assert isinstance(behind, Picture)
    assert (behind.fit, behind.blur) == ("contain", (6, 6))
    assert behind.placement == fixed(x=14, scale=2.8)


@pytest.mark.parametrize("size", [(1920, 1080), (320, 180), (1080, 1920)])
def test_a_blurred_background_now_covers_the_film(size: tuple[int, int]) -> None:
    blurred = {"type": "blur", "blurIntensity": 100}
    document = scenes(track("video", shot("a", 0, 1)), version=21, items=VIDEO, background=blurred)
    behind = opencut.read(document, width=size[0], height=size[1]).film.clips[0]

    assert isinstance(behind, Picture)
    assert (behind.fit, behind.placement) == ("cover", Placement())
    assert behind.blur == pytest.approx((20 * size[0] / 1920, 20 * size[1] / 1080))


@pytest.mark.parametrize(
    ("background", "wanted"),
    [
        ({"type": "color", "color": "#102030"}, (16, 32, 48)),
        ({"type": "color", "color": "transparent"}, (0, 0, 0)),
        (None, (0, 0, 0)),
    ],
)
def test_background_colours(background: Json | None, wanted: tuple[int, int, int]) -> None:
    assert film_of(track("video", shot("a", 0, 1)), background=background).background == wanted


# Where the media stand


@pytest.mark.parametrize("name", ["media", "mediaItems"])
@pytest.mark.parametrize("form", ["map", "list", "addresses"])
@pytest.mark.parametrize("nested", [True, False])
def test_media_stand_beside_the_project_or_in_it(name: str, form: str, nested: bool) -> None:
    document = scenes(track("video", shot("a", 0, 1)))
    project = document["project"] if nested else document.pop("project")
    media: object = {"a": {"type": "video", "url": "u/a.mp4"}}
    if form == "list":
        media = [{"id": "a", "type": "video", "url": "u/a.mp4"}]
    elif form == "addresses":
        media = {"a": "u/a.mp4"}
    holder = {"project": {**project, name: media}} if nested else {**project, name: media}

    assert read(holder).media == {"a": MediaItem("a", "u/a.mp4")}


# What is not drawn


@pytest.mark.parametrize(
    ("element", "warning"),
    [
        ({"type": "sticker", "name": "Star"}, "“Star” is left out: stickers are not drawn."),
        ({"type": "graphic", "name": "Box"}, "“Box” is left out: shapes are not drawn."),
        ({"type": "effect", "name": "Glow"}, "“Glow” is left out: effects over other tracks are not drawn."),
        ({"type": ["x"]}, "“element 1 of track video” is left out: elements of type “['x']” are unknown."),
        (
            shot(
                "b",
                0,
                1,
                effects=[{"type": "blur", "enabled": True}],
                masks=[{"type": "split", "params": {"x": 1}}],
            ),
            "“b” is shown without its effects, masks.",
        ),
        (shot("b", 0, 1, crop={"top": 0.1, "left": 0}), "“b” is shown without its cropping."),
        (shot("b", 0, 1, blendMode="hue"), "“b” is blended normally: “hue” is not supported."),
        (
            shot(
                "b", 0, 1, animations={"channels": {"color": {"keyframes": [{"time": 0, "value": "#fff"}]}}}
            ),
            "“b” does not change its color while it is seen.",
        ),
        (
            shot("b", 0, 1, params={"reframe.mode": "stretch"}),
            "“b” is shown without its reframing.",
        ),
        (
            words(wordTimings=[{"word": "hi", "start": 0, "end": 1}]),
            "“title” is shown without its highlighting of words.",
        ),
        (
            shot("b", 0, 1, fadeIn=0.5, animIn={"type": "none", "duration": 1}, animOut={"type": "zoom"}),
            "“b” is shown without its fades, animation.",
        ),
        (
            shot("b", 0, 1, type="audio", params={"ducking": True, "equalizer": {"bass": 3}}),
            "“b” is heard without its ducking, equalizer.",
        ),
        (shot("b", 0, 0), "“b” is left out: nothing of it remains after trimming."),
    ],
)
def test_what_is_not_shown_as_in_the_editor_is_named(element: Json, warning: str) -> None:
    document = scenes(track("video", element), track("video", shot("a", 0, 1)), items=VIDEO)

    assert read(document).warnings == [warning]


@pytest.mark.parametrize(
    "element",
    [
        shot("a", 0, 1, effects=[{"type": "blur", "enabled": False}], masks=[], crop={"top": 0}, mask=None),
        shot("a", 0, 1, params={"reframe.mode": "cover", "reframe.cropX": 0}),
        shot("a", 0, 1, transitionIn=None, animations=None, retime=None, unknown={"x": 0}),
    ],
)
def test_what_is_switched_off_is_not_named(element: Json) -> None:
    assert read(scenes(track("video", element), items=VIDEO)).warnings == []


# What is wrong


@pytest.mark.parametrize(
    ("element", "sentence"),
    [
        (shot("a", float("nan"), 1), "'startTime' of “a” is wrong \\(it must be a finite number"),
        (shot("a", -1, 1), "'startTime' of “a” is wrong \\(it must not be negative"),
        (shot("a", 0, 1e308), "'duration' of “a” is wrong \\(it is beyond 24 hours"),
        (shot("a", 0, 10**400), "'duration' of “a” is wrong"),
        ({**shot("a", 0, 1), "duration": "1"}, "'duration' of “a” is wrong \\(it must be a finite number"),
        ({**shot("a", 0, 1), "duration": None}, "'duration' of “a” is wrong"),
        (shot("a", 0, 1, transform={"scale": 1e9}), "'transform.scaleX' of “a” is wrong"),
        (shot("a", 0, 1, volume="loud"), "'volume' of “a” is wrong"),
        (shot("a", 0, 1, playbackRate=0), "'playbackRate' of “a” is wrong"),
        (shot("gone", 0, 1), "“gone” uses the media “gone”, which is not in 'mediaItems'"),
        (
            shot(
                "a", 0, 1, animations={"channels": {"opacity": {"keyframes": [{"time": 0, "value": 1e99}]}}}
            ),
            "'value' of a keyframe of the opacity of “a” is wrong",
        ),
        (
            shot(
                "a",
                0,
                1,
                animations={"channels": {"opacity": {"keyframes": [{"time": 0, "value": 1}] * 501}}},
            ),
            "The opacity of “a” has 501 keyframes; the limit is 500",
        ),
        ({"type": "effect", "name": "Glow"}, "nothing to show or play. “Glow” is left out"),
    ],
)
def test_a_wrong_element_is_named(element: Json, sentence: str) -> None:
    with pytest.raises(FilmError, match=sentence):
        read(scenes(track("video", element), items=VIDEO))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scenes": [{"id": "one", "tracks": None}]}, "The scene has no 'tracks'"),
        ({"scenes": [{"id": "one", "tracks": [17]}]}, "track 1 is wrong"),
        ({"scenes": [17]}, "'scenes.0' of the project is wrong"),
        ({"settings": {"fps": 0}}, "'settings.fps' of the project is wrong"),
        (
            {"settings": {"canvasSize": {"width": -1, "height": 1}}},
            "'settings.canvasSize.width' of the project",
        ),
        ({"version": "new"}, "'version' of the project is wrong"),
    ],
)
def test_a_wrong_project_is_named(changes: Json, sentence: str) -> None:
    document = scenes(track("video", shot("a", 0, 1)), items=VIDEO)
    document["project"] |= changes

    with pytest.raises(FilmError, match=sentence):
        read(document)


def test_a_blob_address_is_refused() -> None:
    document = scenes(track("video", shot("a", 0, 1)), items=VIDEO)
    document["mediaItems"]["a"]["url"] = "blob:https://editor/1"

    with pytest.raises(FilmError, match="The media “a” was never uploaded"):
        read(document)


def test_too_many_elements_are_refused() -> None:
    with pytest.raises(FilmError, match="3,000 elements; the limit is 2,000"):
        read(scenes(track("video", *[shot("a", 0, 1)] * 3000), items=VIDEO))


def test_too_many_keyframes_are_refused() -> None:
    keys = [{"time": time, "value": 0} for time in range(500)]
    moving = {"channels": {path: {"keyframes": keys} for path in ("opacity", "transform.rotate")}}
    row = [shot("a", second, 1, animations=moving) for second in range(21)]

    with pytest.raises(FilmError, match="more than 20,000 keyframes, up to “a”"):
        read(scenes(track("video", *row), items=VIDEO))


# Ticks


def test_ticks_are_exact() -> None:
    document = ticks(track("video", shot("a", 0, 1, trimStart=0.5)), items=VIDEO)
    element = document["project"]["scenes"][0]["tracks"]["main"]["elements"][0]
    element |= {"startTime": 40_000, "duration": 40_001.4}
    film = read(document).film

    assert film.clips[0] == Picture("a", Fraction(1, 3), Fraction(40_001, 120_000), "a", Fraction(1, 2))


def test_overlays_lie_above_the_main_track_in_their_order() -> None:
    film = read(
        ticks(
            track("video", shot("a", 0, 1)),
            track("text", words(trimStart=0, trimEnd=0)),
            track("video", shot("b", 0, 1)),
            audio=(track("audio", {**shot("c", 0, 1), "type": "audio"}),),
            items=VIDEO,
        )
    ).film

    assert [clip.name for clip in film.clips] == ["a", "b", "title"]
    assert [sound.name for sound in film.sounds] == ["a", "b", "c"]


@pytest.mark.parametrize("shape", ["list", "numbered"])
def test_ticks_with_tracks_in_a_list(shape: str) -> None:
    """Version 23 had a list still; version 25 damaged some into objects with numbers for keys."""
    tracks = [track("video", shot("b", 0, 60_000)), track("video", shot("a", 0, 120_000), isMain=True)]
    document = scenes(*tracks, version=23, items=VIDEO)
    if shape == "numbered":
        document["project"]["scenes"][0]["tracks"] = {str(number): one for number, one in enumerate(tracks)}
    film = read(document).film

    assert [clip.name for clip in film.clips] == ["a", "b"]
    assert film.duration == 1


def test_without_a_version_the_shape_decides() -> None:
    document = ticks(track("video", shot("a", 0, 1)), items=VIDEO)
    del document["project"]["version"]
    assert read(document).film.duration == 1

    document = scenes(track("video", shot("a", 0, 1)), version=None, items=VIDEO)
    assert read(document).film.duration == 1


def test_keyframes_in_ticks_may_bend() -> None:
    keys = [
        {"time": 0, "value": 0, "segmentToNext": "bezier", "rightHandle": {"dt": 60_000, "dv": 0}},
        {"time": 120_000, "value": 100, "segmentToNext": "step", "leftHandle": {"dt": -60_000, "dv": 0}},
        {"time": 240_000, "value": 0},
    ]
    element = shot("a", 0, 3, animations={"transform.positionX": {"keys": keys}})
    (clip,) = read(ticks(track("video", element), items=VIDEO)).film.clips

    moving = clip.placement.x
    seen = [round(moving.at(Fraction(step, 4))) for step in range(9)]
    assert seen == [0, 11, 50, 89, 100, 100, 100, 100, 0]


def test_a_straight_bezier_is_a_line() -> None:
    keys = [{"time": 0, "value": 0, "segmentToNext": "bezier"}, {"time": 120_000, "value": 1}]
    element = shot("a", 0, 1, animations={"opacity": {"keys": keys}})
    (clip,) = read(ticks(track("video", element), items=VIDEO)).film.clips

    assert clip.placement.opacity == curve((0, 0.0), (1, 1.0))


def test_a_retimed_sound_keeps_its_pitch_where_it_is_told_to() -> None:
    row = [shot("a", 0, 1, retime={"rate": 2, "maintainPitch": True}), shot("b", 1, 1, retime={"rate": 0.5})]
    film = read(ticks(track("video", *row), items=VIDEO)).film

    assert [(sound.rate, sound.keep_pitch) for sound in film.sounds] == [(2, True), (Fraction(1, 2), False)]
