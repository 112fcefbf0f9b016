"""Each page of the documentation is followed from its top to its end, and its Python is typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from listener.kit import ffmpeg

from .conftest import supabase_project
from .pages import PAGES, ROOT, blocks, name
from .reader import Misled, Reader


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of the reader."""
    path = tmp_path_factory.mktemp("home") / "clip.mp4"
    anyio.run(lambda: ffmpeg.run(["-f", "lavfi", "-i", "testsrc=s=320x180:d=1", path]))
    return path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_says_works(
    page: Path, clip: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # A page that migrates starts with a database without the schema.
    text = page.read_text(encoding="utf-8")
    bare = re.search(r"^listener migrate$", text, re.MULTILINE)
    url = request.getfixturevalue("bare_database" if bare else "database")
    (tmp_path / "clip.mp4").symlink_to(clip)

    with ExitStack() as stack:
        project = None
        if re.search(r"^SUPABASE_URL=", text, re.MULTILINE):
            project = stack.enter_context(supabase_project(request.getfixturevalue("postgres"), url))
        try:
            Reader(tmp_path, url, project).follow(blocks(page))
        except Misled as misled:
            pytest.fail(f"{name(page)}: {misled}", pytrace=False)


def test_python_blocks_are_typed(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    files: list[Path] = []
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                files.append(tmp_path / Path(block.file or f"{page.stem}_{block.line}.py").name)
                assert not files[-1].exists(), f"two blocks have the name {files[-1].name}"
                files[-1].write_text(block.text, encoding="utf-8")
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("documentation-types")
    options = ["--strict", f"--cache-dir={cache}", f"--config-file={ROOT / 'pyproject.toml'}"]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *files],
        env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
