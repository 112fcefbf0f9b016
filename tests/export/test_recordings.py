"""Recordings of a browser: a WebM that was written while it was made says nowhere how long it is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from handlers.export.model import Film, Picture, Rendered, Sound, Source
from handlers.export.render.renderer import render
from listener.kit import ffmpeg, media

from .viewer import listen, look, loudness, number

_LIVE = (
    "-c:v",
    "libvpx",
    "-deadline",
    "realtime",
    "-crf",
    "4",
    "-b:v",
    "4M",
    "-c:a",
    "libopus",
    "-live",
    "1",
)


@pytest.fixture
async def recording(shelf: dict[str, Path], tmp_path: Path) -> Source:
    path = tmp_path / "recording.webm"
    await ffmpeg.run(["-i", shelf["count"], *_LIVE, "-f", "webm", path])
    return Source(path, await media.probe(path))


async def filmed(recording: Source, length: Fraction, offset: Fraction, folder: Path) -> Rendered:
    clip = ("me", Fraction(0), length, "me", offset)
    film = Film(320, 180, Fraction(30), length, (0, 0, 0), (Picture(*clip),), (Sound(*clip),))
    return await render(film, {"me": recording}, folder / "film.mp4", workdir=folder)


async def test_its_length_is_measured(recording: Source) -> None:
    assert recording.media.duration == pytest.approx(3, abs=0.05)


async def test_all_of_it_is_shown_and_heard_without_a_word(recording: Source, tmp_path: Path) -> None:
    film = await filmed(recording, Fraction(59, 30), Fraction(61, 60), tmp_path)

    seen = await look(film.path, (0, 30, 58))
    assert [number(picture) for picture in seen.values()] == [30, 60, 88]
    left, _ = await listen(film.path)
    assert loudness(left, 1.7, 1.9) == pytest.approx(loudness(left, 0.5, 0.7), abs=1)
    assert film.warnings == ()


async def test_a_clip_that_is_longer_is_named(recording: Source, tmp_path: Path) -> None:
    film = await filmed(recording, Fraction(3), Fraction(1), tmp_path)

    assert film.warnings == ("“me” is longer than its file: the last picture stays.",)
