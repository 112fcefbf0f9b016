"""The colours of blended layers, against the formulas of W3C compositing on the colours as they are coded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from handlers.export.model import Blend, Film, Output, Picture, Placement, Source
from handlers.export.render.renderer import render
from listener.kit import media
from tests.support.media import Colour

from . import media_maker
from .media_maker import BARS, QUARTERS
from .placing import BACKGROUND, FPS, HEIGHT, MOVING, STATIC, WIDTH, expected, fixed
from .viewer import colour, look, near, number

# Saturated, dark, bright and grey ones, and both sides of the middle, where `overlay` changes its formula.
COLOURS = (
    *((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)),
    *((0, 0, 0), (12, 20, 33), (127, 128, 129), (200, 200, 200), (245, 250, 230), (90, 140, 200)),
)
PATCH = 24
SIDE = PATCH * len(COLOURS)
MODES: tuple[Blend, ...] = ("multiply", "screen", "overlay")
OPACITIES = (1.0, 0.5, 0.3)
SPAN = 2 / FPS


def patches(path: Path, *, upright: bool) -> Path:
    """A stripe of each colour."""
    picture = Image.new("RGB", (len(COLOURS), 1))
    picture.putdata(COLOURS)
    picture = picture if upright else picture.transpose(Image.Transpose.TRANSPOSE)
    picture.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(path)
    return path


def mixed(mode: str, base: Colour, above: Colour, opacity: float) -> Colour:
    def one(below: float, above: float) -> float:
        if mode == "multiply":
            return below * above
        if mode == "screen":
            return below + above - below * above
        return 2 * below * above if below <= 0.5 else 1 - 2 * (1 - below) * (1 - above)

    channels = [
        round(255 * ((1 - opacity) * b / 255 + opacity * one(b / 255, c / 255)))
        for b, c in zip(base, above, strict=True)
    ]
    return channels[0], channels[1], channels[2]


async def made(
    clips: Sequence[Picture], paths: Iterable[Path], folder: Path, frames: Sequence[int]
) -> dict[int, Image.Image]:
    sources = {path.stem: Source(path, await media.probe(path)) for path in paths}
    film = Film(SIDE, SIDE, FPS, max(clip.end for clip in clips), (0, 0, 0), tuple(clips), ())
    output = Output(quality="very_high")
    await render(film, sources, folder / "film.mp4", workdir=folder, output=output)
    return await look(folder / "film.mp4", frames)


def assert_mixed(picture: Image.Image, mode: str, opacity: float, below: Sequence[Colour]) -> None:
    wrong = []
    for column, base in enumerate(below):
        for row, above in enumerate(COLOURS):
            seen = colour(picture, column * PATCH + PATCH // 2, row * PATCH + PATCH // 2, PATCH // 2)
            wanted = mixed(mode, base, above, opacity)
            if not near(seen, wanted, 3):
                wrong.append((base, above, seen, wanted))
    assert not wrong, f"{mode}, {opacity}: {len(wrong)} colours, the first is {wrong[0]}"


async def test_each_colour_is_blended_with_each_as_in_a_browser(tmp_path: Path) -> None:
    """All modes in a row, each for two frames, and at the end two frames without a layer."""
    base, above = (patches(tmp_path / f"{name}.png", upright=name == "base") for name in ("base", "above"))
    cases = [(mode, opacity) for mode in MODES for opacity in OPACITIES]
    clips = [Picture("base", Fraction(0), SPAN * (len(cases) + 1), "base")] + [
        Picture("clip", SPAN * n, SPAN, "above", placement=replace(fixed(opacity=opacity), blend=mode))
        for n, (mode, opacity) in enumerate(cases)
    ]
    seen = await made(clips, [base, above], tmp_path, range(2 * len(cases) + 2))

    for n, (mode, opacity) in enumerate(cases):
        for frame in (2 * n, 2 * n + 1):
            assert_mixed(seen[frame], mode, opacity, COLOURS)
    for frame in (2 * len(cases), 2 * len(cases) + 1):
        assert_mixed(seen[frame], "multiply", 0.0, COLOURS)


async def test_a_video_is_blended_with_the_colours_that_it_has(tmp_path: Path) -> None:
    """Its own coding changes them a little: what counts is what a player shows of it."""
    above = patches(tmp_path / "above.png", upright=False)
    video = await media_maker.filmed(patches(tmp_path / "base.png", upright=True), tmp_path / "base.mp4")
    shown = (await look(video, [3]))[3]
    below = [colour(shown, n * PATCH + PATCH // 2, SIDE // 2, PATCH // 2) for n in range(len(COLOURS))]
    clips = [
        Picture("base", Fraction(0), SPAN * len(MODES), "base"),
        *(
            Picture("clip", SPAN * n, SPAN, "above", placement=Placement(blend=mode))
            for n, mode in enumerate(MODES)
        ),
    ]
    seen = await made(clips, [video, above], tmp_path, range(1, 2 * len(MODES), 2))

    for n, mode in enumerate(MODES):
        assert_mixed(seen[2 * n + 1], mode, 1.0, below)


@pytest.mark.parametrize("mode", MODES)
async def test_where_a_layer_is_clear_nothing_changes(mode: Blend, tmp_path: Path) -> None:
    ramp = tmp_path / "ramp.png"
    Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(ramp)
    small = replace(fixed(scale_x=0.1, scale_y=0.1), blend=mode)
    clips = [
        Picture("base", Fraction(0), 2 * SPAN, "ramp"),
        Picture("clip", SPAN, SPAN, "ramp", placement=small),
    ]
    seen = await made(clips, [ramp], tmp_path, [1, 2])

    for y in range(SIDE):
        assert near(colour(seen[2], 20, y, 2), colour(seen[1], 20, y, 2), 1)


@pytest.mark.parametrize("source", ["still", "alpha"])
async def test_a_blended_picture_lies_where_any_other_would(source: str, tmp_path: Path) -> None:
    """Multiplied with white it looks as it is."""
    still = media_maker.quartered(tmp_path / "still.png")
    if source == "alpha":
        Image.open(still).convert("RGBA").save(still)
    length, places = Fraction(1), {**STATIC, **MOVING}
    clips = [
        Picture("clip", n * length, length, "still", placement=replace(place, blend="multiply"))
        for n, place in enumerate(places.values())
    ]
    sources = {"still": Source(still, await media.probe(still))}
    film = Film(WIDTH, HEIGHT, FPS, length * len(clips), (255, 255, 255), tuple(clips), ())
    await render(film, sources, tmp_path / "film.mp4", workdir=tmp_path)
    frames = [30 * n + frame for n in range(len(clips)) for frame in (0, 14, 29)]
    seen = await look(tmp_path / "film.mp4", frames)

    for n, (name, place) in enumerate(places.items()):
        for frame in (0, 14, 29):
            for x, y in ((x, y) for x in range(3, WIDTH, 16) for y in range(3, HEIGHT, 16)):
                if wanted := expected(place, frame, x, y, 6):
                    wanted = (255, 255, 255) if wanted == BACKGROUND else wanted
                    pixel = colour(seen[30 * n + frame], x, y, 2)
                    assert near(pixel, wanted, 18), (name, frame, x, y, pixel, wanted)


async def test_a_blended_picture_is_faded_and_wiped(tmp_path: Path) -> None:
    still = media_maker.still(tmp_path / "still.png", QUARTERS[2])
    sources = {"still": Source(still, await media.probe(still))}
    half = replace(fixed(opacity=0.5, reveal=0.5), blend="multiply")
    clip = Picture("clip", Fraction(0), SPAN, "still", placement=half)
    film = Film(WIDTH, HEIGHT, FPS, SPAN, (200, 200, 200), (clip,), ())
    await render(film, sources, tmp_path / "film.mp4", workdir=tmp_path, output=Output(quality="very_high"))
    frame = (await look(tmp_path / "film.mp4", [0]))[0]

    assert near(colour(frame, 80, 90, 40), mixed("multiply", (200, 200, 200), QUARTERS[2], 0.5), 3)
    assert near(colour(frame, 240, 90, 40), (200, 200, 200), 3)


async def test_a_blended_video_shows_each_frame_in_its_turn(tmp_path: Path) -> None:
    """From the middle of the film on, and but where another picture hides it."""
    count = await media_maker.numbered(tmp_path / "count.mp4", frames=12)
    grey = media_maker.still(tmp_path / "grey.png", (250, 250, 250))
    sources = {path.stem: Source(path, await media.probe(path)) for path in (count, grey)}
    clips = (
        Picture("count", 3 / FPS, 12 / FPS, "count", placement=Placement(blend="multiply")),
        Picture("hides", 7 / FPS, 2 / FPS, "grey"),
    )
    film = Film(WIDTH, HEIGHT, FPS, 20 / FPS, (255, 255, 255), clips, ())
    await render(film, sources, tmp_path / "film.mp4", workdir=tmp_path)
    seen = await look(tmp_path / "film.mp4", range(20))

    blank = 2**BARS - 1  # all white
    wanted = [blank] * 3 + [0, 1, 2, 3, blank, blank, 6, 7, 8, 9, 10, 11] + [blank] * 5
    assert [number(picture) for picture in seen.values()] == wanted
