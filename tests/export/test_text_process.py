"""Texts are drawn in a separate process, within a budget, and the process ends when its job does."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import anyio
import pytest

from handlers.export import FilmError, render_film, text
from handlers.export.model import Film, Text
from handlers.export.render import texts
from handlers.export.settings import limits
from handlers.export.text import font_lookup

from .calligraphy import FILM, LARGE, PLAIN, title

COSTLY = ("😀" * 60 + "\n") * 320


def film(*clips: Text) -> Film:
    return replace(FILM, clips=clips)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Set a limit by its variable for the length of a test."""

    def change(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        limits.cache_clear()

    yield change
    monkeypatch.undo()
    limits.cache_clear()


def children() -> list[str]:
    """Return the command lines of all processes that draw texts."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text(errors="replace"))
        except OSError:  # it has just ended
            continue
    return [line for line in lines if "_raster_main.py" in line]


async def test_a_process_draws_what_the_library_draws(tmp_path: Path) -> None:
    clips = (
        title("Hello\nשלום 😀", LARGE),
        title("", PLAIN),
        title("漢字 ok", replace(PLAIN, family="No Such Font")),
    )
    found = await texts.draw(film(*clips, clips[0]), tmp_path)

    assert list(found) == [clips[0], clips[2]]
    for clip, made in found.items():
        here = text.draw(clip, FILM, tmp_path / "here.png")
        assert here
        assert (made.pixels, made.width, made.height, made.notes) == (
            here.pixels,
            here.width,
            here.height,
            here.notes,
        )
        assert made.path.read_bytes() == here.path.read_bytes()


async def test_a_film_without_texts_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "PROGRAM", tmp_path / "missing.py")
    assert await texts.draw(film(), tmp_path) == {}


async def test_fonts_of_the_users_home_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(__file__).with_name("fonts")
    fonts = tmp_path / "home" / ".fonts"
    shutil.copytree(source, fonts)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    family = next(font_lookup.read(fonts)).family
    found = await texts.draw(film(title("Hello", replace(PLAIN, family=family))), tmp_path)

    assert [made.notes for made in found.values()] == [()]


async def test_a_timeout_ends_the_drawing_at_once(tmp_path: Path) -> None:
    clips = [replace(title(COSTLY, replace(PLAIN, size=8)), name=f"text {number}") for number in range(14)]
    begun = time.monotonic()
    with anyio.move_on_after(1) as timeout:
        await render_film(replace(film(*clips), duration=Fraction(1)), {}, tmp_path)

    assert timeout.cancelled_caught
    assert time.monotonic() - begun < 3
    assert not [line for line in children() if str(tmp_path) in line]


async def test_texts_with_too_many_characters_are_refused_before_they_are_drawn(tmp_path: Path) -> None:
    clips = [replace(title("x" * 20_000), name=f"text {number}") for number in range(16)]
    with pytest.raises(
        FilmError, match=r"have 320,000 characters; the limit is 300,000 \(EXPORT_MAX_GLYPHS\)"
    ):
        await texts.draw(film(*clips), tmp_path)
    assert [path async for path in anyio.Path(tmp_path).iterdir()] == []


async def test_texts_with_too_many_glyphs_are_refused(
    tmp_path: Path, limit: Callable[[str, str], None]
) -> None:
    limit("EXPORT_MAX_GLYPHS", "20")
    with pytest.raises(FilmError, match=r"too many characters \(EXPORT_MAX_GLYPHS\)"):
        await texts.draw(film(title("ำ" * 20)), tmp_path)  # each is drawn as two glyphs


async def test_texts_with_too_many_pixels_are_refused(
    tmp_path: Path, limit: Callable[[str, str], None]
) -> None:
    limit("EXPORT_MAX_TEXT_GIGAPIXELS", "0.00005")
    await texts.draw(film(title("small")), tmp_path)
    shutil.rmtree(tmp_path / "texts")
    overlapping = title("M" * 5_000, replace(LARGE, letter_spacing=-34.5))  # many glyphs over few pixels
    with pytest.raises(FilmError, match=r"too many pixels \(EXPORT_MAX_TEXT_GIGAPIXELS\)"):
        await texts.draw(film(overlapping), tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "content"), [("MEMORY", 24 * 1024**2, "Hello"), ("SECONDS", 1, COSTLY)]
)
async def test_texts_that_take_too_much_end_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int, content: str
) -> None:
    monkeypatch.setattr(texts, name, value)
    clips = [replace(title(content, replace(PLAIN, size=8)), name=f"text {number}") for number in range(14)]
    with pytest.raises(
        FilmError, match=r"could not be drawn, up to “text \d+”: they take more time or memory"
    ):
        await texts.draw(film(*clips), tmp_path)
