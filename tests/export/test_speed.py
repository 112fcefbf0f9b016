"""Speed, loops and levels: which source frame is on the screen when, and how high and how loud a sound is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from handlers.export.model import Curve, Film, Key, Picture, Rendered, Sound, Source
from handlers.export.render.renderer import render
from listener.kit import media

from .media_maker import tone
from .viewer import colour, listen, look, loudness, near, number, pitch

Made = Callable[..., Awaitable[Rendered]]


@pytest.fixture
def made(shelf: dict[str, Path], tmp_path: Path) -> Made:
    """A film of these clips and sounds, of media on the shelf or named by their paths."""

    async def made(clips: Sequence[Picture] = (), sounds: Sequence[Sound] = (), *, fps: int = 30) -> Rendered:
        names = {clip.source for clip in clips} | {sound.source for sound in sounds}
        paths = {name: shelf.get(name, Path(name)) for name in names}
        sources = {name: Source(path, await media.probe(path)) for name, path in paths.items()}
        end = max(clip.end for clip in (*clips, *sounds))
        film = Film(320, 180, Fraction(fps), end, (0, 0, 0), tuple(clips), tuple(sounds))
        return await render(film, sources, tmp_path / "film.mp4", workdir=tmp_path)

    return made


def seconds(text: str) -> Fraction:
    return Fraction(text)


@pytest.mark.parametrize("rate", ["1/20", "1/2", "3/4", "2", "20"])
async def test_each_frame_of_a_faster_or_slower_clip_is_the_right_one(rate: str, made: Made) -> None:
    speed = Fraction(rate)
    length = min(Fraction(1), Fraction(2) / speed)
    film = await made([Picture("clip", Fraction(0), length, "count", offset=seconds("0.5"), rate=speed)])

    seen = await look(film.path, range(film.frames))
    shown = [number(picture) for picture in seen.values()]
    assert shown == [15 + int(frame * speed) for frame in range(film.frames)]


async def test_a_frozen_clip_shows_one_frame(made: Made) -> None:
    frozen = Picture("clip", Fraction(0), Fraction(1, 2), "slow", offset=seconds("0.77"), rate=Fraction(0))
    film = await made([frozen])

    assert {number(picture) for picture in (await look(film.path, (0, 7, 14))).values()} == {7}


@pytest.mark.parametrize("suffix", ["gif", "apng"])
async def test_an_animation_starts_over(suffix: str, made: Made, tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    frames = [Image.new("RGB", (64, 36), shade) for shade in colours]
    path = tmp_path / f"moving.{suffix}"
    format_ = "GIF" if suffix == "gif" else "PNG"
    frames[0].save(
        path, format=format_, save_all=True, append_images=frames[1:], duration=[200, 300, 100], loop=0
    )
    film = await made([Picture("clip", Fraction(0), Fraction(2), str(path), offset=seconds("0.6"))])

    times = {0.1: 0, 0.3: 1, 0.55: 2, 0.7: 0, 0.95: 1, 1.15: 2, 1.3: 0, 1.9: 0}
    seen = await look(film.path, [round(time * 30) for time in times])
    for time, wanted in times.items():
        assert near(colour(seen[round(time * 30)], 160, 90), colours[wanted], 6), time
    assert film.warnings == ()


@pytest.mark.parametrize(
    ("rate", "keep", "wanted"),
    [("2", True, 600), ("1/2", True, 600), ("2", False, 1200), ("0.8", False, 480)],
)
async def test_pitch_is_kept_or_follows_the_speed(
    rate: str, keep: bool, wanted: float, made: Made, tmp_path: Path
) -> None:
    film = await made(
        sounds=[Sound("voice", Fraction(0), Fraction(1), "mono", rate=Fraction(rate), keep_pitch=keep)]
    )
    left, right = await listen(film.path)

    assert pitch(left, 0.1, 0.9) == pytest.approx(wanted, abs=4)
    assert loudness(left, 0.1, 0.9) == pytest.approx(-27.1, abs=1)
    assert loudness(right, 0.1, 0.9) == pytest.approx(loudness(left, 0.1, 0.9), abs=0.1)


@pytest.mark.parametrize("rate", ["1/3", "4/5", "3/2", "5"])
@pytest.mark.parametrize("keep", [True, False])
async def test_a_sound_of_another_speed_stays_in_time(
    rate: str, keep: bool, made: Made, tmp_path: Path
) -> None:
    speed = Fraction(rate)
    end = f"lt(t\\,{float(6 + speed * 2 / 5)})"
    wave = f"aevalsrc=0.5*sin(2*PI*900*t)*gte(t\\,6)*{end}:s=48000"
    path = await tone(tmp_path / "pulse.wav", wave, seconds=16)
    before = Fraction(1, 2) / speed  # of the film, from the beginning of the clip to that of the tone
    pulse = Sound("pulse", Fraction(1, 4), before + 1, str(path), seconds("5.5"), speed, keep)
    left, _ = await listen((await made(sounds=[pulse])).path)

    energy = sum(sample * sample for sample in left)
    middle = sum(n * sample * sample for n, sample in enumerate(left)) / energy / 48_000
    assert middle == pytest.approx(float(before) + 0.25 + 0.2, abs=0.02)


async def test_gain_follows_its_curve_without_steps(made: Made) -> None:
    fade = (
        Key(Fraction(0), 0.0),
        Key(Fraction(1), 1.0),
        Key(Fraction(3, 2), 1.0, stepped=True),
        Key(Fraction(7, 4), 0.25),
    )
    film = await made(sounds=[Sound("tone", Fraction(1, 2), Fraction(2), "mono", gain=Curve(fade))])
    left, _ = await listen(film.path)

    full = -27.1
    for time, wanted in ((0.25, -12.04), (0.5, -6.02), (0.75, -2.5), (1.2, 0), (1.72, 0), (1.9, -12.04)):
        assert loudness(left, 0.5 + time - 0.02, 0.5 + time + 0.02) == pytest.approx(
            full + wanted, abs=0.6
        ), time
    assert loudness(left, 0, 0.5) < -70


async def test_a_gain_above_one_is_limited_and_not_clipped(made: Made) -> None:
    film = await made(sounds=[Sound("tone", Fraction(0), Fraction(1), "right", gain=Curve.fixed(8.0))])
    _, right = await listen(film.path)

    assert max(right) < 1.05
    assert pitch(right, 0.1, 0.9) == pytest.approx(800, abs=4)


@pytest.mark.parametrize(
    ("channel", "left_db", "right_db"), [("FL", 0, -99), ("FR", -99, 0), ("FC", -3, -3), ("BL", -3, -99)]
)
async def test_surround_is_mixed_down(
    channel: str, left_db: float, right_db: float, made: Made, tmp_path: Path
) -> None:
    parts = "|".join(
        "0.25*sin(2*PI*700*t)" if name == channel else "0" for name in ("FL", "FR", "FC", "LFE", "BL", "BR")
    )
    path = await tone(tmp_path / "surround.wav", f"aevalsrc={parts}:c=5.1:s=44100", seconds=1)
    film = await made(sounds=[Sound("tone", Fraction(0), Fraction(1), str(path))])
    left, right = await listen(film.path)

    for samples, wanted in ((left, left_db), (right, right_db)):
        level = loudness(samples, 0.2, 0.8)
        assert level < -70 if wanted == -99 else level == pytest.approx(-15.05 + wanted, abs=0.3)
