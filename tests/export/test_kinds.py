"""Media as people have them: any size, depth, matrix, rotation and rhythm. `make test-all` tries all of them."""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from handlers.export.model import Film, Picture, Sound, Source
from handlers.export.render.renderer import render
from listener.kit import ffmpeg, media

from . import media_maker
from .media_maker import QUARTERS
from .viewer import RATE, colour, listen, look, near, number

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
X264 = "-c:v libx264 -preset ultrafast -crf 8"
TAGS = "-colorspace {0} -color_primaries {0} -color_trc {0} -color_range tv"
TO = "scale={size}:out_color_matrix={matrix}:out_range={range}:flags=accurate_rnd,format={pix_fmt}"

# Name: suffix, size, matrix, range, pixel format, encoder and tags
KINDS = {
    "bt601, tagged": ("mp4", "320:180", "bt601", "tv", "yuv420p", f"{X264} {TAGS.format('smpte170m')}"),
    "10 bits": ("mkv", "640:360", "bt709", "tv", "yuv420p10le", f"-c:v ffv1 {TAGS.format('bt709')}"),
    "odd size": ("mp4", "321:181", "bt709", "tv", "yuv444p", f"{X264} {TAGS.format('bt709')}"),
    "bt709, tagged": ("mp4", "320:180", "bt709", "tv", "yuv420p", f"{X264} {TAGS.format('bt709')}"),
    "small, untagged": ("mp4", "320:180", "bt601", "tv", "yuv420p", X264),
    "large, untagged": ("mp4", "1280:720", "bt709", "tv", "yuv420p", X264),
    "full range": (
        "mp4",
        "320:180",
        "bt709",
        "pc",
        "yuv420p",
        f"{X264} -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range pc",
    ),
    "RGB": ("mkv", "320:180", "bt709", "pc", "gbrp", "-c:v ffv1"),
    "VP9": (
        "webm",
        "320:180",
        "bt709",
        "tv",
        "yuv420p",
        f"-c:v libvpx-vp9 -crf 10 -b:v 0 {TAGS.format('bt709')}",
    ),
    "4:2:2": ("mov", "1280:720", "bt709", "tv", "yuv422p10le", "-c:v prores_ks -profile:v 3"),
}
CHOSEN = list(KINDS) if THOROUGH else ["bt601, tagged", "10 bits", "odd size"]


async def shown(
    source: Path, folder: Path, frames: list[int], offset: Fraction = Fraction(0)
) -> dict[int, Image.Image]:
    picture = Picture("clip", Fraction(0), Fraction(1), "it", offset)
    film = Film(320, 180, Fraction(30), Fraction(1), (0, 0, 0), (picture,), ())
    sources = {"it": Source(source, await media.probe(source))}
    made = await render(film, sources, folder / "film.mp4", workdir=folder)
    assert made.frames == 30
    return await look(made.path, frames)


