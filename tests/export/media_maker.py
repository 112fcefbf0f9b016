"""Small media that carry their own identity: each frame its number, each sound its pitch."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from listener.kit import ffmpeg

WIDTH, HEIGHT, BARS = 320, 180, 8
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-pix_fmt", "yuv420p")


async def numbered(path: Path, *, frames: int = 60, fps: int = 30, sound: str | None = None) -> Path:
    """A video whose frame n shows n in binary, as eight bars, black or white, lowest bit left."""
    folder = path.with_suffix(".frames")
    folder.mkdir()
    for number in range(frames):
        picture = Image.new("L", (WIDTH, HEIGHT))
        pen = ImageDraw.Draw(picture)
        for bit in range(BARS):
            if number >> bit & 1:
                pen.rectangle((bit * 40, 0, bit * 40 + 39, HEIGHT), fill=255)
        picture.save(folder / f"{number:03}.png", compress_level=0)
    tone = ["-f", "lavfi", "-i", sound, "-shortest", "-c:a", "aac"] if sound else []
    await ffmpeg.run(
        ["-framerate", str(fps), "-i", str(folder / "%03d.png"), *tone, *_X264, "-t", str(frames / fps), path]
    )
    return path


async def plain(
    path: Path, colour: str, *, size: str = "320x180", seconds: float = 2, sound: str = ""
) -> Path:
    """A video of one colour, tagged bt709."""
    tone = ["-f", "lavfi", "-i", sound, "-c:a", "aac"] if sound else []
    convert = "format=rgb24,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    source = ["-f", "lavfi", "-i", f"color={colour}:s={size}:r=30,{convert}"]
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    await ffmpeg.run([*source, *tone, *_X264, *tags, "-t", str(seconds), path])
    return path


async def tone(path: Path, source: str, *, seconds: float = 2) -> Path:
    """Sound by a lavfi source, uncompressed."""
    await ffmpeg.run(["-f", "lavfi", "-i", source, "-t", str(seconds), "-c:a", "pcm_s16le", path])
    return path


def disc(path: Path) -> Path:
    """A PNG, 180 × 180: an opaque green disc of 100 pixels across, half of it, on nothing."""
    picture = Image.new("RGBA", (180, 180), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((40, 40, 140, 140), fill=(0, 255, 0, 255))
    picture.save(path)
    return path


def still(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (320, 180)) -> Path:
    Image.new("RGB", size, colour).save(path, quality=95)
    return path


QUARTERS = ((220, 40, 40), (40, 200, 60), (50, 60, 220), (230, 220, 60))
"""Colours of the quarters of a quartered picture: upper left, upper right, lower left, lower right."""


def quartered(path: Path, size: tuple[int, int] = (320, 180)) -> Path:
    """A picture of four colours, so that it is seen how it is turned and mirrored."""
    width, height = size
    picture = Image.new("RGB", size)
    pen = ImageDraw.Draw(picture)
    for index, colour in enumerate(QUARTERS):
        x, y = index % 2 * (width // 2), index // 2 * (height // 2)
        pen.rectangle((x, y, x + width // 2 - 1, y + height // 2 - 1), fill=colour)
    picture.save(path)
    return path


async def quartered_video(path: Path, *, seconds: float = 1) -> Path:
    """The same as a video, tagged bt709."""
    return await filmed(quartered(path.with_suffix(".png")), path, seconds=seconds)


async def filmed(still: Path, path: Path, *, seconds: float = 1) -> Path:
    """A picture as a video, tagged bt709."""
    convert = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    await ffmpeg.run(
        [
            "-loop",
            "1",
            "-framerate",
            "30",
            "-i",
            still,
            "-vf",
            convert,
            *_X264,
            *tags,
            "-t",
            str(seconds),
            path,
        ]
    )
    return path
