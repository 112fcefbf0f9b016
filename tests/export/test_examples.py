"""The projects in `examples/timelines`: each is what its generator makes, and becomes a film."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from handlers.export import opencut, render, sources

from .viewer import colour, listen, look, loudness

FOLDER = Path(__file__).parents[2] / "examples" / "timelines"
NAMES = ["scenes.json", "ticks.json", "timeline.json"]


def test_the_generator_makes_what_lies_beside_it(tmp_path: Path) -> None:
    runpy.run_path(str(FOLDER / "make.py"))["write"](tmp_path)

    assert sorted(path.name for path in FOLDER.glob("*.json")) == NAMES
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
async def test_an_example_becomes_a_film(name: str, tmp_path: Path) -> None:
    timeline = opencut.read(json.loads((FOLDER / name).read_bytes()), width=160, height=90, fps=10)
    found = await sources.collect(timeline.media, tmp_path, owner="")
    film = await render(timeline.film, found, tmp_path / "film.mp4", workdir=tmp_path)

    assert timeline.warnings == []
    assert film.frames == timeline.film.frames
    first, last = (await look(film.path, (0, film.frames - 1))).values()
    assert all(sum(colour(picture, 20, 45)) > 60 for picture in (first, last))  # it reaches the edge
    left, _ = await listen(film.path)
    assert loudness(left, 1, 1.2) > -30
    assert loudness(left, 2.1, 2.9) < -80
