"""Format output for the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "running": "cyan",
    "completed": "green",
    "done": "green",
    "failed": "red",
    "broken": "red",
    "cancelled": "yellow",
    "paused": "yellow",
    "scheduled": "dim",
}


FOLDED = 30  # minimum width of the wide column of a table, in characters


def console() -> Console:
    """Return standard output: without colours if NO_COLOR is set, and unlimited in width if it is not a terminal."""
    width = None if sys.stdout.isatty() else 10_000
    return Console(width=width, markup=False, highlight=False, emoji=False)


def plain(value: Any) -> str:
    """Return a value on one line, without control characters that could change the terminal."""
    text = " ".join(str(value).split()) if value is not None else ""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def brief(value: Any, most: int = 300) -> str:
    """Return the beginning of a value on one line."""
    text = plain(value)
    return text if len(text) <= most else f"{text[:most]}…"


def state(word: str) -> Text:
    """Return a state in its colour."""
    return Text(plain(word), STYLES.get(word, ""))


def table(*columns: str, numbers: Iterable[str] = (), wide: str) -> Table:
    """Return an empty table, to be printed by `whole`.

    Args:
        columns: headings.
        numbers: the columns that contain numbers; they are aligned to the right.
        wide: the column that is folded if the terminal is narrow; the others keep their width.
    """
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", no_wrap=column != wide)
    return made


def whole(shown: Table) -> None:
    """Print a table. If the terminal is too narrow, print the wide column on a second line of each row.

    The terminal wraps lines that are still too long, because a truncated key can't be copied.
    """
    out = console()
    widths = [max(cell_len(str(cell)) for cell in (column.header, *column.cells)) for column in shown.columns]
    least = [
        width if column.no_wrap else min(width, FOLDED)
        for column, width in zip(shown.columns, widths, strict=True)
    ]
    if sum(least) + len(least) <= out.width:
        out.print(shown)
        return
    for cells in zip(*((column.header, *column.cells) for column in shown.columns), strict=True):
        line, below = Text(), Text()
        for column, cell, width in zip(shown.columns, cells, widths, strict=True):
            text = cell.copy() if isinstance(cell, Text) else Text(str(cell))
            if not column.no_wrap:
                below = text
                continue
            text.align("right" if column.justify == "right" else "left", width)
            line.append_text(text).append("  ")
        line.rstrip()
        out.print(line, soft_wrap=True)
        if below:
            out.print(Text("  ").append_text(below), soft_wrap=True)


def ago(moment: str | None) -> str:
    """Return an ISO 8601 time relative to now: `3 s ago`, `in 2 min`; an empty text for None."""
    if moment is None:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """Return a duration in its largest unit: `40 ms`, `3 s`, `2 min`, `5 h`, `9 d`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, size, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < size * most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def count(number: int, thing: str) -> str:
    """Return `1 job`, `2 jobs`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
