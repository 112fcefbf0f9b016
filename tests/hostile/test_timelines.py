"""Hostile timelines, by the whole export."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from . import corpus
from .conftest import JOB, USER, Export
from .observer import Observer

URL = f"{USER}/media.mp4"
NO_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e308",
    "-1e308",
    "9" * 400,
    "-" + "9" * 400,
    '"12"',
    "[]",
    "{}",
]
ODD_NUMBERS = ["5e-324", "0", "-1", "true", "null"]


async def test_filter_syntax_stays_text_in_every_field(
    export: Export, good: corpus.Good, seen: Observer
) -> None:
    for payload in corpus.filter_syntax(seen.folder, seen.port):
        outcome = await export(_filled(payload), {"media.mp4": good.film})
        if "\ud800" in payload:  # half a character
            assert "can't be read" in outcome.error
            continue
        assert outcome.film is not None, outcome.error
        assert outcome.film.video is not None
        assert outcome.film.video.frames == 6
    assert seen.opened() == []
    traces = (
        "secret",
        "elsewhere",
        "drawtext",
        "movie=",
        "rm -rf",
        "%{pts}",
        "owned",
        str(seen.port),
        "AAAA",
    )
    given = [part for command in seen.commands for part in command]
    assert [part for part in given for trace in traces if trace in part.replace(str(seen.folder), "")] == []


@pytest.mark.parametrize("field", ["type", "id", "url"])
async def test_filter_syntax_in_the_fields_that_mean_something(
    field: str, export: Export, good: corpus.Good, seen: Observer
) -> None:
    for payload in corpus.filter_syntax(seen.folder, seen.port):
        timeline = corpus.shows(URL)
        timeline["mediaItems"] = [{**timeline["mediaItems"]["m"], field: payload}]
        outcome = await export(timeline, {"media.mp4": good.film})
        assert outcome.error, payload
    assert seen.opened() == []


@pytest.mark.parametrize(
    "url",
    [
        "{folder}/secret.mp4",
        "file://{folder}/secret.mp4",
        "FILE:{folder}/secret.mp4",
        "../../elsewhere/secret.mp4",
        "{user}/../../elsewhere/secret.mp4",
        "{user}/%2e%2e/%2e%2e/elsewhere/secret.mp4",
        "{user}/..\\..\\elsewhere\\secret.mp4",
        "{other}/media.mp4",
        "{user}/media.mp4\0.png",
        "concat:{folder}/secret.mp4",
        "subfile,,start,0,end,0,,:{folder}/secret.mp4",
        "http://127.0.0.1:{port}/film.mp4",
        "https://127.0.0.1:{port}/film.mp4",
        "http://localhost:{port}/film.mp4",
        "//127.0.0.1:{port}/film.mp4",
        "rtmp://127.0.0.1:{port}/film",
        "data:video/mp4,%00",
        "data:application/x-mpegurl;base64,I0VYVE0zVQojRVhUSU5GOjEsCmZpbGU6Ly8vZXRjL3Bhc3N3ZAo=",
        "blob:https://app.test/1",
        "inline0.bin",
        "-",
        "pipe:0",
        "",
    ],
)
async def test_addresses_that_lead_elsewhere_are_refused(url: str, export: Export, seen: Observer) -> None:
    url = url.format(folder=seen.folder, port=seen.port, user=USER, other=JOB)
    outcome = await export(corpus.shows(url))
    assert outcome.error.startswith("The media “clip” ")
    assert seen.opened() == []


async def test_numbers_that_are_none_are_refused(export: Export) -> None:
    for timeline, field in [
        *((corpus.shows(URL), field) for field in ("startTime", "duration", "trimStart", "trimEnd")),
        *((corpus.titles({}), field) for field in ("x", "y", "fontSize", "rotation", "opacity")),
    ]:
        for number in NO_NUMBERS:
            outcome = await export(_with(timeline, field, number))
            assert f"'{field}" in outcome.error, (field, number)


@pytest.mark.parametrize("field", ["startTime", "duration", "trimEnd"])
async def test_odd_times_end_in_a_sentence_or_a_film(field: str, export: Export, good: corpus.Good) -> None:
    for number in ODD_NUMBERS:
        outcome = await export(_with(corpus.shows(URL), field, number), {"media.mp4": good.film})
        if outcome.film and outcome.film.video:
            assert (outcome.film.video.frames or 0) <= 6, number


@pytest.mark.parametrize("field", ["fontSize", "opacity"])
async def test_odd_measures_end_in_a_sentence_or_a_film(field: str, export: Export) -> None:
    for number in ODD_NUMBERS:
        await export(_with(corpus.titles({}), field, number))


async def test_a_canvas_of_no_size(export: Export) -> None:
    for number in [*NO_NUMBERS, "0", "-1"]:
        timeline = {**corpus.titles({}), "project": {"canvasSize": {"width": 100, "height": 0.125}}}
        assert "canvas" in (await export(json.dumps(timeline).replace("0.125", number).encode())).error


def _with(timeline: corpus.Json, field: str, number: str) -> bytes:
    timeline["tracks"][0]["elements"][0][field] = 0.125
    return json.dumps(timeline).replace("0.125", number).encode()


def _row(count: int, element: str) -> bytes:
    return b'{"tracks": [{"type": "text", "elements": [' + ",".join([element] * count).encode() + b"]}]}"


@pytest.mark.parametrize(
    ("timeline", "sentence"),
    [
        (_row(10**6, "{}"), "elements; the limit is 2,000|more than 1,000,000 values"),
        (_row(10**6, '{"type":"text"}'), "more than 1,000,000 values"),
        (b'{"tracks": [' + b",".join([b'{"type":"text"}'] * 500_000) + b"]}", "more than 1,000,000 values"),
        (b'{"tracks": ' + b"[" * 10**6 + b"]" * 10**6 + b"}", "nested too deeply|more than"),
        (b'{"tracks": ' + b'{"a":' * 10**5 + b"1" + b"}" * 10**5 + b"}", "nested too deeply"),
        (b"{" + b" " * 20_000_000 + b"}", "has no list 'tracks'"),
        (b'{"tracks": "' + b"x" * 20_000_000 + b'"}', "has no list 'tracks'"),
        (b'{"tracks": [' + b"[]," * 6_000_000 + b"[]]}", "more than 1,000,000 values"),
        (b'{"tracks": ' + b"9" * 20_000_000 + b"}", "not valid JSON"),
        (b"\0" * 20_000_000, "not valid JSON"),
        (b'{"tracks": [{"elements": [' + b'"x",' * 100_000 + b'"x"]}]}', "can't be read"),
    ],
    ids=lambda value: str(value[:16]),
)
async def test_much_of_nothing_is_refused_soon(timeline: bytes, sentence: str, export: Export) -> None:
    started = time.monotonic()
    outcome = await export(timeline)
    assert time.monotonic() - started < 20
    assert any(part in outcome.error for part in sentence.split("|")), outcome.error


def _filled(payload: str) -> Any:
    """A timeline whose every free text is `payload`."""
    shown = corpus.shows(URL)
    shown["mediaItems"]["m"] |= {"name": payload, payload: payload}
    shown["tracks"][0] |= {"name": payload, "id": payload}
    shown["tracks"][0]["elements"][0] |= {"name": payload, "id": payload, payload: payload}
    words = ("name", "id", "fontFamily", "color", "backgroundColor", "textAlign", "fontWeight", "fontStyle")
    text = dict.fromkeys((*words, "textDecoration"), payload) | {
        "content": payload[:2000],
        "fontSize": 24,
    }
    shown["tracks"].append(corpus.titles(text)["tracks"][0])
    shown["project"] |= {
        "name": payload,
        "id": payload,
        "backgroundColor": payload,
        "backgroundType": payload,
    }
    return shown
