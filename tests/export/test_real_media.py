"""Media of telephones, browsers and recorders: what is meant is seen and heard, or a warning names it."""

from __future__ import annotations

import io
import random
import re
from fractions import Fraction
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageDraw

from handlers.export.film import render_film
from handlers.export.model import Film, FilmError, Picture, Rendered, Sound
from handlers.export.settings import limits
from listener.kit import ffmpeg, media
from listener.kit.ffmpeg import FORMATS

from . import media_maker
from .media_maker import QUARTERS
from .viewer import colour, listen, look, loudness, near, pitch

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
CORNERS = ((80, 45), (240, 45), (80, 135), (240, 135))
X264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"


async def make(path: Path, arguments: str) -> Path:
    await ffmpeg.run([*arguments.split(), path])
    return path


async def film_of(
    *paths: Path, offset: str = "0", length: str = "1", seen: bool = True, heard: bool = True
) -> Rendered:
    """A film of files above each other, seen and heard from `offset` on."""
    clips = [
        (f"clip {path.name}", Fraction(0), Fraction(length), path.name, Fraction(offset)) for path in paths
    ]
    film = Film(
        *(320, 180, Fraction(10), Fraction(length), (0, 0, 0)),
        tuple(Picture(*clip) for clip in clips if seen),
        tuple(Sound(*clip) for clip in clips if heard),
    )
    folder = paths[-1].with_suffix(".work")
    folder.mkdir()
    items = {path.name: path for path in paths}
    return await render_film(film, items, folder)


