"""The encoding of films, and their posters."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from handlers.export.model import Film, Format, Output, Picture, Quality, Rendered, Sound, Source
from handlers.export.render.poster import poster
from handlers.export.render.renderer import render
from listener.kit import media

from .viewer import colour, listen, look, loudness, near, number

CODECS = {"mp4": ("h264", "aac"), "webm": ("vp9", "opus")}


async def made(shelf: dict[str, Path], folder: Path, output: Output) -> Rendered:
    sources = {key: Source(shelf[key], await media.probe(shelf[key])) for key in ("count", "red")}
    half = Fraction(1, 2)
    clips = Picture("count", Fraction(0), half, "count"), Picture("red", half, Fraction(1), "red")
    sound = Sound("tone", Fraction(0), Fraction(1), "count")
    film = Film(320, 180, Fraction(30), Fraction(3, 2), (0, 0, 0), clips, (sound,))
    return await render(film, sources, folder / f"film.{output.format}", workdir=folder, output=output)


@pytest.mark.parametrize("format_", ["mp4", "webm"])
@pytest.mark.parametrize("sound", [True, False])
async def test_each_format_shows_and_plays_the_film(
    format_: Format, sound: bool, shelf: dict[str, Path], tmp_path: Path
) -> None:
    film = await made(shelf, tmp_path, Output(format=format_, sound=sound))
    found = await media.probe(film.path, count_frames=True)

    assert film.frames == 45
    assert found.video is not None
    assert found.video.codec == CODECS[format_][0]
    assert found.video.matrix == "bt709"
    assert (found.audio.codec if found.audio else None) == (CODECS[format_][1] if sound else None)
    seen = await look(film.path, (0, 14, 15, 44))
    assert [number(seen[frame]) for frame in (0, 14)] == [0, 14]
    assert near(colour(seen[15], 160, 90), (200, 40, 60))
    assert near(colour(seen[44], 160, 90), (200, 40, 60))
    if sound:
        left, _ = await listen(film.path)
        assert loudness(left, 0.1, 0.9) > -25
        assert loudness(left, 1.1, 1.4) < -60


async def test_a_better_quality_takes_more_room(shelf: dict[str, Path], tmp_path: Path) -> None:
    qualities: tuple[Quality, ...] = ("low", "medium", "high", "very_high")
    sizes = [(await made(shelf, tmp_path, Output(quality=quality))).size for quality in qualities]

    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


async def test_the_still_of_a_large_film_keeps_nobody_waiting_for_its_progress(
    shelf: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "handlers.export.render.renderer._STILL_WITHIN_PIXELS", 0
    )  # so that this one is large
    sources = {"red": Source(shelf["red"], await media.probe(shelf["red"]))}
    length, still, there = Fraction(2), tmp_path / "still.jpg", list[bool]()
    film = Film(320, 180, Fraction(30), length, (0, 0, 0), (Picture("red", Fraction(0), length, "red"),), ())
    await render(
        film,
        sources,
        tmp_path / "film.mp4",
        workdir=tmp_path,
        still=still,
        on_progress=lambda *_: there.append(still.exists()),
    )
    assert there
    assert not any(there)
    with Image.open(still) as picture:
        assert near(colour(picture.convert("RGB"), 160, 90), (200, 40, 60))


async def test_a_poster_shows_the_frame_at_its_time(shelf: dict[str, Path], tmp_path: Path) -> None:
    film = await made(shelf, tmp_path, Output())

    for at, wanted in ((Fraction(0), 0), (Fraction(1, 3), 10), (Fraction(14, 30), 14)):
        with Image.open(await poster(film, tmp_path / "poster.jpg", at=at)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (320, 180))
            assert number(picture.convert("RGB")) == wanted
    with Image.open(await poster(film, tmp_path / "poster.jpg", at=Fraction(99))) as picture:
        assert near(colour(picture.convert("RGB"), 160, 90), (200, 40, 60))
    with Image.open(await poster(film, tmp_path / "chosen.jpg")) as picture:
        assert near(colour(picture.convert("RGB"), 160, 90), (200, 40, 60))  # most of the film
