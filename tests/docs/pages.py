"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

_FENCE = re.compile(r"^( *)```(.*)\n((?:(?!\1```).*\n)*)\1```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code between two fences.

    Attributes:
        line: the line of the page that it begins in, from 1.
        language: the first word after the opening fence.
        file: the second one: the name under which the reader saves it.
    """

    line: int
    language: str
    file: str | None
    text: str


def blocks(page: Path) -> list[Block]:
    """Return all blocks of a page, in their order."""
    source = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(source):
        language, _, file = match[2].strip().partition(" ")
        found.append(Block(source.count("\n", 0, match.start()) + 1, language, file or None, match[3]))
    return found


def name(page: Path) -> str:
    """Return the path of a page below the root."""
    return page.relative_to(ROOT).as_posix()
