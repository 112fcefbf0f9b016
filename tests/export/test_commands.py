"""Films and the FFmpeg arguments that make them, beside readable goldens.

To accept a change, run with `UPDATE_GOLDENS=1` and read the difference.
"""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from handlers.export.graph import commands
from handlers.export.graph.plan import Plan, make_plan
from handlers.export.model import (
    Curve,
    Film,
    FilmError,
    Format,
    Key,
    Output,
    Picture,
    Placement,
    Rendered,
    Sound,
    Source,
    Style,
    Text,
)
from handlers.export.text import Raster
from listener.kit.ffmpeg import input_options
from listener.kit.media import Audio, Media, Video

GOLDEN = Path(__file__).with_name("golden")
FLAGS = {"-an", "-vn", "-noautorotate"}  # options without a value


def video(
    width: int = 1280, height: int = 720, fps: int = 30, *, sound: int = 2, matrix: str | None = None
) -> Media:
    seen = Video(
        width, height, 0, Fraction(1), Fraction(fps), 10 * fps, "yuv420p", False, False, "h264", matrix, None
    )
    return Media(
        "mov,mp4,m4a,3gp,3g2,mj2", Fraction(10), seen, Audio("aac", 48_000, sound) if sound else None
    )


def image(width: int, height: int, pix_fmt: str = "rgba") -> Media:
    seen = Video(width, height, 0, Fraction(1), None, 1, pix_fmt, pix_fmt == "rgba", True, "png", None, None)
    return Media("png_pipe", None, seen, None)


def seen(media: Media) -> Video:
    assert media.video
    return media.video


def film(*clips: Picture | Text, sounds: tuple[Sound, ...] = (), length: str, background: int = 0) -> Film:
    return Film(1280, 720, Fraction(30), Fraction(length), (background, 0, 0), clips, sounds)


def curve(*points: tuple[str, float]) -> Curve:
    return Curve(tuple(Key(seconds(time), value) for time, value in points))


def files(media: dict[str, Media]) -> dict[str, Source]:
    return {key: Source(Path(f"in{number}.bin"), each) for number, (key, each) in enumerate(media.items())}


def planned(
    made: Film,
    media: dict[str, Media],
    rasters: dict[Text, Raster] | None = None,
    output: Output = Output(),  # noqa: B008 - immutable
) -> Plan:
    return make_plan(made, files(media), rasters or {}, output, input_options())


def check(
    name: str,
    made: Film,
    media: dict[str, Media],
    rasters: dict[Text, Raster] | None = None,
    output: Output = Output(),  # noqa: B008 - immutable
    still: Path | None = None,
) -> None:
    """Compare the arguments that make all of a film with its golden."""
    plan = planned(made, media, rasters, output)
    compare(name, commands.whole_film(plan, Path("film.mp4"), still))


def compare(name: str, command: list[str]) -> None:
    seen = readable(command)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(seen)
    assert seen == golden.read_text()


def readable(command: list[str]) -> str:
    """One option a line; the graph one filter a line; what guards each input is only checked to be there."""
    safe = input_options()
    guards = dict(zip(safe[::2], safe[1::2], strict=True))
    words, lines, guarded = iter(command), [], 0
    for word in words:
        value = next(words) if word.startswith("-") and word not in FLAGS else ""
        if word in guards:
            assert value == guards[word]
            guarded += 1
        elif word == "-filter_complex":
            lines += ["-filter_complex", *("    " + part for part in value.split(";"))]
        else:
            lines.append(f"{word} {value}".rstrip())
    own = {"-i file:segments.txt", "-i file:sounds0.wv", "-i file:sounds1.wv", "-i file:film.mp4"}
    foreign = [line for line in lines if line.startswith("-i file:") and line not in own]
    assert guarded == len(guards) * len(foreign)
    return "\n".join(lines) + "\n"


def seconds(text: str) -> Fraction:
    return Fraction(text)


def test_two_clips_in_a_row_are_joined_with_their_sound() -> None:
    a = ("a", seconds("0"), seconds("2.5"), "a", seconds("1.25"))
    b = ("b", seconds("2.5"), seconds("1.5"), "b", seconds("0"))
    made = film(Picture(*a), Picture(*b), sounds=(Sound(*a), Sound(*b)), length="4")

    check("row", made, {"a": video(matrix="bt709"), "b": video(640, 360, 25, sound=1)})


