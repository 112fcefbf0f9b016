"""Fields that nobody knows are named, wherever they stand; ordinary documents get no warning."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from handlers.export import opencut
from handlers.export.model import FilmError
from tests.support.timelines import Json, media, scenes, shot, text, ticks, timeline, track

VIDEO = {"a": "video"}
KEY = {
    "id": "k",
    "time": 0,
    "value": 1,
    "segmentToNext": "linear",
    "tangentMode": "auto",
    "leftHandle": {"dt": 0},
}

ORDINARY_TEXT = {  # all parameters of a new text, as a fork of version 33 writes them
    **{"content": "Default text", "fontSize": 15, "fontFamily": "DejaVu Sans", "color": "#ffffff"},
    **{
        "textFillMode": "solid",
        "gradientStartColor": "#ffffff",
        "gradientEndColor": "#7c3aed",
        "gradientAngle": 0,
    },
    **{"textAlign": "center", "fontWeight": "normal", "fontStyle": "normal", "textDecoration": "none"},
    **{
        "letterSpacing": 0,
        "lineHeight": 1.2,
        "stroke.enabled": False,
        "stroke.color": "#000000",
        "stroke.width": 3,
    },
    **{"shadow.enabled": False, "shadow.color": "#000000", "shadow.blur": 10, "shadow.offsetX": 0},
    **{"shadow.offsetY": 4, "background.enabled": False, "background.color": "#000000"},
    **{"background.cornerRadius": 0, "background.paddingX": 30, "background.paddingY": 42},
    **{"background.offsetX": 0, "background.offsetY": 0, "transform.positionX": 0, "transform.positionY": 0},
    **{"transform.scaleX": 1, "transform.scaleY": 1, "transform.rotate": 0, "transform.perspectiveX": 0},
    **{"transform.perspectiveY": 0, "opacity": 1, "blendMode": "normal"},
}


def title(**params: object) -> Json:
    base = {
        "id": "t",
        "type": "text",
        "name": "title",
        "startTime": 0,
        "duration": 1,
        "trimStart": 0,
        "trimEnd": 0,
    }
    return {**base, "params": {**ORDINARY_TEXT, **params}}


def classic() -> Json:
    document = timeline(
        track("text", text("hi", 0, 1, id="t", x=0, y=0, rotation=0, opacity=1, hidden=False)),
        track(
            "media", media("a", 0, 1, id="m", muted=False, transform={"flipHorizontal": True}), muted=False
        ),
        items=VIDEO,
        **{
            "id": "p",
            "name": "p",
            "thumbnail": "x",
            "createdAt": "2025",
            "updatedAt": "2025",
            "mediaItems": ["a"],
        },
        **{"canvasSize": {"width": 320, "height": 180}, "canvasMode": "preset", "fps": 30, "bookmarks": [1]},
        backgroundType="color",
        blurIntensity=8,
    )
    document["mediaItems"]["a"] |= {"thumbnailUrl": "t", "duration": 3, "width": 1, "height": 1, "fps": 30}
    document["exportOptions"] = {"format": "mp4", "quality": "high", "fps": 30, "includeAudio": True}
    return document


def newest() -> Json:
    shown = shot(
        "a",
        0,
        1,
        sourceDuration=360_000,
        retime={"rate": 1, "maintainPitch": True},
        animations={
            "opacity": {"keys": [deepcopy(KEY)], "extrapolation": {"before": "hold", "after": "hold"}}
        },
        effects=[],
        masks=[],
        isSourceAudioEnabled=True,
    )
    document = ticks(track("video", shown), track("text", title()), items=VIDEO)
    project = document["project"]
    project["timelineViewState"] = {"zoomLevel": 1, "scrollLeft": 3, "playheadTime": 7}
    project["settings"] |= {
        "canvasSizeMode": "preset",
        "lastCustomCanvasSize": None,
        "originalCanvasSize": None,
    }
    project["scenes"][0] |= {"name": "Main", "createdAt": "2026", "updatedAt": "2026"}
    document["mediaItems"]["a"] |= {"size": 3, "lastModified": 4, "hasAudio": True, "ephemeral": False}
    return document


def middle() -> Json:
    moved = shot(
        "a",
        0,
        1,
        opacity=1,
        volume=1,
        transform={"scale": 1, "position": {"x": 0, "y": 0}, "rotate": 0},
        animations={
            "channels": {
                "opacity": {"valueKind": "number", "keyframes": [{"id": "k", "time": 0, "value": 1}]}
            }
        },
    )
    change = {"id": "c", "type": "fade", "duration": 0.1, "fromElementId": "a", "toElementId": "b"}
    return scenes(
        track("video", moved, shot("a", 1, 1, id="b"), isMain=True, transitions=[change], hidden=False),
        items=VIDEO,
    )


DOCUMENTS = {"timeline": classic, "scenes": middle, "ticks": newest}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_an_ordinary_document_gets_no_warning(kind: str) -> None:
    assert opencut.read(DOCUMENTS[kind]()).warnings == []


def objects(part: Any) -> list[Json]:
    """Return every object of a document whose names are fields, and not ids or paths of properties."""
    if isinstance(part, list):
        return [found for each in part for found in objects(each)]
    if not isinstance(part, dict):
        return []
    by_id = {"mediaItems", "channels", "animations", "extrapolation"}
    free = {"metadata", "exportOptions", "timelineViewState"}
    below = [
        found
        for name, each in part.items()
        if name not in free
        for found in objects(each)
        if name not in by_id or found is not each
    ]
    return [part, *below]


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("value", [True, 3, "wave", [1], {"amount": 2}])
def test_a_field_that_nobody_knows_is_named_wherever_it_stands(kind: str, value: object) -> None:
    many = len(objects(DOCUMENTS[kind]()))
    assert many >= 8
    for number in range(many):
        document = DOCUMENTS[kind]()
        changed = objects(document)[number]
        before = deepcopy(changed)
        changed["sparkle"] = value
        (warning,) = opencut.read(document).warnings
        assert "sparkle' of " in warning, before
        assert warning.endswith(" is unknown and not drawn.")


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}, "none", {"enabled": False, "amount": 2}])
def test_a_field_that_is_not_set_is_not_named(value: object) -> None:
    element = shot("a", 0, 1, sparkle=value)
    assert opencut.read(scenes(track("video", element), items=VIDEO)).warnings == []


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({"stroke.enabled": True}, ["stroke"]),
        ({"textFillMode": "gradient"}, ["textFillMode", "gradientStartColor", "gradientEndColor"]),
        ({"transform.perspectiveX": 40}, ["transform.perspectiveX"]),
    ],
)
def test_parameters_of_forks_are_named_where_they_are_switched_on(params: Json, fields: list[str]) -> None:
    document = ticks(track("text", title(**params)))
    assert opencut.read(document).warnings == [
        f"The field '{field}' of “title” is unknown and not drawn." for field in fields
    ]


def test_elements_with_the_same_fields_share_a_warning() -> None:
    shots = [
        shot("a", number, 1, name=f"clip {number}", sparkle=1, crop={"top": 1}) for number in range(2_000)
    ]
    stickers = track("graphic", {"type": "sticker", "name": "Star"}, {"type": "sticker", "name": "Moon"})
    read = opencut.read(scenes(stickers, track("video", *shots), items=VIDEO))

    assert read.warnings == [
        "“clip 0” and 1,999 others are shown without their cropping.",
        "“Star” and 1 other are left out: stickers are not drawn.",
        "The field 'sparkle' of “clip 0” and 1,999 others is unknown and not drawn.",
    ]


def test_warnings_are_bounded() -> None:
    shots = [
        shot("a", number, 1, name="n" * 500, **{f"{'field' * 100}{number}": 1}, blendMode=f"mode {number}")
        for number in range(300)
    ]
    for number, each in enumerate(shots):
        each[f"f{number}"] = "x"
    read = opencut.read(scenes(track("video", *shots), items=VIDEO))

    assert len(read.warnings) == 51
    assert read.warnings[-1].endswith(" more warnings are not listed.")
    assert all(len(warning) < 300 for warning in read.warnings)


@pytest.mark.parametrize(
    ("order", "seen"),
    [
        (None, ["main", "low", "high"]),
        (["main", "low"], ["high", "low", "main"]),
        (["high", "main", "low"], ["low", "main", "high"]),
        (["gone", 3, "low", "low"], ["main", "high", "low"]),
        ("main", ["main", "low", "high"]),
    ],
)
def test_the_order_of_tracks_is_obeyed(order: object, seen: list[str]) -> None:
    main, high, low = (
        track("video", shot("a", 0, 1, name=name), **{"id": name}) for name in ("main", "high", "low")
    )
    document = ticks(main, high, low, items=VIDEO)
    document["project"]["scenes"][0]["tracks"]["order"] = order

    assert [clip.name for clip in opencut.read(document).film.clips] == seen


@pytest.mark.parametrize("holder", ["document", "project"])
@pytest.mark.parametrize(("asked", "made"), [(None, 24), (50, 50)])
def test_the_frame_rate_of_the_export_options_is_used(holder: str, asked: int | None, made: int) -> None:
    document = classic()
    options = {**document.pop("exportOptions"), "fps": 24}
    (document if holder == "document" else document["project"])["exportOptions"] = options

    assert opencut.read(document, fps=asked).film.fps == made


def test_a_wrong_frame_rate_of_the_export_options_is_named() -> None:
    document = classic() | {"exportOptions": {"fps": -3}}
    with pytest.raises(FilmError, match="'fps' of the export options is wrong"):
        opencut.read(document)


@pytest.mark.parametrize("nested", [True, False])
def test_a_project_of_the_coming_editor_is_refused_by_its_name(nested: bool) -> None:
    document: Json = {
        "name": "p",
        "settings": {"fps": {"n": 30, "d": 1}},
        "timelines": [{"id": 0, "tracks": []}],
    }
    with pytest.raises(FilmError, match="project of the coming OpenCut"):
        opencut.read({"project": document} if nested else document)


def test_the_parts_of_a_feature_that_is_named_are_not_named_again() -> None:
    shadow = {"shadow.enabled": True, "shadow.color": "#112233", "shadow.softness": 3}
    read = opencut.read(ticks(track("text", title(**shadow))))
    assert read.warnings == ["“title” is shown without its shadow."]


def test_a_factor_of_one_changes_nothing() -> None:
    still = {"scale": 1, "opacity": 1, "position": {"x": 0, "y": 0}}
    document = timeline(track("media", media("a", 0, 1, transform=still)), items=VIDEO)
    assert opencut.read(document).warnings == []

    still["scale"] = 2
    assert opencut.read(document).warnings == ["The field 'transform.scale' of “a” is unknown and not drawn."]


@pytest.mark.parametrize("field", ["effects", "sparkle"])
def test_a_field_that_is_nested_deeply_is_named(field: str) -> None:
    value: list[Any] = []
    for _ in range(900):
        value = [value]
    element = shot("a", 0, 1, animations={"channels": {"opacity": {"keyframes": value}}}, **{field: value})
    assert field in " ".join(opencut.read(scenes(track("video", element), items=VIDEO)).warnings)
