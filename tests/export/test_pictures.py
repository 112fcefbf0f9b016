"""Pictures that FFmpeg reads wrongly or not at all become ones that all releases read."""

from __future__ import annotations

from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from handlers.export.intake.pictures import readable
from handlers.export.model import FilmError
from listener.kit import media


def animated(path: Path) -> Path:
    """Three frames of 64 × 36, of 200, 300 and 100 ms, the last one half transparent."""
    colours = [(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 128)]
    first, *others = (Image.new("RGBA", (64, 36), colour) for colour in colours)
    first.save(
        path,
        format="WEBP",
        save_all=True,
        append_images=others,
        duration=[200, 300, 100],
        loop=0,
        lossless=True,
    )
    return path


async def test_frames_times_and_transparency_stay(tmp_path: Path) -> None:
    given = animated(tmp_path / "in0.bin")
    before = given.read_bytes()
    path = await readable(given, tmp_path / "in0", "sticker")

    assert given.read_bytes() == before
    found = (await media.probe(path)).video
    assert found is not None
    assert (found.codec, found.is_image, found.has_alpha) == ("apng", False, True)
    with Image.open(path) as picture:
        seen = []
        for number in range(3):
            picture.seek(number)
            seen.append((picture.info["duration"], picture.convert("RGBA").getpixel((30, 20))))
    assert seen == [(200, (255, 0, 0, 255)), (300, (0, 255, 0, 255)), (100, (0, 0, 255, 128))]


async def test_stills_and_other_files_are_left_alone(tmp_path: Path) -> None:
    still = tmp_path / "still.bin"
    Image.new("RGBA", (64, 36), "red").save(still, format="WEBP")
    words = tmp_path / "words.bin"
    words.write_text("RIFF")

    for path in (still, words):
        assert await readable(path, tmp_path / "made.png", path.name) == path
    assert not (tmp_path / "made.png").exists()


async def test_a_photograph_that_was_not_uploaded_whole_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in0.bin"
    pillow_heif.from_pillow(Image.effect_noise((1600, 900), 90).convert("RGB")).save(path, tile_size=512)
    path.write_bytes(path.read_bytes()[:-2000])

    with pytest.raises(FilmError, match="The media “photo” can't be used: it is an HEIC that is broken"):
        await readable(path, tmp_path / "in0", "photo")


async def test_a_broken_one_is_named(tmp_path: Path) -> None:
    path = animated(tmp_path / "in0.bin")
    path.write_bytes(path.read_bytes()[:60])

    with pytest.raises(
        FilmError, match="The media “sticker” can't be used: it is an animated WebP that is broken"
    ):
        await readable(path, tmp_path / "in0", "sticker")
