"""Divide a recording into chapters where its words change (TextTiling, Hearst 1997), preferably at pauses."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from handlers.shared.text.keywords import keywords
from handlers.shared.text.language import content_words, stem
from handlers.studio.enrichment.sentences import Sentence

WINDOW = 60  # words to each side of a place that are compared
SHORTEST = 25  # words of a chapter
MAX_CHAPTERS = 24  # chapters
LONG_PAUSE = 1.5  # seconds


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a recording with one subject; times in seconds."""

    start: float
    end: float
    title: str


def chapters(spoken: Sequence[Sentence], language: str | None) -> list[Chapter]:
    """Return the chapters; a short recording, or one with one subject, is one chapter."""
    bounds = [0, *_bounds(spoken, language), len(spoken)]
    parts = [spoken[start:end] for start, end in pairwise(bounds) if start < end]
    return [Chapter(part[0].start, part[-1].end, _title(part, language)) for part in parts]


def _bounds(spoken: Sequence[Sentence], language: str | None) -> list[int]:
    """Return the numbers of the sentences that begin a chapter."""
    bags = [Counter(map(stem, content_words(sentence.text, language))) for sentence in spoken]
    sizes = [len(sentence.text.split()) for sentence in spoken]
    places = range(1, len(spoken))
    alike = [_likeness(_around(bags, sizes, place, -1), _around(bags, sizes, place, 1)) for place in places]
    depths = [_depth(alike, number) for number in range(len(alike))]
    if not depths:
        return []
    least = max(0.1, statistics.fmean(depths) + statistics.pstdev(depths) / 2)
    scores = {}
    for place, depth in zip(places, depths, strict=True):
        pause = spoken[place].start - spoken[place - 1].end
        scores[place] = depth + (0.25 if pause >= LONG_PAUSE else 0.0)
    shortest = max(SHORTEST, sum(sizes) // MAX_CHAPTERS)
    chosen: list[int] = []
    for place in sorted(scores, key=lambda place: -scores[place]):
        edges = sorted([0, *chosen, place, len(spoken)])
        at = edges.index(place)
        roomy = all(sum(sizes[a:b]) >= shortest for a, b in ((edges[at - 1], place), (place, edges[at + 1])))
        if scores[place] >= least and roomy:
            chosen.append(place)
    return sorted(chosen)


def _around(bags: Sequence[Counter[str]], sizes: Sequence[int], place: int, step: int) -> Counter[str]:
    """Return the words of the sentences before or after a place, within the window."""
    found: Counter[str] = Counter()
    seen, at = 0, place if step > 0 else place - 1
    while 0 <= at < len(bags) and seen < WINDOW:
        found += bags[at]
        seen += sizes[at]
        at += step
    return found


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    """Return the cosine between two bags of words, 0 to 1."""
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    return sum(count * other[word] for word, count in one.items()) / lengths if lengths else 0.0


def _depth(alike: Sequence[float], at: int) -> float:
    """Return the depth of the valley between the hills on both sides."""
    hills = []
    for step in (-1, 1):
        top, place = alike[at], at
        while 0 <= place + step < len(alike) and alike[place + step] >= top:
            place += step
            top = alike[place]
        hills.append(top)
    return sum(hills) - 2 * alike[at]


def _title(part: Sequence[Sentence], language: str | None) -> str:
    found = keywords(" ".join(sentence.text for sentence in part), language, 2)
    text = ", ".join(found) or " ".join(part[0].text.split()[:6])
    return text[0].upper() + text[1:]
