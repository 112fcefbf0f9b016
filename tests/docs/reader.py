"""Follow a page of the documentation in an empty folder, with an empty database.

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

from tests.support.standin.stack import Stack

from .pages import ROOT, Block

HERE = Path(__file__).parent
PROJECT_URL, PROJECT_KEY = "https://abcdefghij.supabase.co", "sb_secret_0123456789"
STEPS = {"sql", "js", "json"}
SHOWN = {"text", "mermaid"}


class Misled(Exception):
    """A page is wrong."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line} {why}")


class Reader:
    """Executes blocks in one shell, so that later ones find the results of earlier ones.

    Args:
        folder: an empty one, as the reader's home and clone of this repository.
        url: the database, which replaces the database that a page names.
        project: what stands for the Supabase project that a page speaks of.
    """

    def __init__(self, folder: Path, url: str, project: Stack | None = None) -> None:
        self._folder = folder
        self._url = url
        self._project = {PROJECT_URL: project.url, PROJECT_KEY: project.secret_key} if project else {}
        (folder / "blocks").mkdir()
        (folder / ".venv/bin").mkdir(parents=True)
        (folder / ".venv/bin/activate").touch()
        self._write(".env", f"DATABASE_URL={url}\n")

    def follow(self, blocks: list[Block]) -> None:
        """Execute the blocks of a page.

        Raises:
            Misled: a block does not work, shows what was not printed, or is of an unknown kind.
        """
        script = [f". {HERE / 'reader.sh'}"]
        for block in blocks:
            if block.file and (ROOT / block.file).is_file():
                _compare(block)
            if block.language not in SHOWN:
                script.append(f"{{ {self._step(block)}\n}} >blocks/{block.line}.out 2>&1")
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        outputs = {
            int(path.stem): path.read_text(encoding="utf-8") for path in self._folder.glob("blocks/*.out")
        }
        if done.returncode != 0:
            last = max(outputs, default=0)
            raise Misled(last, f"does not work:\n{outputs.get(last, '')}{done.stderr}")
        for said, meant in self._project.items():
            outputs = {line: text.replace(meant, said) for line, text in outputs.items()}
        _check_shown(blocks, outputs)

    def _step(self, block: Block) -> str:
        text = self._write(f"blocks/{block.line}.{block.language}", block.text)
        saved = f"cp {text} {shlex.quote(block.file)}\n" if block.file and "/" not in block.file else ""
        match block.language:
            case "bash":
                return f"{saved}. {text}"
            case "python":
                return f"{saved}python {text}"
            case "nginx" | "haproxy" | "caddyfile":  # tests/web/test_proxies.py runs nginx
                return ":\n"
            case "dotenv":
                return saved
            case language if language in STEPS:
                return f"{saved}python {HERE / 'steps.py'} {language} {text}"
        raise Misled(block.line, f"has a block of {block.language!r}, which nobody knows how to follow")

    def _write(self, path: str, text: str) -> str:
        text = re.sub(r"postgresql://\S+", self._url, text)
        for said, meant in self._project.items():
            text = text.replace(said, meant)
        (self._folder / path).write_text(text, encoding="utf-8")
        return path

    def _environment(self) -> dict[str, str]:
        given = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "PORT"}}
        paths = {"CHECKOUT": str(ROOT), "PYTHON": sys.executable, "PYTHONPATH": f"{self._folder}:{ROOT}"}
        paths["READER_DATABASE"] = self._url
        return {**given, **paths, "HOME": str(self._folder), "HEALTH_CHECK_PORT": "0", "NO_COLOR": "1"}


def _compare(block: Block) -> None:
    if block.text != (ROOT / str(block.file)).read_text(encoding="utf-8"):
        raise Misled(block.line, f"differs from {block.file}")


def _check_shown(blocks: list[Block], outputs: dict[int, str]) -> None:
    """Check that the block before it printed the lines that a page shows."""
    printed = ""
    for block in blocks:
        if block.language == "text":
            lines = [" ".join(line.split()) for line in block.text.splitlines()]
            pattern = ".*".join(re.escape(line).replace("…", ".*?") for line in lines)
            if not re.search(pattern, " ".join(printed.split()), re.DOTALL):
                raise Misled(block.line, f"shows what was not printed:\n{printed}")
        printed = outputs.get(block.line, printed)