def test_gap_bars_title_and_badge() -> None:
    tall = Picture("tall", seconds("1"), seconds("2"), "tall")
    badge = Picture("badge", seconds("0.5"), seconds("2"), "badge")
    title = Text("title", seconds("0"), seconds("3"), "never in the graph", Style("any", 20))
    raster = Raster(Path("text0.png"), (300, 60), 300, 60)

    check(
        "layers",
        film(tall, badge, title, length="3"),
        {"tall": video(720, 1280, sound=0), "badge": image(200, 100)},
        {title: raster},
    )


def test_bars_of_another_colour_are_laid_under_the_picture() -> None:
    tall = Picture("tall", seconds("0"), seconds("1"), "tall")

    check("colour", film(tall, length="1", background=200), {"tall": video(720, 1280, sound=0)})


def test_layers_that_fade_are_wiped_move_and_turn() -> None:
    ground = Picture("ground", seconds("0"), seconds("3"), "ground")
    fading = Text(
        "title",
        seconds("0"),
        seconds("2"),
        "t",
        Style("any", 20),
        Placement(opacity=curve(("0", 0), ("0.5", 1), ("2", 0.3)), reveal=curve(("0", 0), ("0.5", 1))),
    )
    sliding = Picture(
        "sliding",
        seconds("0.5"),
        seconds("2"),
        "badge",
        placement=Placement(
            x=curve(("0", -300), ("2", 300)),
            opacity=Curve.fixed(0.5),
            scale_x=Curve.fixed(0.3),
            scale_y=Curve.fixed(-0.3),
        ),
    )
    turning = Picture(
        "turning",
        seconds("1"),
        seconds("2"),
        "tall",
        placement=Placement(
            rotation=curve(("0", 0), ("2", 90)), side="top", reveal=curve(("0.5", 1), ("1.5", 0))
        ),
    )
    zooming = Picture(
        "zooming",
        seconds("2"),
        seconds("1"),
        "photo",
        fit="cover",
        placement=Placement(scale_x=curve(("0", 1), ("1", 1.2)), scale_y=curve(("0", 1), ("1", 1.2))),
    )
    mosaic = Picture(
        "mosaic",
        seconds("0"),
        seconds("1"),
        "tall",
        rate=seconds("0"),
        blur=(8.0, 4.0),
        fit="cover",
        placement=Placement(x=Curve.fixed(101), scale_x=Curve.fixed(0.31), scale_y=Curve.fixed(0.31)),
    )

    check(
        "motion",
        film(ground, fading, sliding, turning, zooming, mosaic, length="3"),
        {
            "ground": video(sound=0),
            "badge": image(200, 100),
            "tall": video(720, 1280, sound=0),
            "photo": image(4000, 3000, "rgb24"),
        },
        {fading: Raster(Path("text0.png"), (300, 60), 300, 60)},
    )


def test_layers_that_are_blended_in_each_mode() -> None:
    ground = Picture("ground", seconds("0"), seconds("3"), "ground")
    shade = Picture("shade", seconds("0"), seconds("2"), "badge", placement=Placement(blend="multiply"))
    light = Picture(
        "light",
        seconds("1"),
        seconds("2"),
        "badge",
        placement=Placement(blend="screen", opacity=curve(("0", 0), ("1", 1))),
    )
    contrast = Picture(
        "contrast", seconds("0.5"), seconds("1"), "badge", placement=Placement(blend="overlay")
    )

    check(
        "blended",
        film(ground, shade, light, contrast, length="3"),
        {"ground": video(sound=0), "badge": image(200, 100)},
    )


