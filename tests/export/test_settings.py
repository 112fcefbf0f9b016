"""The limits of an export: each is documented, and an error sentence names its setting."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from handlers.export import settings
from handlers.export.intake import sources
from handlers.export.model import Film, FilmError, MediaItem
from handlers.export.settings import ExportSettings, check_film
from listener.kit import storage

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
MB = 1024**2


@pytest.fixture(autouse=True)
def _own_limits() -> Iterator[None]:
    settings.limits.cache_clear()
    yield
    settings.limits.cache_clear()


def film(seconds: float, width: int = 1920, height: int = 1080, fps: int = 30) -> Film:
    return Film(width, height, Fraction(fps), Fraction(seconds), (0, 0, 0), (), ())


def test_the_page_lists_them() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert ExportSettings.table() in text, "put the output of ExportSettings.table() there"


def test_every_limit_is_named_by_its_field() -> None:
    for field, about in ExportSettings.model_fields.items():
        assert f"EXPORT_{field.upper()}" in str(about.validation_alias)


def test_films_of_four_hours_of_full_hd_are_made() -> None:
    check_film(film(4 * 3600))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            film(5.2 * 3600),
            r"^The film would be 5\.2 hours long; the limit is 4 hours \(EXPORT_MAX_HOURS\)\.$",
        ),
        (film(3600, 7680, 4320, 60), r"7,166 gigapixels .* the limit is 1,000 \(EXPORT_MAX_GIGAPIXELS\)\.$"),
        (film(0.01), r"^The film would be shorter than one frame\.$"),
    ],
)
def test_films_that_are_refused(asked: Film, sentence: str) -> None:
    with pytest.raises(FilmError, match=sentence):
        check_film(asked)


@pytest.mark.parametrize(
    ("limit", "sizes", "sentence"),
    [
        ("FILE", [1, 2 * MB], "The media “b” is too large; the limit is 1 MB"),
        ("MEDIA", [MB // 2, MB], "The media of the film are too large together; the limit is 1 MB"),
    ],
)
async def test_the_size_of_media(
    limit: str, sizes: list[int], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"EXPORT_MAX_{limit}_MB", "1")
    inline = {}
    for name, size in zip("ab", sizes, strict=True):
        inline[name] = tmp_path / name
        inline[name].write_bytes(bytes(size))
    items = {name: MediaItem(name, name) for name in inline}
    with pytest.raises(FilmError) as caught:
        await sources.collect(items, tmp_path, owner="u", inline=inline)
    assert str(caught.value) == f"{sentence} (EXPORT_MAX_{limit}_MB)."


async def test_a_stored_file_that_is_too_large_is_not_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_MAX_FILE_MB", "1")
    store = storage.LocalStorage(tmp_path / "storage", "http://127.0.0.1")
    storage.use(store)
    (tmp_path / "film").write_bytes(bytes(2 * MB))
    await store.upload(sources.BUCKET, tmp_path / "film", "u/film.mp4")
    (folder := tmp_path / "job").mkdir()
    with pytest.raises(FilmError, match=r"“film” is too large; the limit is 1 MB \(EXPORT_MAX_FILE_MB\)"):
        await sources.collect({"a": MediaItem("film", "u/film.mp4")}, folder, owner="u")
    assert not list(folder.iterdir())


async def test_the_number_of_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_MAX_MEDIA", "1")
    with pytest.raises(FilmError, match=r"of 2 media files; the limit is 1 \(EXPORT_MAX_MEDIA\)\.$"):
        await sources.collect({name: MediaItem(name, name) for name in "ab"}, tmp_path, owner="u")
