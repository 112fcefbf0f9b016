"""The order of letters, by the Unicode Bidirectional Algorithm. Capitals stand for Hebrew letters."""

from __future__ import annotations

import pytest

from handlers.export.text import bidi

HEBREW = {chr(ord("A") + number): chr(0x5D0 + number) for number in range(26)}
SIGNS = {
    "⟦": "\u2067",
    "⟪": "\u2066",
    "⟅": "\u2068",
    "⟧": "\u2069",
    "»": "\u202e",
    "«": "\u202d",
    "¦": "\u202c",
}
MIRRORED = str.maketrans("()[]<>", ")(][><")


def seen(line: str) -> str:
    """Return what a reader sees from left to right, without the signs."""
    letters = str.maketrans(HEBREW | SIGNS)
    shown = []
    for run in bidi.runs(line.translate(letters)):
        part = line[run.start : run.end]
        shown.append(part[::-1].translate(MIRRORED) if run.rtl else part)
    return "".join(char for char in "".join(shown) if char not in SIGNS)


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("", ""),
        ("one two.", "one two."),
        ("ABC", "CBA"),
        ("car means CAR.", "car means RAC."),
        ("CAR MEANS car.", ".car SNAEM RAC"),
        ("he said “CAR MEANS car.”", "he said “SNAEM RAC car.”"),
        ("AB 12-34 CD", "DC 12-34 BA"),
        ("ا 12-34", "34-12 ا"),
        ("AB 12.5% CD", "DC 12.5% BA"),
        ("A (b) C", "C (b) A"),
        ("a (B) c", "a (B) c"),
        ("a (B c", "a (B c"),
        ("A[b(C]d", "d[C)b]A"),
        ("a ⟦B c⟧ d", "a c B d"),
        ("A ⟪b C⟧ D", "D b C A"),
        ("a ⟅B c⟧ ⟅d E⟧", "a c B d E"),
        ("a »bc¦ d", "a cb d"),
        ("A «BC¦ D", "D BC A"),
        ("a ⟦⟦⟦B", "a B"),
        ("⟧⟧a¦B", "aB"),
        ("AB  ", "  BA"),
        ("ab (c AB) CD", "ab (c BA) DC"),
        ("ab »CD  ", "ab DC  "),
    ],
)
def test_order(line: str, order: str) -> None:
    assert seen(line) == order


def test_deeper_than_the_deepest_is_still_an_order() -> None:
    line = "\u202b\u202aa" * 400 + "\u2067b" * 400 + "ב" * 10
    runs = bidi.runs(line)

    assert max(bidi.levels(line)) <= 126
    assert sorted(index for run in runs for index in range(run.start, run.end)) == list(range(len(line)))
