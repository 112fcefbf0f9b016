"""Clips that touch in the editor touch in the film, at every pair of frame rates."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from handlers.export import opencut
from handlers.export.opencut.touching import GAP_SECONDS, equalled
from tests.support.timelines import Json, media, scenes, shot, ticks, timeline, track

from .conftest import Render
from .viewer import colour, look

BROADCAST = [Fraction(rate * 1000, 1001) for rate in (24, 30, 60)]
RATES = [*BROADCAST, *map(Fraction, (24, 25, 30, 50, 60, 7, 90, 120)), Fraction(25, 2), Fraction(2997, 125)]
ITEMS = {"a": "video"}
ONE_AFTER_THE_OTHER = [7, 11, 3, 1, 19, 23, 8, 5, 14, 2, 17, 29]


def document(kind: str, rate: Fraction, frames: list[int], *, rows: int = 1) -> Json:
    """Return clips of whole frames one after the other, as JavaScript adds them; they take turns in `rows` tracks."""
    elements: list[list[Json]] = [[] for _ in range(rows)]
    start = 0.0
    for number, count in enumerate(frames):
        length = count / float(rate)
        clip = (
            media("a", start, 100, trimEnd=100 - length) if kind == "timeline" else shot("a", start, length)
        )
        elements[number % rows].append(clip)
        start += length
    tracks = [track("media" if kind == "timeline" else "video", *row) for row in elements]
    if kind == "timeline":
        return timeline(*tracks, items=ITEMS)
    return scenes(*tracks, items=ITEMS) if kind == "scenes" else ticks(*tracks, items=ITEMS)


def spans(read: opencut.Timeline) -> list[tuple[int, int]]:
    film = read.film
    return sorted((film.frame(clip.start), film.frame(clip.end)) for clip in film.clips)


@given(
    kind=st.sampled_from(["timeline", "scenes", "ticks"]),
    edited=st.sampled_from(RATES),
    made=st.sampled_from(RATES),
    frames=st.lists(st.integers(1, 90), min_size=2, max_size=30),
    rows=st.integers(1, 2),
)
@example("timeline", Fraction(60), Fraction(30), ONE_AFTER_THE_OTHER, 1)
@example("scenes", Fraction(60), Fraction(30), ONE_AFTER_THE_OTHER, 2)
@example("scenes", Fraction(48000, 1001), Fraction(24000, 1001), ONE_AFTER_THE_OTHER, 1)
def test_clips_that_touch_in_the_editor_touch_in_the_film(
    kind: str, edited: Fraction, made: Fraction, frames: list[int], rows: int
) -> None:
    read = opencut.read(document(kind, edited, frames, rows=rows), width=320, height=180, fps=made)
    seen = spans(read)

    assert len(seen) == len(frames)
    assert seen[0][0] == 0
    assert all(first[1] == second[0] for first, second in itertools.pairwise(seen))
    assert seen[-1][1] == read.film.frame(read.film.duration)


@pytest.mark.parametrize("gap", [1e-12, 0.0004, 0.0009, -0.0009])
@pytest.mark.parametrize("kind", ["timeline", "scenes"])
def test_a_gap_that_the_editor_does_not_see_is_no_gap(kind: str, gap: float) -> None:
    parts: list[Json] = []
    for number in range(1, 60):  # each cut lies near the middle of a frame
        start = number / 30 + 1 / 60 + 0.0001
        end = (number + 1) / 30 + 1 / 60 + 0.0001 - gap
        length = end - start
        parts.append(
            media("a", start, length) if kind == "timeline" else shot("a", start, length, id=str(number))
        )
    made = timeline(track("media", *parts), items=ITEMS)
    if kind == "scenes":
        made = scenes(track("video", *parts), items=ITEMS)
    seen = spans(opencut.read(made, width=320, height=180, fps=30))

    assert all(first[1] == second[0] for first, second in itertools.pairwise(seen))


def test_a_gap_of_one_frame_stays() -> None:
    made = scenes(track("video", shot("a", 0, 1), shot("a", 1 + 1 / 30, 1, id="b")), items=ITEMS)

    assert spans(opencut.read(made, width=320, height=180, fps=30)) == [(0, 30), (31, 61)]


@given(st.lists(st.fractions(0, 2, max_denominator=5_000), min_size=1, max_size=60))
def test_equal_times_are_near_and_in_order(times: list[Fraction]) -> None:
    meant = equalled(times)

    assert all(0 <= time - meant(time) <= GAP_SECONDS for time in times)
    ordered = sorted(times)
    assert [meant(time) for time in ordered] == sorted(meant(time) for time in ordered)


@given(
    st.lists(st.integers(0, 3_000), min_size=1, max_size=40),
    st.lists(st.floats(-1e-10, 1e-10), min_size=80, max_size=80),
)
def test_noise_never_divides_times_that_are_whole_milliseconds(
    milliseconds: list[int], noise: list[float]
) -> None:
    pairs = [
        tuple(Fraction(each, 1000) + Fraction(noise[2 * number + side]) for side in (0, 1))
        for number, each in enumerate(milliseconds)
    ]
    meant = equalled(time for pair in pairs for time in pair)

    assert all(meant(one) == meant(other) for one, other in pairs)


@pytest.mark.parametrize("kind", ["timeline", "scenes"])
async def test_no_frame_of_the_background_is_seen_at_a_cut(
    make: Render, kind: str, shelf: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = document(kind, Fraction(60), ONE_AFTER_THE_OTHER)
    made["mediaItems"] = {"a": {"id": "a", "type": "image", "url": "teal"}}
    monkeypatch.setitem(shelf, "a", shelf["teal"])
    film = await make(made)

    assert film.frames in {69, 70}  # 139 frames of the editor
    for number, picture in (await look(film.path, range(film.frames))).items():
        assert min(colour(picture, 160, 90)[1:]) > 100, number
