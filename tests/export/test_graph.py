"""Films and the FFmpeg arguments that make them, beside readable goldens.

To accept a change, run with `UPDATE_GOLDENS=1` and read the difference.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from handlers.export.graph.compiler import arguments
from handlers.export.graph.inputs import Source
from handlers.export.model import Film, FilmError, Picture, Sound, Style, Text
from handlers.export.text import Raster
from listener.kit.ffmpeg import input_options
from listener.kit.media import Audio, Media, Video

GOLDEN = Path(__file__).with_name("golden")


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


def film(*clips: Picture | Text, sounds: tuple[Sound, ...] = (), length: str, background: int = 0) -> Film:
    return Film(1280, 720, Fraction(30), Fraction(length), (background, 0, 0), clips, sounds)


def check(name: str, made: Film, media: dict[str, Media], rasters: dict[Text, Raster] | None = None) -> None:
    sources = {key: Source(Path(f"in{number}.bin"), each) for number, (key, each) in enumerate(media.items())}
    seen = readable(arguments(made, sources, rasters or {}, Path("film.mp4")))
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
        value = next(words) if word.startswith("-") else ""
        if word in guards:
            assert value == guards[word]
            guarded += 1
        elif word == "-filter_complex":
            lines += ["-filter_complex", *("    " + part for part in value.split(";"))]
        else:
            lines.append(f"{word} {value}".rstrip())
    assert guarded == len(guards) * sum(line.startswith("-i file:") for line in lines)
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


def test_a_clip_that_should_be_seen_needs_pictures() -> None:
    clip = Picture("Clip 7", seconds("0"), seconds("1"), "a")
    sound = Media("wav", Fraction(3), None, Audio("pcm_s16le", 48_000, 2))

    with pytest.raises(FilmError, match="“Clip 7” should be seen, but its file holds no pictures"):
        arguments(film(clip, length="1"), {"a": Source(Path("in0.bin"), sound)}, {}, Path("film.mp4"))