def quarters(size: tuple[int, int] = (320, 180)) -> Image.Image:
    picture = Image.new("RGB", size)
    pen, (width, height) = ImageDraw.Draw(picture), size
    for index, shade in enumerate(QUARTERS):
        x, y = index % 2 * (width // 2), index // 2 * (height // 2)
        pen.rectangle((x, y, x + width // 2 - 1, y + height // 2 - 1), fill=shade)
    return picture


async def shows_quarters(path: Path, tolerance: int = 8) -> None:
    made = await film_of(path, heard=False)
    picture = (await look(made.path, [5]))[5]
    for corner, wanted in zip(CORNERS, QUARTERS, strict=True):
        assert near(colour(picture, *corner), wanted, tolerance), (path.name, corner)
    assert made.warnings == ()


@pytest.mark.parametrize("options", [{}, {"tile_size": 512}])
async def test_a_heic_is_shown_whole_with_tiles_and_without(options: dict[str, int], tmp_path: Path) -> None:
    path = tmp_path / "photo.bin"
    pillow_heif.from_pillow(quarters((1600, 900))).save(path, quality=90, **options)
    await shows_quarters(path)


async def test_every_format_of_pictures_on_the_page_is_shown(tmp_path: Path) -> None:
    """The row of a format that is added to the page needs a line here."""
    still, turned = quarters(), quarters().transpose(Image.Transpose.ROTATE_90)
    moving = {"save_all": True, "append_images": [still.copy()], "duration": 300}
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to show
    savings: dict[str, list[tuple[Image.Image, dict[str, object]]]] = {
        "JPEG": [
            (still, {"quality": 95}),
            (still, {"quality": 95, "progressive": True}),
            (still.convert("CMYK"), {}),
        ],
        "PNG": [(still, {}), (still.convert("RGBA"), {}), (still.quantize(8), {}), (still, moving)],
        "WEBP": [(still, {"lossless": True}), (still, {**moving, "lossless": True})],
        "GIF": [(still, {}), (still, moving)],
        "BMP": [(still, {}), (still.convert("RGBA"), {})],
        "TIFF": [
            (still, {}),
            (still, {"compression": "tiff_lzw"}),
            (still, moving),
        ],
        "HEIF": [(turned, {"exif": exif.tobytes(), "quality": 95})],
        "AVIF": [(still, {"quality": 95}), (still, {**moving, "quality": 95})],
    }
    rows = PAGE.read_text(encoding="utf-8").partition("| Pictures |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| ([\w, ]+?) \|", rows, re.MULTILINE)
    promised = {name.upper().replace("HEIC", "HEIF") for row in named for name in row.split(", ")}
    assert promised - {"APNG"} == set(savings)
    pillow_heif.register_heif_opener()
    for kind, variants in savings.items():
        for number, (picture, options) in enumerate(variants):
            path = tmp_path / f"{kind}{number}.bin"
            picture.save(path, format=kind, **options)
            await shows_quarters(path, 12)


def test_the_page_lists_the_demuxers_that_are_allowed() -> None:
    rows = PAGE.read_text(encoding="utf-8").partition("| Containers")[2].partition("\n\n")[0]
    listed = {name for names in re.findall(r"`([\w,]+)`", rows) for name in names.split(",")}
    pictures = {"gif", "apng", "image2", *(f"{name}_pipe" for name in ("png", "jpeg", "webp", "bmp", "tiff"))}
    assert listed == set(FORMATS.split(",")) - pictures


@pytest.mark.parametrize("kind", ["mpo", "bare"])
async def test_what_lies_behind_a_photograph_is_not_shown(kind: str, tmp_path: Path) -> None:
    path, gain = tmp_path / "photo.bin", Image.new("L", (80, 45), 200)
    if kind == "mpo":
        quarters().save(path, format="MPO", save_all=True, append_images=[gain.convert("RGB")], quality=95)
    else:
        parts = [io.BytesIO(), io.BytesIO()]
        quarters().save(parts[0], "JPEG", quality=95)
        gain.save(parts[1], "JPEG")
        path.write_bytes(b"".join(part.getvalue() for part in parts))
    await shows_quarters(path, 12)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
async def test_a_webm_is_transparent_where_it_says_so(codec: str, tmp_path: Path) -> None:
    box = "format=rgba,geq=r=255:g=0:b=0:a='255*between(X,100,220)*between(Y,40,140)',format=yuva420p"
    over = await make(
        tmp_path / "over.webm",
        f"-f lavfi -i color=red:s=320x180:r=10,{box} -t 1 -c:v {codec} -b:v 500k -auto-alt-ref 0"
        " -metadata:s:v:0 alpha_mode=1",
    )
    under = media_maker.still(tmp_path / "under.png", (32, 192, 64))
    made = await film_of(under, over, heard=False)
    picture = (await look(made.path, [5]))[5]
    assert near(colour(picture, 30, 20), (32, 192, 64), 6)
    assert near(colour(picture, 160, 90), (255, 0, 0), 12)


async def test_a_call_whose_size_changes_is_shown_as_planned(tmp_path: Path) -> None:
    parts = []
    for number, (size, shade) in enumerate([("160x90", "red"), ("320x180", "lime"), ("240x136", "blue")]):
        source = (
            f"-f lavfi -i color={shade}:s={size}:r=10 -t 1 -c:v libvpx -deadline realtime -b:v 300k -g 10"
        )
        parts.append(await make(tmp_path / f"{number}.webm", source))
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    call = await make(tmp_path / "call.webm", f"-f concat -safe 0 -i {listed} -c copy")
    made = await film_of(call, length="3", heard=False)
    seen = await look(made.path, [5, 15, 25])
    for frame, wanted in {5: (255, 0, 0), 15: (0, 255, 0), 25: (0, 0, 255)}.items():
        assert near(colour(seen[frame], 160, 90), wanted, 12), frame


async def test_sound_goes_on_when_its_channels_and_rate_change(tmp_path: Path) -> None:
    mp3 = "-c:a libmp3lame -write_xing 0 -id3v2_version 0"
    mono = await make(tmp_path / "a.mp3", f"-f lavfi -i sine=f=400:r=24000 -t 2 -ac 1 -b:a 64k {mp3}")
    both = "aevalsrc=0.4*sin(2*PI*600*t)|0.4*sin(2*PI*600*t):s=44100"
    stereo = await make(tmp_path / "b.mp3", f"-f lavfi -i {both} -t 2 -b:a 128k {mp3}")
    podcast = tmp_path / "podcast.bin"
    podcast.write_bytes(mono.read_bytes() + stereo.read_bytes())
    made = await film_of(podcast, length="4", seen=False)
    left, _ = await listen(made.path)
    assert pitch(left, 0.5, 1.5) == pytest.approx(400, abs=10)
    assert pitch(left, 2.5, 3.5) == pytest.approx(600, abs=10)


async def test_sound_goes_on_when_a_format_that_is_steady_as_a_rule_changes(tmp_path: Path) -> None:
    parts = []
    for number, (layout, shares) in enumerate([("stereo", "{0}|{0}"), ("5.1", "{0}|0|{0}|0|0|0")]):
        tone = shares.format(f"0.3*sin(2*PI*{400 + 200 * number}*t)")
        options = f"-f lavfi -i aevalsrc={tone}:c={layout}:s=48000 -t 2 -c:a ac3 -b:a 192k"
        parts.append(await make(tmp_path / f"{number}.ac3", options))
    joined = tmp_path / "joined.ac3"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    picture = f"-f lavfi -i color=gray:s=64x64:r=10 -i {joined} -t 4"
    television = await make(tmp_path / "television.mkv", f"{picture} {X264} -c:a copy")
    left, _ = await listen((await film_of(television, length="4")).path)
    assert pitch(left, 0.5, 1.5) == pytest.approx(400, abs=10)
    assert pitch(left, 2.5, 3.5) == pytest.approx(600, abs=10)


async def test_a_codec_that_only_the_probe_knows_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await ffmpeg.decodable()
    assert {"h264", "hevc", "vp9", "av1", "aac", "opus", "png"} <= known
    binary = ffmpeg.binary()
    script = tmp_path / "ffmpeg"
    script.write_text(
        f"#!/bin/sh\ncase $2 in -codecs) echo ' D.V.L. h264  H.264';; *) exec {binary} \"$@\";; esac\n"
    )
    script.chmod(0o755)
    photo = media_maker.still(tmp_path / "photo.png", (9, 9, 9))
    monkeypatch.setenv("LISTENER_FFMPEG", str(script))
    with pytest.raises(
        FilmError, match=r"“photo\.png” can't be used: the installed FFmpeg does not decode png\."
    ):
        await film_of(photo)


@pytest.mark.parametrize("kind", ["adts", "mp3", "ogg"])
async def test_sound_behind_a_guessed_length_is_heard(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "sound.bin"
    if kind == "ogg":
        parts = [
            await make(tmp_path / f"{pitch}.ogg", f"-f lavfi -i sine=f={pitch}:r=48000 -t 2 -c:a libvorbis")
            for pitch in (400, 500)
        ]
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        offset, length = "2.5", Fraction(4)
    else:
        quiet = "aevalsrc='if(lt(t,3),0.8*(random(0)-0.5),0.02*sin(2*PI*500*t))':s=44100"
        codec = (
            "-c:a aac -q:a 2" if kind == "adts" else "-c:a libmp3lame -q:a 4 -write_xing 0 -id3v2_version 0"
        )
        await make(path, f"-f lavfi -i {quiet} -t 15 {codec} -f {kind}")
        offset, length = "12", Fraction(15)
    assert (await media.probe(path)).duration == pytest.approx(length, abs=0.1)
    made = await film_of(path, offset=offset, seen=False)
    left, _ = await listen(made.path)
    assert pitch(left, 0.2, 0.8) == pytest.approx(500, abs=10)
    assert made.warnings == ()


async def test_half_an_upload_and_damage_are_named(tmp_path: Path) -> None:
    source = "-f lavfi -i testsrc=s=320x180:r=10 -f lavfi -i sine=f=440:r=48000 -t 6"
    whole = await make(tmp_path / "whole.mp4", f"{source} {X264} -g 20 -c:a aac -movflags +faststart")
    content = bytearray(whole.read_bytes())
    half, damaged = tmp_path / "half.mp4", tmp_path / "damaged.mp4"
    half.write_bytes(content[: len(content) // 2])
    draw = random.Random(2)
    for place in range(len(content) * 45 // 100, len(content) * 55 // 100):
        content[place] = draw.getrandbits(8)
    damaged.write_bytes(content)

    warnings = (await film_of(half, length="6")).warnings
    assert re.match(r"The media “half\.mp4” is incomplete: it ends after 2\.\d s of 6\.0 s\.", warnings[0])
    assert any("the last picture stays" in warning for warning in warnings)
    (warning,) = (await film_of(damaged, length="6")).warnings
    assert warning.startswith("The media “damaged.mp4” is damaged: FFmpeg could not decode it")
    assert (await film_of(whole, length="6")).warnings == ()


async def test_sounds_that_are_not_heard_are_named(tmp_path: Path) -> None:
    four = await make(tmp_path / "four.wav", "-f lavfi -i sine=f=440:r=48000 -t 4")
    mute = await make(tmp_path / "mute.mp4", f"-f lavfi -i color=gray:s=64x64:r=10 -t 1 {X264}")
    photo = media_maker.still(tmp_path / "photo.png", (9, 9, 9))
    cases = {
        "it is silent from 4.0 s on": await film_of(four, length="10", seen=False),
        "its file is a video without sound": await film_of(mute, seen=False),
        "its file is a picture": await film_of(photo, seen=False),
    }
    four = four.rename(tmp_path / "again.wav")
    cases["it begins after the end of its file's sound (4.0 s)"] = await film_of(four, offset="6", seen=False)
    for words, made in cases.items():
        (warning,) = made.warnings
        assert words in warning
    mute = mute.rename(tmp_path / "seen.mp4")
    assert (await film_of(mute)).warnings == ()


async def test_the_first_track_that_can_be_heard_is_heard(tmp_path: Path) -> None:
    sources = (
        "-f lavfi -i color=gray:s=64x64:r=10 -f lavfi -i anullsrc=r=48000 -f lavfi -i sine=f=440:r=48000"
    )
    two = await make(tmp_path / "two.mp4", f"{sources} -t 1 -map 0 -map 1 -map 2 {X264} -c:a aac")
    made = await film_of(two)
    left, _ = await listen(made.path)
    assert loudness(left, 0.2, 0.8) > -30
    assert made.warnings == (
        "Of “clip two.mp4” only one sound track is heard, number 2 of its file's 2 sound tracks.",
    )


async def test_a_video_that_is_only_sound_is_heard(tmp_path: Path) -> None:
    voice = await make(tmp_path / "voice.webm", "-f lavfi -i sine=f=440:r=48000 -t 1 -c:a libopus")
    made = await film_of(voice)
    left, _ = await listen(made.path)
    assert pitch(left, 0.2, 0.8) == pytest.approx(440, abs=10)
    assert made.warnings == ("“clip voice.webm” is only heard: its file holds no pictures.",)


@pytest.mark.parametrize("layout", ["4c", "3c"])
async def test_channels_that_nobody_named_are_heard(layout: str, tmp_path: Path) -> None:
    silent = "|0" * (int(layout[0]) - 1)
    source = f"-f lavfi -i aevalsrc=0.3*sin(2*PI*500*t){silent}:s=48000:c={layout}"
    path = await make(tmp_path / "channels.wav", f"{source} -t 1 -c:a pcm_s16le")
    left, _ = await listen((await film_of(path, seen=False)).path)
    assert pitch(left, 0.2, 0.8) == pytest.approx(500, abs=10)


async def test_a_cover_before_the_film_is_not_shown(tmp_path: Path) -> None:
    cover = media_maker.still(tmp_path / "cover.png", (250, 250, 250))
    film = await media_maker.quartered_video(tmp_path / "film.mp4")
    both = await make(
        tmp_path / "both.mp4", f"-i {cover} -i {film} -map 0:v -map 1:v -c:v copy -disposition:v 0"
    )
    await shows_quarters(both, 12)


async def test_a_photograph_of_48_megapixels_is_shown_and_one_of_200_names_the_limit(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    quarters((8064, 4536)).resize((8064, 6048)).save(large, quality=80)
    made = await film_of(large, heard=False)
    assert near(colour((await look(made.path, [5]))[5], 70, 45), QUARTERS[0], 12)

    Image.new("L", (16384, 12288)).save(tmp_path / "huge.png")
    with pytest.raises(FilmError, match=r"“huge\.png” has 16384 × 12288 pixels; .*EXPORT_MAX_MEGAPIXELS"):
        await film_of(tmp_path / "huge.png")


async def test_the_limit_holds_for_tiles_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_MAX_MEGAPIXELS", "1")
    limits.cache_clear()
    path = tmp_path / "photo.heic"
    pillow_heif.from_pillow(quarters((1600, 900))).save(path, tile_size=512)
    with pytest.raises(FilmError, match=r"“photo\.heic” has 1600 × 900 pixels; the limit is 1 megapixels"):
        await film_of(path)
    limits.cache_clear()
