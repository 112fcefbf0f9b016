"""Resolve the directions of marks, numbers, brackets and spaces (UAX #9: W1 to N2).

Types are those of the Unicode database: `unicodedata.bidirectional`.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import groupby

ISOLATES = ("LRI", "RLI", "FSI")
_BRACKETS_OPEN = 63  # BD16
_NEUTRAL = ("B", "S", "WS", "ON", *ISOLATES, "PDI")


def weak(seen: list[str], before: str) -> None:  # noqa: PLR0912 - as many cases as the standard has
    """Resolve marks and numbers (W1 to W7)."""
    previous = before
    for index, kind in enumerate(seen):
        if kind == "NSM":
            seen[index] = "ON" if previous in {*ISOLATES, "PDI"} else previous
        previous = seen[index]
    strong = before
    for index, kind in enumerate(seen):
        if kind in {"L", "R", "AL"}:
            strong = kind
        elif kind == "EN" and strong == "AL":
            seen[index] = "AN"
    seen[:] = ["R" if kind == "AL" else kind for kind in seen]
    for index in range(1, len(seen) - 1):
        left, kind, right = seen[index - 1 : index + 2]
        if left == right and ((kind == "CS" and left in {"EN", "AN"}) or (kind == "ES" and left == "EN")):
            seen[index] = left
    start = 0
    for kind, group in groupby(list(seen)):
        end = start + len(list(group))
        if kind == "ET" and "EN" in (*seen[max(0, start - 1) : start], *seen[end : end + 1]):
            seen[start:end] = ["EN"] * (end - start)
        start = end
    strong = before
    for index, kind in enumerate(seen):
        if kind in {"ES", "ET", "CS"}:
            seen[index] = "ON"
        elif kind in {"L", "R"}:
            strong = kind
        elif kind == "EN" and strong == "L":
            seen[index] = "L"


def brackets(chars: list[str], seen: list[str], types: list[str], level: int, before: str) -> None:
    """Give a pair of brackets the direction of its contents, or of what precedes it (N0)."""
    along = "LR"[level % 2]
    for opening, closing in _pairs(chars, seen):
        inside = {_strong(kind) for kind in seen[opening + 1 : closing]} - {""}
        if not inside:
            continue
        side = along
        if along not in inside:
            side = next(filter(None, map(_strong, reversed(seen[:opening]))), before)
        for bracket in (opening, closing):
            seen[bracket] = side
            for index in range(bracket + 1, len(seen)):
                if types[index] != "NSM":
                    break
                seen[index] = side


def _pairs(chars: list[str], seen: list[str]) -> list[tuple[int, int]]:
    """Return the pairs of brackets, sorted by where they open (BD16)."""
    ends = _bracket_ends()
    pairs, begun = [], list[tuple[str, int]]()
    for index, char in enumerate(chars):
        if seen[index] != "ON":
            continue
        bracket = unicodedata.normalize("NFC", char)
        if bracket in ends:
            if len(begun) == _BRACKETS_OPEN:
                return []
            begun.append((ends[bracket], index))
        elif any(end == bracket for end, _ in begun):
            while begun[-1][0] != bracket:
                begun.pop()
            pairs.append((begun.pop()[1], index))
    return sorted(pairs)


@cache
def _bracket_ends() -> dict[str, str]:
    """Map each opening bracket to its closing one, which in Unicode is one or two code points later."""
    ends = {}
    for char in map(chr, range(0x28, 0xFF60)):
        if unicodedata.category(char) == "Ps" and unicodedata.bidirectional(char) == "ON":
            near = (chr(ord(char) + 1), chr(ord(char) + 2))
            closing = [each for each in near if unicodedata.category(each) == "Pe"]
            if closing and unicodedata.mirrored(char):
                ends[unicodedata.normalize("NFC", char)] = unicodedata.normalize("NFC", closing[0])
    return ends


def neutral(seen: list[str], level: int, before: str, after: str) -> None:
    """Give neutral characters the direction of both neighbours if they agree, and else that of the level (N1, N2)."""
    start, previous = 0, before
    for open_ones, group in groupby(list(seen), key=lambda kind: kind in _NEUTRAL):
        end = start + len(list(group))
        if open_ones:
            following = _strong(seen[end]) if end < len(seen) else after
            side = previous if previous == following else "LR"[level % 2]
            seen[start:end] = [side] * (end - start)
        else:
            previous = _strong(seen[end - 1])
        start = end


def _strong(kind: str) -> str:
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind, "")