@pytest.mark.parametrize("kind", CHOSEN)
async def test_colours_are_the_same_from_every_kind_of_video(kind: str, tmp_path: Path) -> None:
    suffix, size, matrix, range_, pix_fmt, options = KINDS[kind]
    still = media_maker.quartered(tmp_path / "still.png")
    convert = TO.format(size=size, matrix=matrix, range=range_, pix_fmt=pix_fmt)
    if pix_fmt == "gbrp":
        convert = f"scale={size},format=gbrp"
    source = tmp_path / f"source.{suffix}"
    loop: list[str | Path] = ["-loop", "1", "-framerate", "30", "-t", "0.4", "-i", still]
    await ffmpeg.run([*loop, "-vf", convert, *options.split(), source])

    picture = (await shown(source, tmp_path, [5]))[5]
    for index, wanted in enumerate(QUARTERS):
        seen = colour(picture, 80 + index % 2 * 160, 45 + index // 2 * 90, 40)
        assert near(seen, wanted, 3), (index, seen, wanted)


async def test_a_turned_video_is_shown_upright(tmp_path: Path) -> None:
    straight = await media_maker.quartered_video(tmp_path / "straight.mp4")
    source = turned_clockwise(straight, tmp_path / "turned.mp4")
    picture = (await shown(source, tmp_path, [5]))[5]

    # 101 pixels wide now, in the middle; what was left below is left above.
    corners = {(130, 40): 2, (190, 40): 0, (130, 140): 3, (190, 140): 1}
    for (x, y), quarter in corners.items():
        assert near(colour(picture, x, y), QUARTERS[quarter], 5), (x, y)
    assert near(colour(picture, 60, 90), (0, 0, 0))


async def test_a_photograph_is_turned_by_its_exif(tmp_path: Path) -> None:
    with Image.open(media_maker.quartered(tmp_path / "straight.png")) as photo:
        exif = photo.getexif()
        exif[0x0112] = 6  # turn 90 degrees clockwise to show
        photo.save(tmp_path / "photo.jpg", exif=exif, quality=95, subsampling=0)
    picture = (await shown(tmp_path / "photo.jpg", tmp_path, [5]))[5]

    corners = {(130, 40): 2, (190, 40): 0, (130, 140): 3, (190, 140): 1}
    for (x, y), quarter in corners.items():
        assert near(colour(picture, x, y), QUARTERS[quarter], 5), (x, y)
    assert near(colour(picture, 60, 90), (0, 0, 0))


async def test_pixels_that_are_no_squares_are_stretched(tmp_path: Path) -> None:
    straight = await media_maker.quartered_video(tmp_path / "straight.mp4")
    source = tmp_path / "wide.mp4"
    await ffmpeg.run(["-i", straight, "-vf", "scale=160:180,setsar=2", *X264.split(), source])
    picture = (await shown(source, tmp_path, [5]))[5]

    assert near(colour(picture, 20, 20), QUARTERS[0], 8)
    assert near(colour(picture, 300, 160), QUARTERS[3], 8)


async def test_a_video_of_uneven_rhythm_shows_each_frame_at_its_time(tmp_path: Path) -> None:
    even = await media_maker.numbered(tmp_path / "even.mp4", frames=30)
    source = tmp_path / "uneven.mp4"
    kept = "select=lt(n\\,5)+eq(mod(n\\,7)\\,0)"
    await ffmpeg.run(["-i", even, "-vf", kept, "-fps_mode", "vfr", *X264.split(), source])
    seen = await shown(source, tmp_path, list(range(30)))

    chosen = [n for n in range(30) if n < 5 or n % 7 == 0]
    assert [number(picture) for picture in seen.values()] == [
        max(n for n in chosen if n <= frame) for frame in range(30)
    ]


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", X264), ("webm", "-c:v libvpx -crf 4 -b:v 4M")])
async def test_a_cut_into_a_still_passage_shows_what_stands_there(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    """A recording of a screen has no frames while nothing moves."""
    even = await media_maker.numbered(tmp_path / "even.mp4", frames=60)
    source = tmp_path / f"screen.{suffix}"
    kept = "select=lt(n\\,5)+eq(n\\,30)+gte(n\\,50)"
    await ffmpeg.run(["-i", even, "-vf", kept, "-fps_mode", "vfr", *codec.split(), source])
    seen = await shown(source, tmp_path, [0, 9, 11, 20], offset=Fraction(2, 3))

    assert [number(picture) for picture in seen.values()] == [4, 4, 30, 30]


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", X264), ("webm", "-c:v libvpx -crf 4 -b:v 4M")])
async def test_beyond_its_end_a_video_holds_its_last_frame_whatever_its_header_says(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    even = await media_maker.numbered(tmp_path / "even.mp4", frames=30)
    source = tmp_path / f"source.{suffix}"
    longer = ["-f", "lavfi", "-i", "sine=duration=4"]
    await ffmpeg.run(["-i", even, *longer, *codec.split(), source])
    seen = await shown(source, tmp_path, [0, 29], offset=Fraction(3))

    assert [number(picture) for picture in seen.values()] == [29, 29]


async def test_picture_and_sound_stay_together_for_long(tmp_path: Path) -> None:
    """Ten minutes in the long run: in each clip a flash and a tone that begin together."""
    count = 64 if THOROUGH else 8
    source = tmp_path / "flash.mp4"
    flash = "color=white:s=64x36:r=10:d=10,lutyuv=y=val*0"
    tone = "aevalsrc=0.5*sin(2*PI*1000*t)*between(t\\,5\\,5.5):s=44100:d=10"
    lit = "drawbox=t=fill:color=white:enable=between(n\\,50\\,54)"
    await ffmpeg.run(
        [
            "-f",
            "lavfi",
            "-i",
            flash,
            "-f",
            "lavfi",
            "-i",
            tone,
            "-vf",
            lit,
            *X264.split(),
            "-c:a",
            "aac",
            source,
        ]
    )
    offset, length = Fraction(1, 10), Fraction(99, 10)
    row = [("clip", n * length, length, "it", offset) for n in range(count)]
    sources = {"it": Source(source, await media.probe(source))}
    clips = tuple(Picture(*clip) for clip in row)
    film = Film(64, 36, Fraction(10), count * length, (0, 0, 0), clips, tuple(Sound(*clip) for clip in row))
    made = await render(film, sources, tmp_path / "film.mp4", workdir=tmp_path)

    left, _ = await listen(made.path)
    raw = tmp_path / "light.raw"
    await ffmpeg.run(["-i", made.path, "-vf", "scale=1:1,format=gray", "-f", "rawvideo", raw])
    light = raw.read_bytes()
    assert len(light) == film.frames
    for n in range(count):
        begins = 99 * n + 49  # frames
        assert (light[begins - 1] < 60, light[begins] > 180, light[begins + 5] < 60) == (True, True, True), n
        window = left[(begins - 2) * RATE // 10 : (begins + 2) * RATE // 10]
        heard = next(k for k, sample in enumerate(window) if abs(sample) > 0.1) / RATE - 0.2
        assert abs(heard) < 0.02, (n, heard)


def turned_clockwise(film: Path, target: Path) -> Path:
    """A copy of an MP4 whose players are to turn it: the same pictures with another matrix in the header."""
    content = film.read_bytes()
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    start = content.index(b"tkhd") + 44  # past type, version and times; the track's matrix
    assert content[start : start + 36] == upright
    target.write_bytes(content[:start] + turned + content[start + 36 :])
    return target
