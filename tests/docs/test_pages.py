"""Each page of the documentation is followed from its top to its end, by a reader who does what it says.

A block is done by its language: `bash`, `python`, `sql`, `js`, `json` (a timeline), `dotenv`. `text` shows what the
block before it printed, with … for what differs; `mermaid` draws. A block with a file name is saved under it, or, where
the checkout has that file, must be the same. A block of any other language fails: nobody would see that it is wrong.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from listener.kit import ffmpeg

from .pages import PAGES, ROOT, Block, blocks, name

HERE = Path(__file__).parent
STEPS = {"sql", "js", "json"}
SHOWN = {"text", "mermaid"}


class Reader:
    """Somebody with a folder, a database, and a page to follow."""

    def __init__(self, folder: Path, url: str, clip: Path) -> None:
        self.folder = folder
        self.url = url
        (folder / ".venv/bin").mkdir(parents=True)
        (folder / ".venv/bin/activate").touch()
        (folder / "blocks").mkdir()
        (folder / "clip.mp4").symlink_to(clip)
        self.write(".env", f"DATABASE_URL={url}\n")

    def write(self, path: str, text: str) -> str:
        # Whatever database a page speaks of is this one.
        (self.folder / path).write_text(re.sub(r"postgresql://\S+", self.url, text), encoding="utf-8")
        return path

    def follow(self, page: Path) -> dict[int, str]:
        """Do what a page says; answers what each block printed, by its line."""
        script = [f". {HERE / 'reader.sh'}"]
        for block in blocks(page):
            output = f"blocks/{block.line}.out"
            script += [f"{{ {step}\n}} >{output} 2>&1" for step in [self._step(block)] if step]
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        printed = {
            int(output.stem): output.read_text(encoding="utf-8")
            for output in sorted(self.folder.glob("blocks/*.out"), key=lambda output: int(output.stem))
        }
        if done.returncode != 0:
            line = max(printed, default=0)
            pytest.fail(
                f"{name(page)}:{line} does not work:\n{printed.get(line, '')}{done.stderr}", pytrace=False
            )
        return printed

    def _step(self, block: Block) -> str | None:
        if block.file and (ROOT / block.file).is_file():
            assert block.text == (ROOT / block.file).read_text(encoding="utf-8"), f"{block.file} differs"
        if block.language in SHOWN:
            return None
        text = self.write(f"blocks/{block.line}.{block.language}", block.text)
        saved = f"cp {text} {shlex.quote(block.file)}\n" if block.file and "/" not in block.file else ""
        match block.language:
            case "bash":
                return f"{saved}. {text}"
            case "python":
                return f'{saved}"$PYTHON" {text}'
            case "dotenv" if block.file:
                return f"cp {text} {block.file}"
            case language if language in STEPS:
                return f'{saved}"$PYTHON" {HERE / "steps.py"} {language} {text}'
        pytest.fail(
            f"line {block.line}: nobody knows how to follow a block of {block.language!r}", pytrace=False
        )

    def _environment(self) -> dict[str, str]:
        given = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "PORT"}}
        mine = {"CHECKOUT": str(ROOT), "PYTHON": sys.executable, "PYTHONPATH": f"{self.folder}:{ROOT}"}
        return {**given, **mine, "HOME": str(self.folder), "HEALTH_CHECK_PORT": "0", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of the reader's."""
    path = tmp_path_factory.mktemp("home") / "clip.mp4"
    anyio.run(ffmpeg.run, ["-f", "lavfi", "-i", "testsrc=s=320x180:d=1", path])
    return path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_says_to_do_works(
    page: Path, clip: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # Whoever is told to migrate has not migrated yet.
    begins_bare = re.search(r"^listener migrate$", page.read_text(encoding="utf-8"), re.MULTILINE)
    url = request.getfixturevalue("bare_database" if begins_bare else "database")
    printed = Reader(tmp_path, url, clip).follow(page)

    line = 0
    for block in blocks(page):
        if block.language == "text":
            assert_shown(block, printed[line])
        elif block.language not in SHOWN:
            line = block.line


def assert_shown(block: Block, printed: str) -> None:
    """Each line of the block was printed, one after the other."""
    parts = [" ".join(line.split()) for line in block.text.splitlines() if line.strip()]
    pattern = ".*".join(re.escape(part).replace("…", ".*?") for part in parts)
    if not re.search(pattern, " ".join(printed.split()), re.DOTALL):
        pytest.fail(f"line {block.line} is not what was printed:\n{printed}", pytrace=False)


def test_python_blocks_are_typed(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    files = []
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python" and "/" not in (block.file or ""):
                files.append(tmp_path / (block.file or f"{page.stem}_{block.line}.py"))
                assert not files[-1].exists(), f"{name(page)}: two blocks have the name {files[-1].name}"
                files[-1].write_text(block.text, encoding="utf-8")
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("documentation-types")
    options = ["--strict", f"--cache-dir={cache}", f"--config-file={ROOT / 'pyproject.toml'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *files, ROOT / "examples/thumbnails.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
