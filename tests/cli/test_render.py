"""render: a project file becomes a film, without a database."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

from listener.kit import media
from tests.cli.conftest import Listener, on_a_terminal
from tests.support.media import Colour, pixel


@pytest.fixture
def project(elsewhere: Path) -> Path:
    """A project in its own folder, with a picture beside it and a secret outside of it."""
    folder = elsewhere / "project"
    folder.mkdir()
    Image.new("RGB", (64, 36), "white").save(folder / "white.png")
    Image.new("RGB", (64, 36), "red").save(elsewhere / "secret.png")
    return write(folder / "project.json", "white.png")


def write(path: Path, url: str, **more: Any) -> Path:
    """A project of half a second that shows one picture."""
    element = {"type": "media", "name": "White", "mediaId": "w", "startTime": 0, "duration": 0.5}
    track = {"type": "media", "elements": [{**element, "trimStart": 0, "trimEnd": 0}]}
    document = {
        "project": {"fps": 10, "canvasSize": {"width": 128, "height": 72}},
        "tracks": [track],
        "mediaItems": {"w": {"type": "image", "url": url}},
    }
    path.write_text(json.dumps({**document, **more}))
    return path


def probe(path: Path) -> media.Media:
    async def counted() -> media.Media:
        return await media.probe(path, count_frames=True)

    return anyio.run(counted)


def middle(path: Path) -> Colour:
    with Image.open(path) as picture:
        return pixel(picture, picture.width // 2, picture.height // 2)


def test_a_film_of_the_projects_size_and_its_poster(
    listener: Listener, project: Path, elsewhere: Path
) -> None:
    result = listener("render", "project/project.json", "-o", "film.mp4", "--poster", "still.jpg")

    assert result.exit_code == 0, result.stderr
    assert result.stdout == "film.mp4: 5 frames, 0.50 s, 0.0 MB\n"
    made = probe(elsewhere / "film.mp4")
    assert made.video is not None
    assert (made.video.width, made.video.height, made.video.frames, made.video.codec) == (128, 72, 5, "h264")
    assert min(middle(elsewhere / "still.jpg")) > 250
    assert sorted(path.name for path in elsewhere.iterdir()) == [
        "film.mp4",
        "project",
        "secret.png",
        "still.jpg",
    ]


def test_options_win_over_the_project_and_the_suffix_chooses(
    listener: Listener, project: Path, elsewhere: Path
) -> None:
    write(project, "white.png", exportOptions={"format": "mp4", "quality": "high", "includeAudio": False})
    options = ["--size", "64x36", "--fps", "30000/1001", "--quality", "low"]
    result = listener("render", str(project), "-o", "film.webm", *options)

    assert result.exit_code == 0, result.stderr
    made = probe(elsewhere / "film.webm")
    assert made.video is not None
    assert (made.video.width, made.video.height, made.video.codec, made.audio) == (64, 36, "vp9", None)
    assert made.video.fps == pytest.approx(Fraction(30000, 1001), rel=1e-3)


def test_media_may_lie_in_a_folder_of_their_own(listener: Listener, project: Path, elsewhere: Path) -> None:
    (elsewhere / "media").mkdir()
    (project.parent / "white.png").rename(elsewhere / "media" / "white.png")
    refused = listener("render", str(project), "-o", "film.mp4")
    assert refused.stderr == f"error: The media “w” is not in the folder {project.parent}: white.png.\n"

    result = listener("render", str(project), "-o", "film.mp4", "--media", "media")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    "url", ["../secret.png", "{outside}/secret.png", "link.png", "file://{outside}/secret.png"]
)
def test_nothing_beyond_that_folder_is_read(
    listener: Listener, project: Path, elsewhere: Path, url: str
) -> None:
    (project.parent / "link.png").symlink_to(elsewhere / "secret.png")
    write(project, url.format(outside=elsewhere))
    result = listener("render", str(project), "-o", "film.mp4")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: The media “w” ")
    assert result.stderr.count("\n") == 1
    assert not (elsewhere / "film.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["-o", "film.avi"], 1, "error: The film film.avi must end in .mp4 or .webm.\n"),
        (["-o", "there/film.mp4"], 1, "error: There is no folder there to write to.\n"),
        (["-o", "film.mp4", "--size", "big"], 2, "'big' is not a size; write width and height in pixels"),
        (["-o", "film.mp4", "--size", "0x0"], 1, "error: A film of 0 × 0 pixels can't be made"),
        (["-o", "film.mp4", "--fps", "1/0"], 2, "'1/0' is not a frame rate; write one such as 30"),
        (["-o", "film.mp4", "--fps", "1000"], 1, "error: A film of 1000 frames a second can't be made"),
        (["-o", "film.mp4", "--quality", "best"], 2, "'best' is not one of"),
        ([], 2, "Missing option '-o'"),
    ],
)  # fmt: skip
def test_what_is_refused(
    listener: Listener, project: Path, elsewhere: Path, arguments: list[str], code: int, sentence: str
) -> None:
    result = listener("render", str(project), *arguments)

    assert result.exit_code == code
    assert sentence in result.stderr
    assert not (elsewhere / "film.mp4").exists()


def test_a_film_that_can_not_be_made_leaves_the_older_one(
    listener: Listener, project: Path, elsewhere: Path
) -> None:
    (elsewhere / "film.mp4").write_text("older")
    project.write_text("{")
    result = listener("render", str(project), "-o", "film.mp4")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: The timeline is not valid JSON (")
    assert (elsewhere / "film.mp4").read_text() == "older"


def test_on_a_terminal_there_is_a_bar(project: Path, elsewhere: Path) -> None:
    code, shown = on_a_terminal("render", str(project), "-o", "film.mp4")
    assert code == 0
    assert "━━━" in shown
    assert "film.mp4: 5 frames" in shown
