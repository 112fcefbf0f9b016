"""Films of more clips than one run of FFmpeg may hold open: made in segments, they equal films made in one run."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from handlers.export.model import Curve, Film, FilmError, Key, Picture, Placement, Sound, Source
from handlers.export.render.renderer import render
from handlers.export.render.segments import divide
from listener.kit import media

from .test_commands import image, planned, video
from .viewer import colour, listen, look, loudness, near, number

CLIPS = 72
FRAME = Fraction(1, 30)


@pytest.fixture
async def sources(shelf: dict[str, Path]) -> dict[str, Source]:
    return {
        key: Source(shelf[key], await media.probe(shelf[key])) for key in ("count", "red", "mono", "disc")
    }


def many() -> Film:
    """72 clips of two frames, each another part of its source; over them one that slides from end to end."""
    length = 2 * FRAME
    row = [Picture(f"clip {n}", n * length, length, "count", offset=n * FRAME) for n in range(CLIPS)]
    whole = CLIPS * length
    place = Placement(
        x=Curve((Key(Fraction(0), -120.0), Key(whole, 120.0))),
        scale_x=Curve.fixed(0.2),
        scale_y=Curve.fixed(0.1),
    )
    slider = Picture("slider", Fraction(0), whole, "red", placement=place)
    voice = [Sound("tone", Fraction(0), whole, "count", rate=Fraction(3, 5))]
    hum = [Sound(f"hum {n}", n * length, length, "mono", gain=Curve.fixed(0.0001)) for n in range(CLIPS)]
    return Film(320, 180, Fraction(30), whole, (0, 0, 0), (*row, slider), (*voice, *hum))


async def test_many_clips_are_all_there_frame_by_frame(sources: dict[str, Source], tmp_path: Path) -> None:
    film, steps = many(), list[float]()
    made = await render(
        film,
        sources,
        tmp_path / "film.mp4",
        workdir=tmp_path,
        on_progress=lambda percent, message: steps.append(percent),
    )

    assert len(segments_in(tmp_path)) > 2, "this film was to be made in parts"
    assert made.frames == 2 * CLIPS
    seen = await look(made.path, [*range(0, 2 * CLIPS, 5), *range(120, 136)])
    for frame, picture in seen.items():
        assert number(picture.crop((0, 100, 320, 180))) == frame // 2 + frame % 2, frame
        x = 160 - 120 + 240 * frame / (2 * CLIPS)
        assert near(colour(picture, round(x), 90, 6), (200, 40, 60), 12), frame
    assert steps == sorted(steps)
    assert steps[-1] == 100

    left, _ = await listen(made.path)
    assert len(left) == pytest.approx(film.samples, abs=1024)
    levels = [loudness(left, 0.2 + n / 20, 0.25 + n / 20) for n in range(88)]
    assert max(levels) - min(levels) < 0.5
    steps = [abs(after - before) for before, after in pairwise(left[9_600:220_000])]
    assert max(steps) < 0.012  # a sine of 440 Hz and 1/8 moves by 0.0072 from sample to sample


async def test_what_is_already_there_is_not_made_again(sources: dict[str, Source], tmp_path: Path) -> None:
    film, keep = many(), tmp_path / "keep"
    keep.mkdir()

    async def attempt(name: str) -> dict[str, int]:
        """Return the modification times of the segments after an attempt with its own media folder."""
        folder = tmp_path / name
        folder.mkdir()
        fetched = {key: Source(folder / key, source.media) for key, source in sources.items()}
        for key, source in sources.items():
            fetched[key].path.hardlink_to(source.path)
        await render(film, fetched, folder / "film.mp4", workdir=folder, resume_in=keep)
        return {path.name: path.stat().st_mtime_ns for path in segments_in(keep)}

    first = await attempt("first")
    lost = min(first)
    (keep / lost).unlink()
    second = await attempt("second")

    assert second.keys() == first.keys()
    assert {name for name in first if first[name] != second[name]} == {lost}


def segments_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.mp4"))


def test_where_layers_are_blended_fewer_videos_are_open_at_once() -> None:
    row = [Picture(f"clip {n}", Fraction(n), Fraction(1), "hd") for n in range(16)]
    light = Picture("light", Fraction(8), Fraction(8), "small", placement=Placement(blend="screen"))
    media = {"hd": video(1920, 1080), "small": image(320, 180)}

    def ends(*clips: Picture) -> list[Fraction]:
        film = Film(1920, 1080, Fraction(30), Fraction(16), (0, 0, 0), clips, ())
        return [part.end / film.fps for part in divide(planned(film, media))]

    assert ends(*row) == [4, 8, 12, 16]
    assert ends(*row, light) == [4, 8, 9, 10, 11, 12, 13, 14, 15, 16]


async def test_too_many_elements_at_once_are_refused(sources: dict[str, Source], tmp_path: Path) -> None:
    clips = [Picture(f"clip {n}", Fraction(0), Fraction(1), "disc") for n in range(251)]
    film = Film(320, 180, Fraction(30), Fraction(1), (0, 0, 0), tuple(clips), ())

    with pytest.raises(FilmError, match="251 elements are seen at the same time; at most 250"):
        await render(film, sources, tmp_path / "film.mp4", workdir=tmp_path)
