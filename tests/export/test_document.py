"""Timelines as files: media in the midst of the JSON, and files that are no timeline."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlers.export import settings
from handlers.export.intake import document
from handlers.export.intake.document import MIN_SPLIT_BYTES, load
from handlers.export.model import FilmError

# Answers by how many megabytes reading a timeline made the process larger.
MEASURE = """
import resource, sys
from pathlib import Path
from handlers.export.intake.document import load

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1024**2)

load(Path(sys.argv[1]), Path(sys.argv[3]))
before = peak()
found = load(Path(sys.argv[2]), Path(sys.argv[3]))
print(peak() - before, *sorted(path.stat().st_size for path in found.inline.values()))
"""


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    settings.limits.cache_clear()
    yield
    settings.limits.cache_clear()


def content(size: int) -> bytes:
    return bytes(i * 7 % 256 for i in range(256)) * (size // 256) + bytes(size % 256)


def url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "timeline.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def reading(folder: Path, value: object, **options: Any) -> tuple[Any, list[bytes]]:
    """Read a value written as JSON; return it with the numbers of its media, and the content of these."""
    found = load(write(folder, json.dumps({"value": value}, **options)), folder)
    text = json.dumps(found.content["value"])
    for number, name in enumerate(found.inline):
        text = text.replace(f'"{name}"', str(number))
    return json.loads(text), [path.read_bytes() for path in found.inline.values()]


def test_long_media_become_files_and_all_else_stays(tmp_path: Path) -> None:
    small, large, huge = content(900), content(200_000), content(3_000_001)
    value = {
        "before": 'a quote " and \\ and ünïcödé and "data:image/png;base64,in a text',
        "small": url(small),
        "list": [url(large), {"url": url(huge, "video/mp4"), "name": "b"}],
        "no media": ["data: is a word", "data:text/plain,hello", "data:;base64,"],
        "last": url(large),
    }
    read, files = reading(tmp_path, value)
    assert read == {**value, "list": [0, {"url": 1, "name": "b"}], "last": 2}
    assert files == [large, huge, large]


@pytest.mark.parametrize("shift", range(0, 3 * 512, 37))
def test_media_are_found_wherever_the_file_is_cut(
    shift: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "CHUNK", 1024)
    monkeypatch.setattr(document, "MIN_SPLIT_BYTES", 100)
    picture = content(2000)
    value = ["x" * shift, url(picture), "\\", url(b"short"), url(picture)]
    assert reading(tmp_path, value) == ([value[0], 0, "\\", value[3], 1], [picture, picture])


def test_escaped_slashes_and_pluses_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "CHUNK", 1021)
    picture = bytes(range(248, 256)) * 20_000  # all slashes and pluses
    text = json.dumps({"url": url(picture)}).replace("/", "\\/").replace("+", "\\u002B")
    found = load(write(tmp_path, text), tmp_path)
    assert [path.read_bytes() for path in found.inline.values()] == [picture]


def test_nobody_can_write_the_name_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"a": url(content(100_000)), "b": "0", "c": "inline0.bin"}))
    first, second = load(path, tmp_path), load(path, tmp_path)
    assert set(first.inline) & set(second.inline) == set()
    assert [name for name in first.inline if len(name) < 32] == []
    assert {first.content["b"], first.content["c"]} & set(first.inline) == set()


def test_memory_holds_no_media(tmp_path: Path) -> None:
    small, large = tmp_path / "small.json", tmp_path / "large.json"
    for path, times in ((small, 1), (large, 100)):  # 1.5 MB each
        block = base64.b64encode(content(1_500_000)).decode()
        with path.open("w") as file:
            file.write('{"mediaItems": [{"url": "data:video/mp4;base64,')
            file.writelines(block for _ in range(times))
            file.write('"}]}')
    command = [sys.executable, "-c", MEASURE, str(small), str(large), str(tmp_path)]
    root = Path(__file__).parents[2]
    grown, size = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout.split()
    assert int(size) == 150_000_000
    assert int(grown) < 40


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("[]", "must be a JSON object"),
        ('"data:image/png;base64,AAAA"', "must be a JSON object"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "is not valid JSON"),
        (b'{"a": "\xff"}', "is not valid JSON"),
        ('{"a": "data:image/png;base64,' + "A" * MIN_SPLIT_BYTES, r"breaks off within a media"),
        ('{"a": "data:image/png;base64,' + "A" * 2 * MIN_SPLIT_BYTES + '?"}', "Media 1 .* is damaged"),
        ('{"a": "data:image/png;base64,' + "A" * 2 * MIN_SPLIT_BYTES + '\\n"}', "Media 1 .* is damaged"),
        ('{"a": "data:image/png;base64,' + "A" * 2 * MIN_SPLIT_BYTES + '\\q"}', "Media 1 .* is damaged"),
        (b"SQLite format 3\0" + bytes(84), "is a project of the coming OpenCut .* SQLite"),
        (b"PK\x03\x04" + bytes(84), "is an archive"),
        ('{"a": [' + "[]," * 2_000_000 + "[]]}", "more than 1,000,000 values"),
    ],
    ids=lambda value: str(value[:12]),
)
def test_what_is_no_timeline_is_refused_with_a_sentence(
    text: str | bytes, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(FilmError, match=sentence):
        load(write(tmp_path, text), tmp_path)


def test_limits_name_their_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_MAX_TIMELINE_MB", "1")
    monkeypatch.setenv("EXPORT_MAX_INLINE_MB", "2")
    media = [url(content(1_000_000)), url(content(1_097_152))]
    assert len(load(write(tmp_path, json.dumps({"a": media})), tmp_path).inline) == 2
    with pytest.raises(FilmError, match=r"the limit is 2 MB \(EXPORT_MAX_INLINE_MB\)"):
        load(write(tmp_path, json.dumps({"a": [*media, url(content(100_000))]})), tmp_path)
    with pytest.raises(FilmError, match=r"the limit is 1 MB \(EXPORT_MAX_TIMELINE_MB\)"):
        load(write(tmp_path, json.dumps({"a": "x" * 2**20})), tmp_path)
