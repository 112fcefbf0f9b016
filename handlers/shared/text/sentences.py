"""Split a text into sentences."""

from __future__ import annotations

import re

_MARKS = ".!?…。？！।"
_CLOSING = "\"'”’)\\]»"
_END = re.compile(rf"[{_MARKS}]+[{_CLOSING}]*$")
# Abbreviations: letters with a point after each, titles, and what usually stands before a number or a name.
_ABBREVIATION = re.compile(
    r"^[\"'“‘(\[«]*(?:(?:[^\W\d_]\.)+|(?:mr|mrs|ms|dr|prof|st|vs|no|nr|ca|bzw|str|etc|sr|sra|mme|art|fig|cf)\.)$",
    re.IGNORECASE,
)
_BOUNDARY = re.compile(rf"(?<=[{_MARKS}])[{_CLOSING}]*\s+(?=[\"'“‘(«¿¡]*\w)|\n{{2,}}|(?<=[。？！])")


def has_end(text: str) -> bool:
    """Return whether a text ends with the punctuation of a sentence."""
    return _END.search(text) is not None


def ends_sentence(word: str) -> bool:
    """Return whether a sentence ends with this word and its punctuation; abbreviations such as "Dr." end none."""
    return has_end(word) and not _ABBREVIATION.search(word)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text in their order; an empty line ends one, too."""
    found: list[str] = []
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        before = text[start : boundary.end()].split()
        if before and (ends_sentence(before[-1]) or "\n\n" in boundary[0]):
            found.append(" ".join(before))
            start = boundary.end()
    rest = " ".join(text[start:].split())
    return [*found, rest] if rest else found
