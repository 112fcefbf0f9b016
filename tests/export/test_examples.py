"""The projects in `examples/timelines`: each is what its generator makes, and becomes a film."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from handlers.export.local import render_file

from .viewer import colour, listen, look, loudness

FOLDER = Path(__file__).parents[2] / "examples" / "timelines"
NAMES = ["scenes.json", "ticks.json", "timeline.json"]


def test_the_generator_makes_what_lies_beside_it(tmp_path: Path) -> None:
    runpy.run_path(str(FOLDER / "make.py"))["write"](tmp_path)

    assert sorted(path.name for path in FOLDER.glob("*.json")) == NAMES
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
async def test_an_example_becomes_a_film_that_looks_like_its_poster(name: str, tmp_path: Path) -> None:
    still = tmp_path / "poster.jpg"
    film = await render_file(FOLDER / name, tmp_path / "film.mp4", still=still)

    assert [warning for warning in film.warnings if "is not installed" not in warning] == []
    assert differing(still, (FOLDER / name).with_suffix(".jpg")) < 12
    first, last = (await look(film.path, (0, film.frames - 1))).values()
    assert all(sum(colour(picture, 80, 180)) > 60 for picture in (first, last))  # it reaches the edge
    left, _ = await listen(film.path)
    assert loudness(left, 1, 1.2) > -30
    assert loudness(left, 2.1, 2.9) < -80


def differing(one: Path, other: Path) -> float:
    """The largest difference of a region of two pictures, 0 to 255; regions are so large that fonts may differ."""
    with Image.open(one) as first, Image.open(other) as second:
        assert first.size == second.size
        regions = [picture.convert("RGB").resize((4, 3), Image.Resampling.BOX) for picture in (first, second)]
    return max(max(band.tobytes()) for band in ImageChops.difference(*regions).split())
