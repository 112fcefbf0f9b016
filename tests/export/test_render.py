"""Films as they come out: which frame of which source is seen where and when, and what is heard."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.export import opencut
from handlers.export.model import Source
from handlers.export.render.renderer import render
from listener.kit import media as kit_media
from tests.support.timelines import media, text, timeline, track

from .conftest import KINDS, Render
from .viewer import colour, listen, look, loudness, near, number, pitch

BLACK, RED, BLUE, GREEN, WHITE = (0, 0, 0), (200, 40, 60), (40, 80, 200), (0, 255, 0), (255, 255, 255)


async def test_each_frame_of_a_trimmed_clip_is_the_right_one(make: Render) -> None:
    clip = media("count", 0.5, 3, trimStart=1, trimEnd=1.1)
    film = await make(timeline(track("media", clip), items=KINDS))

    assert film.frames == 42  # half a second of background, then 0.9 s
    seen = await look(film.path, range(42))
    assert all(near(colour(seen[frame], 20, 90), BLACK) for frame in range(15))
    assert [number(seen[frame]) for frame in range(15, 42)] == list(range(30, 57))


@pytest.mark.parametrize("fps", [1, 2, 24])
async def test_the_sound_lasts_as_long_as_the_picture(fps: int, make: Render) -> None:
    film = await make(timeline(track("media", media("count", 0, 3)), items=KINDS), fps=fps)

    left, _ = await listen(film.path)
    assert len(left) == pytest.approx(3 * 48_000, abs=1024)
    assert loudness(left, 2.8, 2.95) == pytest.approx(loudness(left, 0.5, 0.65), abs=0.5)


async def test_a_slower_source_holds_each_frame_until_its_next_one(make: Render) -> None:
    clip = media("slow", 0, 3, trimStart=0.35, trimEnd=2)
    film = await make(timeline(track("media", clip), items=KINDS))

    seen = await look(film.path, range(film.frames))
    assert [number(seen[frame]) for frame in range(6)] == [3, 3, 4, 4, 4, 5]


async def test_a_film_may_be_slower_than_its_source(make: Render) -> None:
    film = await make(timeline(track("media", media("count", 0, 3)), items=KINDS), fps=12)

    assert film.frames == 36
    seen = await look(film.path, range(36))
    assert [number(seen[frame]) for frame in range(5)] == [0, 2, 5, 7, 10]


async def test_clips_in_a_row_follow_without_a_gap(make: Render) -> None:
    row = [media("count", 0, 3, trimStart=2), media("red", 1, 2, trimEnd=1), media("count", 2, 3, trimEnd=2)]
    film = await make(timeline(track("media", *row), items=KINDS))

    seen = await look(film.path, (0, 29, 30, 59, 60, 89))
    assert [number(seen[frame]) for frame in (0, 29, 60, 89)] == [60, 89, 0, 29]
    assert near(colour(seen[30], 160, 90), RED)
    assert near(colour(seen[59], 160, 90), RED)


async def test_stills_videos_and_gaps_take_turns(make: Render) -> None:
    row = [media("photo", 0, 0.5), media("slow", 1, 3, trimEnd=2.5), media("teal", 1.5, 0.5)]
    film = await make(timeline(track("media", *row), items=KINDS))

    assert film.frames == 60
    seen = await look(film.path, (0, 14, 15, 29, 30, 44, 45, 59))
    colours = [colour(seen[frame], 300, 90) for frame in (0, 14, 15, 29, 45, 59)]
    orange, teal = (200, 63, 16), (0, 128, 128)
    assert all(map(near, colours, (orange, orange, BLACK, BLACK, teal, teal)))
    assert [number(seen[frame]) for frame in (30, 44)] == [0, 4]


async def test_a_source_that_ends_early_holds_its_last_picture_and_says_so(make: Render) -> None:
    film = await make(timeline(track("media", media("count", 0, 4)), items=KINDS))

    seen = await look(film.path, (89, 90, 119))
    assert [number(picture) for picture in seen.values()] == [89, 89, 89]
    assert film.warnings == ("“count” is longer than its file: the last picture stays.",)


async def test_a_clip_that_begins_after_the_end_of_its_source_shows_the_last_picture(make: Render) -> None:
    film = await make(timeline(track("media", media("count", 0, 6, trimStart=5)), items=KINDS))

    seen = await look(film.path, (0, 29))
    assert [number(picture) for picture in seen.values()] == [89, 89]


async def test_layers_lie_in_order_and_alpha_shows_what_is_beneath(make: Render) -> None:
    film = await make(
        timeline(
            track("media", media("disc", 0.5, 1)),
            track("media", media("tall", 1, 1)),
            track("media", media("red", 0, 2), isMain=True),
            items=KINDS,
        )
    )
    seen = await look(film.path, (14, 15, 29, 30, 44, 45))

    middles = [colour(picture, 160, 90) for picture in seen.values()]
    assert all(near(a, b) for a, b in zip(middles, (RED, GREEN, GREEN, GREEN, GREEN, BLUE), strict=True))
    assert near(colour(seen[29], 80, 10), RED)  # clear corner of the disc
    assert near(colour(seen[30], 120, 10), BLUE)  # the tall video beneath it
    assert near(colour(seen[30], 20, 90), RED)  # beside the tall video


@pytest.mark.parametrize("background", ["#000000", "#3c8c28"])
async def test_a_picture_is_contained_and_the_rest_is_background(background: str, make: Render) -> None:
    film = await make(timeline(track("media", media("tall", 0, 1)), items=KINDS, backgroundColor=background))
    seen = (await look(film.path, [10]))[10]
    wanted = tuple(bytes.fromhex(background[1:]))

    assert near(colour(seen, 160, 90), BLUE)
    assert near(colour(seen, 118, 90), BLUE)  # the video is 102 wide
    assert near(colour(seen, 100, 90), (wanted[0], wanted[1], wanted[2]))
    assert near(colour(seen, 220, 90), (wanted[0], wanted[1], wanted[2]))


@pytest.mark.parametrize(
    ("media_id", "wanted"), [("photo", (200, 63, 16)), ("teal", (0, 128, 128)), ("red", RED)]
)
async def test_colours_stay_what_they_are(media_id: str, wanted: tuple[int, int, int], make: Render) -> None:
    film = await make(timeline(track("media", media(media_id, 0, 0.5)), items=KINDS))
    seen = await look(film.path, [7])

    assert near(colour(seen[7], 160, 90, 60), wanted, 3)
    made = (await kit_media.probe(film.path)).video
    assert made is not None
    assert (made.matrix, made.full_range, made.pix_fmt) == ("bt709", False, "yuv420p")


@pytest.mark.parametrize(
    "words",
    [
        "It's 100% real:\nsecond line",
        "x',drawtext=textfile=/etc/passwd,drawtext=text='y",
        "%{pts} ${HOME} [0:v] ; null, \\' \\: {}",
        "-f lavfi -i testsrc",
    ],
)
async def test_text_is_drawn_as_it_was_written_and_is_never_syntax(words: str, make: Render) -> None:
    title = text(words, 0.2, 0.5, color="#ffffff", y=-40)
    film = await make(timeline(track("text", title), track("media", media("red", 0, 1)), items=KINDS))

    seen = await look(film.path, (5, 6, 20, 21))
    before, first, last, after = (picture.crop((0, 0, 320, 100)) for picture in seen.values())
    assert max(before.convert("L").tobytes()) < 110
    assert max(first.convert("L").tobytes()) > 230
    assert max(last.convert("L").tobytes()) > 230
    assert max(after.convert("L").tobytes()) < 110
    assert near(colour(seen[6], 160, 150, 40), RED)  # nothing below the text
    assert film.warnings == ()


async def test_a_font_that_is_missing_is_named(make: Render) -> None:
    film = await make(timeline(track("text", text("hi", 0, 0.2, name="Intro", fontFamily="Nowhere Grotesk"))))

    assert film.warnings == ("“Intro” is drawn in DejaVu Sans: Nowhere Grotesk is not installed.",)


async def test_sounds_begin_and_end_where_they_should(make: Render) -> None:
    film = await make(
        timeline(
            track("media", media("count", 1, 3, trimStart=0.5, trimEnd=1.5)),
            track("text", text("to the end", 0, 3)),
            items=KINDS,
        )
    )
    left, right = await listen(film.path)

    assert len(left) / 48_000 == pytest.approx(3, abs=0.03)
    assert loudness(left, 0, 0.98) < -80
    assert loudness(left, 1.02, 1.98) == pytest.approx(loudness(right, 1.02, 1.98))
    assert pitch(left, 1.1, 1.9) == pytest.approx(440, abs=3)
    assert loudness(left, 2.05, 2.95) < -80


async def test_sounds_are_mixed_at_their_own_levels(make: Render) -> None:
    film = await make(
        timeline(
            track("audio", media("mono", 0, 2)), track("audio", media("right", 1, 2, trimEnd=1)), items=KINDS
        )
    )
    left, right = await listen(film.path)

    alone = loudness(left, 0.1, 0.9)
    assert alone == pytest.approx(-27.1, abs=0.3)  # the source: a sine of 1/8, halved
    assert loudness(right, 0.1, 0.9) == pytest.approx(alone, abs=0.1)
    assert loudness(left, 1.1, 1.9) == pytest.approx(alone, abs=0.2)
    assert loudness(right, 1.1, 1.9) == pytest.approx(-14.8, abs=0.3)  # a sine of 1/4, and the other one


async def test_a_film_with_only_sound_shows_its_background(make: Render) -> None:
    film = await make(timeline(track("audio", media("mono", 0, 2)), items=KINDS, backgroundColor="#3c8c28"))
    seen = await look(film.path, (0, 59))

    assert film.frames == 60
    assert near(colour(seen[59], 100, 100), (60, 140, 40))


async def test_a_film_without_sound_has_a_silent_track(make: Render) -> None:
    film = await make(timeline(track("media", media("count", 0, 1, muted=True)), items=KINDS))
    left, right = await listen(film.path)

    assert loudness(left, 0, 0.9) < -100
    assert loudness(right, 0, 0.9) < -100


async def test_picture_and_sound_stay_together_over_many_cuts(make: Render) -> None:
    cuts = [media("count", 0.7 * cut, 3, trimStart=0.2, trimEnd=2.1) for cut in range(12)]
    film = await make(timeline(track("media", *cuts), items=KINDS))
    left, _ = await listen(film.path)

    assert film.frames == 252
    assert all(loudness(left, 0.7 * cut + 0.05, 0.7 * cut + 0.65) > -25 for cut in range(12))
    seen = await look(film.path, [21 * cut for cut in range(12)])
    assert [number(picture) for picture in seen.values()] == [6] * 12


async def test_progress_rises_to_the_end(shelf: dict[str, Path], tmp_path: Path) -> None:
    steps: list[float] = []
    read = opencut.read(
        timeline(track("media", media("red", 0, 2)), items=KINDS), width=320, height=180, fps=30
    )
    sources = {"red": Source(shelf["red"], await kit_media.probe(shelf["red"]))}
    await render(
        read.film,
        sources,
        tmp_path / "film.mp4",
        workdir=tmp_path,
        on_progress=lambda percent, message: steps.append(percent),
    )

    assert steps == sorted(steps)
    assert steps[-1] == 100
