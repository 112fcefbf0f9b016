"""Legal media that are rarely met: their pictures and sounds come at the right time, and are the right ones."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from handlers.export.model import Film, Picture, Sound, Source
from handlers.export.render.renderer import render
from listener.kit import ffmpeg, media

from . import media_maker
from .media_maker import QUARTERS
from .viewer import colour, listen, look, loudness, near, number, pitch


async def film_of(path: Path, *, offset: str = "0", length: str = "1", fps: str = "30") -> Path:
    """A film of a file, seen and heard from `offset` on."""
    source = Source(path, await media.probe(path))
    clip = ("clip", Fraction(0), Fraction(length), "it", Fraction(offset))
    film = Film(320, 180, Fraction(fps), Fraction(length), (0, 0, 0), (Picture(*clip),), (Sound(*clip),))
    made = await render(film, {"it": source}, path.with_name("film.mp4"), workdir=path.parent)
    assert made.frames == film.frames
    return made.path


@pytest.mark.parametrize(("suffix", "fps"), [("png", "1"), ("png", "60"), ("jpg", "120"), ("avif", "30")])
async def test_a_still_makes_a_film_of_any_rate(suffix: str, fps: str, tmp_path: Path) -> None:
    """Each of them has its own frame rate, by which FFmpeg would repeat the last frame of the film."""
    still = media_maker.still(tmp_path / f"still.{suffix}", (200, 63, 16))
    seen = await look(await film_of(still, fps=fps), [0])

    assert near(colour(seen[0], 160, 90), (200, 63, 16))


async def test_a_palette_has_the_colours_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    Image.open(media_maker.quartered(path)).quantize(8).save(path)
    picture = (await look(await film_of(path), [5]))[5]

    for index, wanted in enumerate(QUARTERS):
        assert near(colour(picture, 80 + index % 2 * 160, 45 + index // 2 * 90, 40), wanted, 3), index


@pytest.mark.parametrize("suffix", ["png", "webp"])
async def test_not_only_jpegs_are_turned_by_their_exif(suffix: str, tmp_path: Path) -> None:
    with Image.open(media_maker.quartered(tmp_path / "straight.png")) as photo:
        exif = photo.getexif()
        exif[0x0112] = 6  # turn 90 degrees clockwise to show
        photo.save(tmp_path / f"photo.{suffix}", exif=exif, lossless=True)
    picture = (await look(await film_of(tmp_path / f"photo.{suffix}"), [5]))[5]

    corners = {(130, 40): 2, (190, 40): 0, (130, 140): 3, (190, 140): 1}
    for (x, y), quarter in corners.items():
        assert near(colour(picture, x, y), QUARTERS[quarter], 5), (x, y)
    assert near(colour(picture, 60, 90), (0, 0, 0))


@pytest.mark.parametrize(
    ("suffix", "codec"), [("avi", "-c:v mjpeg -q:v 2"), ("ogv", "-c:v libtheora -q:v 9")]
)
async def test_frames_of_files_that_count_whole_frames_are_not_early(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    even = await media_maker.numbered(tmp_path / "even.mp4", frames=30)
    source = tmp_path / f"source.{suffix}"
    await ffmpeg.run(["-i", even, *codec.split(), source])
    seen = await look(await film_of(source), range(30))

    assert [number(picture) for picture in seen.values()] == list(range(30))


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
async def test_a_cut_of_a_file_without_an_index_is_exact(suffix: str, tmp_path: Path) -> None:
    """A seek may land between two key frames, which are ten seconds apart here."""
    even = await media_maker.numbered(tmp_path / "even.mp4", frames=250, fps=25, sound="sine=f=440")
    source = tmp_path / f"source.{suffix}"
    codec = ["-c:v", "mpeg2video", "-q:v", "2", "-g", "250", "-sc_threshold", "1000000000", "-c:a", "mp2"]
    await ffmpeg.run(["-i", even, *codec, source])
    film = await film_of(source, offset="8", fps="25")
    seen = [number(picture) for picture in (await look(film, range(25))).values()]

    assert seen[0] in {199, 200}  # picture and sound may begin a little apart
    assert seen == list(range(seen[0], seen[0] + 25))
    left, _ = await listen(film)
    assert loudness(left, 0, 0.2) == pytest.approx(loudness(left, 0.5, 0.9), abs=1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
async def test_sound_is_heard_before_the_first_picture(suffix: str, tmp_path: Path) -> None:
    video = await media_maker.numbered(tmp_path / "video.mp4", frames=30)
    tone = await media_maker.tone(tmp_path / "tone.wav", "sine=f=500")
    source = tmp_path / f"source.{suffix}"
    late, both = ["-itsoffset", "0.5", "-i", str(video), "-i", str(tone)], ["-map", "0:v", "-map", "1:a"]
    await ffmpeg.run([*late, *both, "-c:v", "copy", "-c:a", "aac", source])
    film = await film_of(source, length="1.5")
    left, _ = await listen(film)

    assert pitch(left, 0.1, 0.4) == pytest.approx(500, abs=10)
    seen = await look(film, [0, 10, 30, 44])
    assert [number(picture) for picture in seen.values()][:2] == [0, 0]
    assert number(seen[30]) in {14, 15}  # by the run-up of the sound

    later = await film_of(source, offset="0.3")
    left, _ = await listen(later)
    assert pitch(left, 0.05, 0.15) == pytest.approx(500, abs=10)
    seen = await look(later, [0, 21])
    assert number(seen[0]) == 0
    assert number(seen[21]) in {14, 15}


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("ts", "mpeg2video"), ("mov", "prores_ks")]
)
async def test_what_moves_between_two_fields_has_no_combs(suffix: str, codec: str, tmp_path: Path) -> None:
    """A bar moves four pixels in a fiftieth of a second, and each frame shows it at two places."""
    moves = "nullsrc=s=320x180:r=50:d=1,geq=lum='16+219*between(X-N*4,0,80)':cb=128:cr=128,format=yuv420p"
    fields = ["-f", "lavfi", "-i", f"{moves},tinterlace=interleave_top", "-flags", "+ilme+ildct"]
    source = tmp_path / f"camcorder.{suffix}"
    await ffmpeg.run([*fields, "-c:v", codec, "-q:v", "2", source])
    film = await film_of(source, fps="25")

    for frame, picture in (await look(film, [1, 10, 20])).items():
        grey = picture.convert("L")
        rows = [grey.crop((0, y, 320, y + 1)).tobytes() for y in (80, 81, 82, 83)]
        assert all(row[8 * frame + 40] > 200 for row in rows)
        combs = max(abs(a - b) for above, below in pairwise(rows) for a, b in zip(above, below, strict=True))
        assert combs < 60, frame
