"""Placement, rotation, wipes, fades and blending of clips, compared pixel by pixel with plain arithmetic."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import anyio
import pytest
from PIL import Image

from handlers.export.model import Curve, Film, Key, Output, Picture, Placement, Rendered, Source
from handlers.export.render.renderer import render
from listener.kit import media
from tests.support.media import pixel

from . import media_maker
from .media_maker import QUARTERS
from .placing import BACKGROUND, FPS, HEIGHT, MOVING, STATIC, WIDTH, at, expected, fixed, line
from .viewer import colour, look, near

LIGHT = {c: Image.new("RGB", (1, 1), c).convert("L").tobytes()[0] for c in (BACKGROUND, *QUARTERS)}
Show = Callable[..., Awaitable[dict[int, Image.Image]]]


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """Four colours as a still, a video, and a still with an alpha channel; and one colour to lie beneath."""
    return anyio.run(_made, tmp_path_factory.mktemp("quarters"))


async def _made(folder: Path) -> dict[str, Source]:
    still = media_maker.quartered(folder / "still.png")
    video = await media_maker.quartered_video(folder / "video.mp4")
    clear = folder / "alpha.png"
    Image.open(still).convert("RGBA").save(clear)
    red = media_maker.still(folder / "base.png", (180, 90, 40))
    paths = {"still": still, "video": video, "alpha": clear, "base": red}
    return {name: Source(path, await media.probe(path)) for name, path in paths.items()}


@pytest.fixture
def show(quarters: dict[str, Source], tmp_path: Path) -> Show:
    """The frames with these numbers of a film of these clips."""

    async def show(clips: Sequence[Picture], frames: Sequence[int]) -> dict[int, Image.Image]:
        end = max(clip.end for clip in clips)
        film = Film(WIDTH, HEIGHT, FPS, end, BACKGROUND, tuple(clips), ())
        made: Rendered = await render(
            film, quarters, tmp_path / "film.mp4", workdir=tmp_path, output=Output(quality="very_high")
        )
        return await look(made.path, frames)

    return show


def assert_drawn(picture: Image.Image, placement: Placement, frame: int, name: str = "") -> None:
    """Light is sharp to the pixel; colour, of which a film has half as many samples, spreads a little."""
    light = picture.convert("L").convert("RGB")
    wrong: list[tuple[object, ...]] = []
    for y in range(1, HEIGHT, 5):
        for x in range(1, WIDTH, 5):
            if wanted := expected(placement, frame, x, y, 2):
                seen = pixel(light, x, y)
                if not near(seen, pixel(Image.new("RGB", (1, 1), wanted).convert("L"), 0, 0), 24):
                    wrong.append((x, y, seen, wanted))
            if wanted := expected(placement, frame, x, y, 6):
                seen = pixel(picture, x, y)
                if not near(seen, wanted, 18):
                    wrong.append((x, y, seen, wanted))
    assert not wrong, f"{name}, frame {frame}: {len(wrong)} points, the first is {wrong[0]}"


def in_a_row(places: Iterable[Placement], source: str, length: Fraction) -> list[Picture]:
    return [Picture("clip", n * length, length, source, placement=place) for n, place in enumerate(places)]


@pytest.mark.parametrize("source", ["still", "video", "alpha"])
async def test_a_placed_picture_lies_where_it_should(source: str, show: Show) -> None:
    seen = await show(in_a_row(STATIC.values(), source, Fraction(1, 10)), range(1, 3 * len(STATIC), 3))

    for number, (name, place) in enumerate(STATIC.items()):
        assert_drawn(seen[3 * number + 1], place, 1, name)


async def test_a_picture_that_lies_outside_is_not_seen(show: Show) -> None:
    places = [
        fixed(x=400),
        fixed(x=-5000, rotation=20),
        fixed(y=1e9),
        fixed(scale_x=0.0, scale_y=0.0, rotation=3),
    ]
    clips = [Picture("clip", Fraction(0), Fraction(1, 10), "video", placement=place) for place in places]
    seen = await show(clips, [1])

    assert near(colour(seen[1], 100, 100, 40), BACKGROUND)


@pytest.mark.parametrize("source", ["still", "video", "alpha"])
async def test_a_moving_picture_is_in_each_frame_where_it_should(source: str, show: Show) -> None:
    inside = [0, 1, 14, 15, 29]
    frames = [30 * number + frame for number in range(len(MOVING)) for frame in inside]
    seen = await show(in_a_row(MOVING.values(), source, Fraction(1)), frames)

    for number, (name, place) in enumerate(MOVING.items()):
        for frame in inside:
            assert_drawn(seen[30 * number + frame], place, frame, name)


@pytest.mark.parametrize("largest", [1.001, 1.01])
async def test_a_picture_that_grows_fills_the_film_from_its_first_frame_on(
    largest: float, show: Show
) -> None:
    grow = line((0, 1), (1, largest))
    base = Picture(
        "base", Fraction(0), Fraction(1, 10), "base", placement=Placement(scale_x=grow, scale_y=grow)
    )
    (frame,) = (await show([base], [0])).values()

    edges = [(0, 90), (1, 90), (WIDTH - 1, 90), (160, 0), (160, 1), (160, HEIGHT - 1)]
    colours = [pixel(frame, x, y) for x, y in edges]
    assert all(near(one, (180, 90, 40), 12) for one in colours), colours


async def test_motion_counts_from_the_clips_own_start(show: Show) -> None:
    place = MOVING["slides"]
    seen = await show([Picture("clip", Fraction(1, 3), Fraction(1), "video", placement=place)], [9, 10, 25])

    assert near(colour(seen[9], 160, 90, 100), BACKGROUND)
    assert_drawn(seen[10], place, 0)
    assert_drawn(seen[25], place, 15)


@pytest.mark.parametrize("source", ["still", "video"])
@pytest.mark.parametrize("turned", [0, 10])
async def test_opacity_follows_its_curve_frame_by_frame(source: str, turned: int, show: Show) -> None:
    keys = (Key(Fraction(0), 0.0), Key(Fraction(1, 2), 1.0, stepped=True), Key(Fraction(4, 5), 0.25))
    place = Placement(opacity=Curve(keys), rotation=Curve.fixed(turned))
    frames = [0, 1, 5, 14, 15, 23, 24, 29]
    seen = await show([Picture("clip", Fraction(0), Fraction(1), source, placement=place)], frames)

    for frame in frames:
        share = at(place.opacity, frame)
        wanted = [round(b + (c - b) * share) for b, c in zip(BACKGROUND, QUARTERS[0], strict=True)]
        assert near(colour(seen[frame], 100, 50), (wanted[0], wanted[1], wanted[2])), frame


@pytest.mark.parametrize("source", ["still", "video", "alpha"])
async def test_a_wipe_reveals_the_film_from_one_side(source: str, show: Show) -> None:
    half = fixed(scale_x=0.5, scale_y=0.5)
    reveal = line((0, 0), (0.4, 1))
    places = [
        Placement(reveal=reveal),
        replace(half, reveal=reveal, side="right", x=Curve.fixed(-40)),
        replace(half, reveal=reveal, side="top", y=Curve.fixed(21)),
        Placement(reveal=reveal, side="bottom", scale_x=Curve.fixed(-1)),
        replace(half, reveal=reveal, side="bottom", x=line((0, -60), (1, 60))),
        replace(half, reveal=reveal, side="right", y=line((0, -40), (1, 40))),
        replace(half, reveal=reveal, side="top", rotation=Curve.fixed(30)),
    ]
    length, inside = Fraction(1, 2), [0, 1, 5, 9, 14]
    frames = [15 * number + frame for number in range(len(places)) for frame in inside]
    seen = await show(in_a_row(places, source, length), frames)

    for number, place in enumerate(places):
        for frame in inside:
            share = at(reveal, frame)
            for x, y in ((x, y) for y in range(4, HEIGHT, 9) for x in range(4, WIDTH, 9)):
                far = {"left": x, "right": WIDTH - x, "top": y, "bottom": HEIGHT - y}[place.side]
                edge = share * (WIDTH if place.side in {"left", "right"} else HEIGHT)
                wanted = expected(place, frame, x, y, 6)
                if wanted and abs(far - edge) > 6:
                    wanted = wanted if far < edge else BACKGROUND
                    pixel = colour(seen[15 * number + frame], x, y, 2)
                    assert near(pixel, wanted, 12), (place.side, frame, x, y)


async def test_cover_fills_the_film_and_crops(show: Show, quarters: dict[str, Source]) -> None:
    tall = media_maker.quartered(quarters["still"].path.with_name("tall.png"), (90, 160))
    quarters["tall"] = Source(tall, await media.probe(tall))
    seen = await show([Picture("clip", Fraction(0), Fraction(1), "tall", fit="cover")], [1])

    points = [(10, 10), (310, 10), (10, 170), (310, 170)]
    assert all(near(colour(seen[1], x, y), QUARTERS[index]) for index, (x, y) in enumerate(points))


async def test_blur_softens_edges_and_keeps_colours(show: Show) -> None:
    place = fixed(scale_x=1.1, scale_y=1.1)
    blur = 12.0, 12.0
    clip = Picture("clip", Fraction(0), Fraction(1, 10), "video", fit="cover", blur=blur, placement=place)
    seen = await show([clip], [1])

    left, middle, right = (colour(seen[1], x, 40, 4) for x in (60, 160, 260))
    assert near(left, QUARTERS[0])
    assert near(right, QUARTERS[1])
    between = [(a + b) // 2 for a, b in zip(QUARTERS[0], QUARTERS[1], strict=True)]
    assert near(middle, (between[0], between[1], between[2]), 14)


@pytest.mark.parametrize("source", ["still", "video", "alpha"])
async def test_a_blur_is_as_wide_as_it_says_in_both_directions(source: str, show: Show) -> None:
    blur = 6.0, 15.0
    clip = Picture("clip", Fraction(0), Fraction(1, 10), source, fit="cover", blur=blur)
    (frame,) = (await show([clip], [1])).values()

    for sigma in (-1.5, -0.7, 0.7, 1.5):  # across an edge a blur is the normal distribution
        share = (1 + math.erf(sigma / math.sqrt(2))) / 2
        for x, y, first, last in (
            (160 + round(sigma * blur[0]), 30, QUARTERS[0], QUARTERS[1]),
            (80, 90 + round(sigma * blur[1]), QUARTERS[0], QUARTERS[2]),
        ):
            wanted = [round(a + (b - a) * share) for a, b in zip(first, last, strict=True)]
            assert near(colour(frame, x, y, 2), (wanted[0], wanted[1], wanted[2]), 12), (sigma, x, y)
