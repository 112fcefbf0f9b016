"""Order the runs of a line that mixes scripts from left to right and from right to left.

The Unicode Bidirectional Algorithm (UAX #9, revision 48); the names of its rules stand beside them. HarfBuzz
turns the letters within a run, so what is needed here are the runs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from handlers.export.text import directions
from handlers.export.text.directions import ISOLATES

_DEEPEST = 125  # BD2

_EMBEDDINGS = {"LRE": "", "RLE": "", "LRO": "L", "RLO": "R"}
_REMOVED = (*_EMBEDDINGS, "PDF", "BN")


@dataclass(frozen=True, slots=True)
class Run:
    """The characters start..end-1 of a line, all in one direction."""

    start: int
    end: int
    rtl: bool


def runs(line: str) -> list[Run]:
    """Return the runs of a line from left to right; the line's direction is that of its first strong letter."""
    found = [(level, len(list(group))) for level, group in groupby(levels(line))]
    row, start = [], 0
    for level, length in found:
        row.append((level, Run(start, start + length, level % 2 == 1)))
        start += length
    if not row:
        return []
    highest = max(level for level, _ in row)
    lowest = min((level for level, _ in row if level % 2), default=highest + 1)
    for level in range(highest, lowest - 1, -1):  # L2
        row = [
            each
            for deep, group in groupby(row, key=lambda each: each[0] >= level)
            for each in (reversed(list(group)) if deep else group)
        ]
    return [run for _, run in row]


def levels(line: str) -> list[int]:
    """Return the embedding level of each character: even ones run from left to right."""
    types = [unicodedata.bidirectional(char) or "L" for char in line]
    if not set(types) & {"R", "AL", "AN", "RLE", "RLO", "RLI"}:
        return [0] * len(line)
    partners = _partners(types)
    base = _first_strong(types, partners, 0) or 0
    explicit, kinds = _explicit(types, partners, base)
    resolved = list(explicit)
    for sequence in _sequences(types, partners, explicit):
        sides = _outside(types, explicit, sequence, base)
        for index, level in zip(
            sequence, _implicit(line, types, kinds, sequence, explicit, sides), strict=True
        ):
            resolved[index] = level
    previous = base
    for index, kind in enumerate(types):  # X9: removed characters get the level of what precedes them
        if kind in _REMOVED:
            resolved[index] = previous
        previous = resolved[index]
    trailing = True
    for index in reversed(range(len(types))):  # L1
        if types[index] in {"B", "S"}:
            resolved[index], trailing = base, True
        elif trailing and types[index] in {"WS", *ISOLATES, "PDI", *_REMOVED}:
            resolved[index] = base
        else:
            trailing = False
    return resolved


def _partners(types: list[str]) -> dict[int, int]:
    """Map the index of each isolate's beginning to that of its end, and the other way round (BD9)."""
    partners, begun = {}, []
    for index, kind in enumerate(types):
        if kind in ISOLATES:
            begun.append(index)
        elif kind == "PDI" and begun:
            begin = begun.pop()
            partners[begin], partners[index] = index, begin
    return partners


def _first_strong(
    types: list[str], partners: dict[int, int], start: int, end: int | None = None
) -> int | None:
    """Return the level of the first strong character outside of isolates (P2, P3)."""
    index, end = start, len(types) if end is None else end
    while index < end:
        kind = types[index]
        if kind in {"L", "R", "AL"}:
            return 0 if kind == "L" else 1
        index = partners.get(index, end) if kind in ISOLATES else index + 1
    return None


def _explicit(  # noqa: PLR0912 - as many cases as the standard has
    types: list[str], partners: dict[int, int], base: int
) -> tuple[list[int], list[str]]:
    """Return levels and types; an override changes types (X1 to X8)."""
    resolved, kinds = [base] * len(types), list(types)
    stack: list[tuple[int, str, bool]] = [(base, "", False)]
    lost_isolates = lost_embeddings = isolates = 0
    for index, kind in enumerate(types):
        level, override, _ = stack[-1]
        if kind in _EMBEDDINGS or kind in ISOLATES:
            isolate = kind in ISOLATES
            if isolate:
                resolved[index], kinds[index] = level, override or kind
            if kind == "FSI":
                right = _first_strong(types, partners, index + 1, partners.get(index)) == 1
            else:
                right = kind.startswith("R")
            deeper = (level + 1) | 1 if right else (level + 2) & ~1
            if deeper <= _DEEPEST and not lost_isolates and not lost_embeddings:
                isolates += isolate
                stack.append((deeper, _EMBEDDINGS.get(kind, ""), isolate))
            elif isolate:
                lost_isolates += 1
            elif not lost_isolates:
                lost_embeddings += 1
        elif kind == "PDI":
            if lost_isolates:
                lost_isolates -= 1
            elif isolates:
                lost_embeddings, isolates = 0, isolates - 1
                while not stack.pop()[2]:
                    pass
            level, override, _ = stack[-1]
            resolved[index], kinds[index] = level, override or kind
        elif kind == "PDF":
            if lost_isolates:
                pass
            elif lost_embeddings:
                lost_embeddings -= 1
            elif len(stack) > 1 and not stack[-1][2]:
                stack.pop()
        elif kind == "B":
            resolved[index] = base
        elif kind != "BN":
            resolved[index], kinds[index] = level, override or kind
    return resolved, kinds


def _sequences(types: list[str], partners: dict[int, int], resolved: list[int]) -> Iterator[list[int]]:
    """Yield the isolating run sequences (BD13), as indices of what X9 leaves."""
    kept = [index for index, kind in enumerate(types) if kind not in _REMOVED]
    level_runs = [list(group) for _, group in groupby(kept, key=lambda index: resolved[index])]
    beginning = {run[0]: run for run in level_runs}
    for run in level_runs:
        if types[run[0]] == "PDI" and run[0] in partners:
            continue  # it continues another sequence
        sequence = list(run)
        while types[sequence[-1]] in ISOLATES and sequence[-1] in partners:
            sequence += beginning[partners[sequence[-1]]]
        yield sequence


def _implicit(
    line: str,
    types: list[str],
    kinds: list[str],
    sequence: list[int],
    explicit: list[int],
    sides: tuple[str, str],
) -> list[int]:
    """Return the levels of one isolating run sequence (W1 to N2, I1 and I2)."""
    level = explicit[sequence[0]]
    seen = [kinds[index] for index in sequence]
    directions.weak(seen, sides[0])
    directions.brackets(
        [line[index] for index in sequence], seen, [types[index] for index in sequence], level, sides[0]
    )
    directions.neutral(seen, level, *sides)
    rises = ({"L": 0, "R": 1}, {"L": 1, "R": 0})[level % 2]
    return [level + rises.get(kind, 2 - level % 2) for kind in seen]


def _outside(types: list[str], explicit: list[int], sequence: list[int], base: int) -> tuple[str, str]:
    """Return the directions before and after a sequence: sos and eos (X10)."""
    level = explicit[sequence[0]]
    first, last = sequence[0] - 1, sequence[-1] + 1
    while first >= 0 and types[first] in _REMOVED:
        first -= 1
    while last < len(types) and types[last] in _REMOVED:
        last += 1
    previous = explicit[first] if first >= 0 else base
    unmatched = types[sequence[-1]] in ISOLATES
    following = base if unmatched or last == len(types) else explicit[last]
    return "LR"[max(level, previous) % 2], "LR"[max(level, following) % 2]
