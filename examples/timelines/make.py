"""Write the sample projects in this folder: one of each format, with its media as data URLs.

`python examples/timelines/make.py`
"""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

Json = dict[str, object]
Pixel = Callable[[float, float], tuple[int, ...]]

HERE = Path(__file__).parent
CANVAS = {"width": 640, "height": 360}
SECOND = 120_000  # ticks


def png(width: int, height: int, pixel: Pixel) -> str:
    """Return a picture as a data URL; `pixel` returns the colour at (x, y), both 0..1, with or without alpha."""
    rows = [
        b"\0" + b"".join(bytes(pixel(x / (width - 1), y / (height - 1))) for x in range(width))
        for y in range(height)
    ]
    kind = 6 if len(rows[0]) > 3 * width + 1 else 2  # with alpha or without
    # Not compressed, so that the bytes are the same with every version of zlib.
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows), 0)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return _data_url("image/png", b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def wav(seconds: float, *tones: float) -> str:
    """Return a chime of some tones (in Hz) as a data URL."""
    rate = 8_000
    samples = bytes(
        128
        + round(
            100
            / len(tones)
            * sum(
                math.exp(-3 * n / rate / seconds) * math.sin(2 * math.pi * tone * n / rate) for tone in tones
            )
        )
        for n in range(round(seconds * rate))
    )
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    return _data_url("audio/wav", struct.pack("<4sI", b"RIFF", len(body)) + body)


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def dawn(x: float, y: float) -> tuple[int, ...]:
    return round(30 + 225 * y), round(60 + 100 * y * x), round(120 - 60 * y)


def sea(x: float, y: float) -> tuple[int, ...]:
    return round(10 + 40 * x), round(90 + 120 * (1 - y)), round(140 + 80 * (1 - y))


def sun(x: float, y: float) -> tuple[int, ...]:
    away = math.hypot(x - 0.5, y - 0.5) * 2
    return 255, 220, 90, round(255 * min(1.0, max(0.0, (1 - away) * 6)))


DAWN = {"id": "dawn", "name": "dawn.png", "type": "image", "url": png(48, 27, dawn)}
TALL = {"id": "tall", "name": "tall.png", "type": "image", "url": png(27, 48, sea)}
SUN = {"id": "sun", "name": "sun.png", "type": "image", "url": png(36, 36, sun)}
CHIME = {"id": "chime", "name": "chime.wav", "type": "audio", "url": wav(1, 523.25, 659.26)}


def timeline() -> Json:
    """Return what the export button of the oldest editor sends: a tall picture on a blurred copy of itself."""

    def element(kind: str, start: float, duration: float, **more: object) -> Json:
        return {"type": kind, "startTime": start, "duration": duration, "trimStart": 0, "trimEnd": 0, **more}

    title = element("text", 0.5, 2.5, name="Title", content="By the sea", fontSize=48, x=0, y=110)
    title |= {"fontFamily": "Arial", "fontWeight": "bold", "color": "#ffffff", "backgroundColor": "#00000080"}
    return {
        "project": {
            "name": "By the sea",
            "canvasSize": CANVAS,
            "fps": 30,
            "backgroundType": "blur",
            "blurIntensity": 18,
        },
        "tracks": [
            {"name": "Titles", "type": "text", "elements": [title]},
            {
                "name": "Main",
                "type": "media",
                "isMain": True,
                "elements": [element("media", 0, 3, mediaId="tall")],
            },
            {"name": "Sound", "type": "audio", "elements": [element("media", 0.5, 1, mediaId="chime")]},
        ],
        "mediaItems": {"tall": TALL, "chime": CHIME},
    }


def scenes() -> Json:
    """Return a saved project in seconds: a slow zoom, a slide to the next picture, a text that fades."""

    def element(kind: str, name: str, start: float, duration: float, **more: object) -> Json:
        times = {"startTime": start, "duration": duration, "trimStart": 0, "trimEnd": 0}
        return {"id": name, "name": name, "type": kind, **times, **more}

    def keyframes(*points: tuple[float, float]) -> Json:
        frames = [{"time": time, "value": value, "interpolation": "linear"} for time, value in points]
        return {"valueKind": "number", "keyframes": frames}

    zoom = {"channels": {"transform.scale": keyframes((0, 1), (2, 1.25))}}
    fade = {"channels": {"opacity": keyframes((0, 0), (0.5, 1), (1.5, 1), (2, 0))}}
    slide = {"id": "t", "type": "slide-left", "duration": 0.6, "fromElementId": "dawn", "toElementId": "tall"}
    text = element(
        "text", "greeting", 0.5, 2, content="Good\nmorning", fontSize=12, lineHeight=1.2, animations=fade
    )
    text |= {"fontFamily": "Arial", "color": "#ffffff", "textAlign": "left", "letterSpacing": 2}
    text |= {"transform": {"scale": 1, "position": {"x": -250, "y": 60}, "rotate": 0}, "opacity": 1}
    text |= {
        "background": {
            "enabled": True,
            "color": "#00000066",
            "cornerRadius": 40,
            "paddingX": 12,
            "paddingY": 8,
        }
    }
    main = [
        element("image", "dawn", 0, 2, mediaId="dawn", animations=zoom),
        element("image", "tall", 2, 2, mediaId="tall"),
    ]
    tracks = [
        {"id": "1", "name": "Titles", "type": "text", "elements": [text]},
        {
            "id": "2",
            "name": "Main",
            "type": "video",
            "isMain": True,
            "elements": main,
            "transitions": [slide],
        },
        {
            "id": "3",
            "name": "Sound",
            "type": "audio",
            "elements": [element("audio", "chime", 0.5, 1, sourceType="upload", mediaId="chime", volume=0.8)],
        },
    ]
    return {
        "project": {
            "metadata": {"id": "p", "name": "Good morning"},
            "version": 10,
            "currentSceneId": "s",
            "scenes": [{"id": "s", "name": "Main scene", "isMain": True, "tracks": tracks, "bookmarks": []}],
            "settings": {
                "fps": 30,
                "canvasSize": CANVAS,
                "background": {"type": "color", "color": "#102030"},
            },
        },
        "mediaItems": {"dawn": DAWN, "tall": TALL, "chime": CHIME},
    }


def ticks() -> Json:
    """Return a saved project in ticks: a crossfade, a sun that rises on a curve, a chime that fades out."""

    def element(kind: str, name: str, start: float, duration: float, **more: object) -> Json:
        times = {"startTime": round(start * SECOND), "duration": round(duration * SECOND)}
        return {"id": name, "name": name, "type": kind, **times, "trimStart": 0, "trimEnd": 0, **more}

    def key(time: float, value: float, way: str = "linear", **handles: Json) -> Json:
        return {"time": round(time * SECOND), "value": value, "segmentToNext": way, **handles}

    def track(name: str, kind: str, *elements: Json) -> Json:
        return {
            "id": name,
            "name": name,
            "type": kind,
            "elements": list(elements),
            "muted": False,
            "hidden": False,
        }

    rise = [
        key(0, 260, "bezier", rightHandle={"dt": SECOND, "dv": 0}),
        key(3, -70, leftHandle={"dt": -SECOND, "dv": 0}),
    ]
    rising = {
        "transform.positionX": -230,
        "transform.scaleX": 0.5,
        "transform.scaleY": 0.5,
        "blendMode": "screen",
    }
    crossfade = {"id": "t", "type": "crossfade", "duration": SECOND, "fromElementId": "sea"}
    words = {"content": "Another day", "fontSize": 10, "fontFamily": "Georgia", "fontStyle": "italic"}
    words |= {"color": "#fff4d0", "transform.positionY": 130, "background.enabled": False}
    silent = {"volume": {"keys": [key(0, 0), key(1, -40)]}}
    scene = {
        "id": "s",
        "isMain": True,
        "bookmarks": [],
        "tracks": {
            "overlay": [
                track("Titles", "text", element("text", "title", 1, 3, params=words)),
                track(
                    "Sun",
                    "video",
                    element(
                        "image",
                        "sun",
                        0.5,
                        3.5,
                        mediaId="sun",
                        params=rising,
                        animations={"transform.positionY": {"keys": rise}},
                    ),
                ),
            ],
            "main": track(
                "Main",
                "video",
                element("image", "sea", 0, 2, mediaId="tall", params={"reframe.mode": "cover"}),
                element("image", "dawn", 2, 2, mediaId="dawn", params={}, transitionIn=crossfade),
            ),
            "audio": [
                track(
                    "Sound",
                    "audio",
                    element(
                        "audio",
                        "chime",
                        1,
                        1,
                        sourceType="upload",
                        mediaId="chime",
                        params={},
                        animations=silent,
                    ),
                )
            ],
        },
    }
    return {
        "metadata": {"id": "p", "name": "Another day"},
        "version": 33,
        "currentSceneId": "s",
        "scenes": [scene],
        "settings": {
            "fps": {"numerator": 30, "denominator": 1},
            "canvasSize": CANVAS,
            "background": {"type": "color", "color": "#000000"},
        },
        "media": [TALL, DAWN, SUN, CHIME],
    }


PROJECTS = {"timeline.json": timeline, "scenes.json": scenes, "ticks.json": ticks}


def write(folder: Path) -> None:
    for name, project in PROJECTS.items():
        (folder / name).write_text(json.dumps(project(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(HERE)
