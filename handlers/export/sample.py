"""A short project with real media, for demonstrations, benchmarks and tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from PIL import Image, ImageDraw

from listener.kit import ffmpeg

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 30, 14


@dataclass(frozen=True, slots=True)
class Sample:
    """A project as OpenCut's export button sends it, and the files that belong to it.

    Attributes:
        timeline: `{project, tracks, mediaItems}`; each media's url is the prefix and its file's name.
    """

    timeline: dict[str, Any]
    files: tuple[Path, ...]
    width: int = WIDTH
    height: int = HEIGHT
    fps: int = FPS
    seconds: int = SECONDS


async def make_sample(folder: Path, *, prefix: str = "", times: int = 1) -> Sample:
    """Make two moving videos with sound, music, and a picture with alpha in `folder`: 14 s of 1280 × 720.

    Args:
        prefix: what stands before each file's name in the timeline, such as the user's folder in the storage.
        times: how many times as long everything lasts.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            _video, folder / "city.mp4", f"testsrc2=s={WIDTH}x{HEIGHT}:r={FPS}", "sine=f=330:r=48000", times
        )
        tasks.start_soon(_video, folder / "sea.mp4", _SEA, "anoisesrc=a=0.05:c=brown:r=44100:seed=7", times)
        tasks.start_soon(_music, folder / "music.m4a", times)
        tasks.start_soon(to_thread.run_sync, _badge, folder / "badge.png")
    names = ("city.mp4", "sea.mp4", "music.m4a", "badge.png")
    return Sample(_timeline(prefix, times), tuple(folder / name for name in names), seconds=SECONDS * times)


_SEA = (
    f"gradients=s={WIDTH}x{HEIGHT}:r={FPS}:c0=0x0b3d91:c1=0x2ec4b6:c2=0xf4a261:nb_colors=3:speed=0.02:seed=7"
)


async def _video(path: Path, picture: str, sound: str, times: int) -> None:
    await ffmpeg.run(
        [
            *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", str(9 * times)),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", path),
        ]
    )


async def _music(path: Path, times: int) -> None:
    chord = "+".join(f"0.08*sin(2*PI*{note}*t)*(0.6+0.4*sin(2*PI*{beat}*t))" for note, beat in _NOTES)
    await ffmpeg.run(
        [
            "-f",
            "lavfi",
            "-i",
            f"aevalsrc={chord}:s=48000",
            "-t",
            str((SECONDS + 2) * times),
            "-c:a",
            "aac",
            path,
        ]
    )


_NOTES = ((220, 0.5), (277.18, 1), (329.63, 2))


def _badge(path: Path) -> None:
    picture = Image.new("RGBA", (480, 480), (255, 200, 40, 0))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((20, 20, 460, 460), fill=(255, 200, 40, 150))
    pen.polygon([(190, 140), (190, 340), (350, 240)], fill=(20, 20, 40, 255))
    picture.save(path)


def _timeline(prefix: str, times: int) -> dict[str, Any]:
    def media(media_id: str, start: float, duration: float, **more: Any) -> dict[str, object]:
        trims = {trim: times * float(more.pop(trim, 0)) for trim in ("trimStart", "trimEnd")}
        name = f"{media_id} at {start:g} s"
        return {
            "id": f"{media_id}-{start}",
            "type": "media",
            "mediaId": media_id,
            "name": name,
            "startTime": start * times,
            "duration": duration * times,
            **trims,
            **more,
        }

    def text(content: str, start: float, duration: float, **style: object) -> dict[str, object]:
        return {
            "id": f"text-{start}",
            "type": "text",
            "name": content.splitlines()[0],
            "content": content,
            "startTime": start * times,
            "duration": duration * times,
            "trimStart": 0,
            "trimEnd": 0,
            "fontFamily": "Arial",
            "color": "#ffffff",
            "backgroundColor": "transparent",
            "textAlign": "center",
            "fontWeight": "normal",
            "fontStyle": "normal",
            "textDecoration": "none",
            "x": 0,
            "y": 0,
            "rotation": 0,
            "opacity": 1,
            **style,
        }

    def item(media_id: str, kind: str, file: str, **more: object) -> dict[str, object]:
        return {"id": media_id, "name": file, "type": kind, "url": f"{prefix}{file}", **more}

    return {
        "project": {
            "id": "sample",
            "name": "A day by the sea",
            "canvasSize": {"width": WIDTH, "height": HEIGHT},
            "canvasMode": "preset",
            "fps": FPS,
            "backgroundColor": "#101820",
            "backgroundType": "color",
        },
        "tracks": [
            _track(
                "text",
                text("It's 100% real:\nrow in, film out", 1, 4, fontSize=72, fontWeight="bold", y=-180),
                text("the end", 11, 3, fontSize=56, color="#ffd166", y=220, backgroundColor="#000000"),
            ),
            _track("media", media("badge", 5, 4)),
            _track(
                "media",
                media("city", 0, 9, trimStart=0.5, trimEnd=2),
                media("sea", 6.5, 9, trimStart=1.5),
                isMain=True,
            ),
            _track("audio", media("music", 0, SECONDS + 2, trimEnd=2)),
        ],
        "mediaItems": {
            "city": item(
                "city", "video", "city.mp4", duration=9 * times, width=WIDTH, height=HEIGHT, fps=FPS
            ),
            "sea": item("sea", "video", "sea.mp4", duration=9 * times, width=WIDTH, height=HEIGHT, fps=FPS),
            "badge": item("badge", "image", "badge.png", width=480, height=480),
            "music": item("music", "audio", "music.m4a", duration=(SECONDS + 2) * times),
        },
    }


def _track(kind: str, *elements: dict[str, object], **more: object) -> dict[str, object]:
    return {"id": f"{kind}-track", "name": kind.title(), "type": kind, "elements": list(elements), **more}