def test_pictures_of_every_kind() -> None:
    kinds = {
        "hdr": replace(seen(video(3840, 2160, sound=0)), transfer="smpte2084", pix_fmt="yuv420p10le"),
        "interlaced": replace(seen(video(1920, 1080, 25, sound=0)), is_interlaced=True),
        "turned": replace(seen(image(400, 300, "rgb24")), rotation=90),
        "palette": replace(seen(image(400, 300, "pal8")), has_alpha=False),
        "animated": replace(seen(video(200, 100, 10, sound=0)), pix_fmt="bgra", has_alpha=True),
    }
    media = {kind: Media("mov,mp4,m4a,3gp,3g2,mj2", Fraction(10), each, None) for kind, each in kinds.items()}
    media["animated"] = replace(media["animated"], format="gif", duration=Fraction(1))
    media["blind"] = replace(video(), format="mpegts")
    clips = [
        Picture(
            kind,
            Fraction(n),
            Fraction(1),
            kind,
            offset=seconds("2.5"),
            rate=seconds("1.5") if n % 2 else seconds("1"),
        )
        for n, kind in enumerate(media)
    ]

    check("kinds", film(*clips, length="6"), media)


def test_sounds_that_change_their_level_their_speed_and_their_side() -> None:
    a = ("a", seconds("0"), seconds("2"), "a", seconds("1"))
    shown, twice = Picture(*a), Sound(*a, gain=Curve.fixed(0.25))
    sounds = (
        Sound(*a),
        twice,
        Sound("fade", seconds("1"), seconds("2"), "m", gain=curve(("0", 0), ("0.5", 2))),
        Sound("fast", seconds("0.5"), seconds("1"), "a", seconds("3"), rate=seconds("2.5")),
        Sound(
            "deep", seconds("0.5"), seconds("1"), "a", seconds("3"), rate=seconds("0.75"), keep_pitch=False
        ),
        Sound("left", seconds("2"), seconds("1"), "m", sides=((1.0, 0.5), (0.0, 0.5))),
        Sound("mute", seconds("0"), seconds("1"), "m", gain=Curve.fixed(0)),
        Sound("dumb", seconds("0"), seconds("1"), "silent"),
    )

    check(
        "sounds",
        film(shown, sounds=sounds, length="3"),
        {
            "a": video(),
            "m": Media("wav", Fraction(5), None, Audio("pcm_s16le", 44_100, 1)),
            "silent": video(sound=0),
        },
    )


def test_a_webm_without_sound_and_a_still_on_the_way() -> None:
    made, media = film(Picture("a", seconds("0"), seconds("2"), "a"), length="2"), {"a": video()}

    check("webm", made, media, output=Output("webm", "low", sound=False))
    check("still", made, media, output=Output("mp4", "very_high"), still=Path("poster.jpg"))


def long_film() -> Film:
    a = Picture("a", seconds("0"), seconds("2"), "a", seconds("1"))
    b = Picture("b", seconds("2"), seconds("2"), "b")
    badge = Picture(
        "badge",
        seconds("0.5"),
        seconds("3"),
        "badge",
        placement=Placement(opacity=curve(("0", 0), ("1", 1), ("3", 0))),
    )
    sounds = (
        Sound("a", seconds("1"), seconds("1"), "a", seconds("2")),
        Sound("b", seconds("2"), seconds("2"), "b", gain=Curve.fixed(1.5)),
    )
    return film(a, b, badge, sounds=sounds, length="4")


LONG = {"a": video(), "b": video(640, 360, 25), "badge": image(200, 100)}


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_film_that_is_made_in_segments(kind: Format) -> None:
    plan = planned(long_film(), LONG, output=Output(kind))
    part = plan.composition.part(45, 75)

    compare(f"segment-{kind}", commands.segment(plan, part, Path("segment.part")))
    compare("mixture", commands.mixture(plan, plan.sounds, Path("sounds0.wv")))
    mixtures = [(0, Path("sounds0.wv")), (30_000, Path("sounds1.wv"))]
    compare(f"joined-{kind}", commands.joined(plan, Path("segments.txt"), mixtures, Path("film.mp4")))


def test_a_poster_of_a_finished_film() -> None:
    made = Rendered(Path("film.mp4"), 90, Fraction(3), 1000, ())

    compare("poster-chosen", commands.poster(made, Path("poster.jpg")))
    compare("poster-at", commands.poster(made, Path("poster.jpg"), at=seconds("3")))


def test_a_clip_that_should_be_seen_needs_pictures() -> None:
    clip = Picture("Clip 7", seconds("0"), seconds("1"), "a")
    sound = Media("wav", Fraction(3), None, Audio("pcm_s16le", 48_000, 2))

    with pytest.raises(FilmError, match="“Clip 7” should be seen, but its file holds no pictures"):
        planned(film(clip, length="1"), {"a": sound})
