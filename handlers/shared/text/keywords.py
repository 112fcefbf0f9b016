"""Keywords of a text: rapid automatic keyword extraction (Rose et al. 2010), weighted by how often a phrase occurs."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict

from handlers.shared.text.language import content_word, stem, stop_words, words

MAX_PHRASE_WORDS = 3  # words of a phrase


def keywords(text: str, language: str | None, limit: int) -> list[str]:
    """Return the most important phrases of a text, the most important one first.

    Args:
        text: with its punctuation, which separates phrases.
        language: ISO 639-1 code; in a language without stop words each word is a phrase.
        limit: phrases to return at most.
    """
    phrases = _phrases(text, language)
    counts = Counter(tuple(map(stem, phrase)) for phrase in phrases)
    spellings: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for phrase in phrases:
        stems = tuple(map(stem, phrase))
        spellings[stems][" ".join(phrase)] += 1
        for one in stems:
            frequency[one] += 1
            degree[one] += len(stems)
    # The degree alone would put a long phrase that occurs once before the subject of the text.
    scores = {
        stems: math.log2(1 + count) * sum(math.sqrt(frequency[one]) * degree[one] / frequency[one] for one in stems)
        / math.sqrt(len(stems))
        for stems, count in counts.items()
    }  # fmt: skip
    chosen: list[tuple[str, ...]] = []
    # Of equal phrases the one that comes first in the text.
    for stems in sorted(scores, key=lambda stems: -scores[stems]):
        # A phrase adds nothing to one that has all of its words.
        if not any(set(stems) <= set(other) or set(other) <= set(stems) for other in chosen):
            chosen.append(stems)
    return [spellings[stems].most_common(1)[0][0] for stems in chosen[:limit]]


def _phrases(text: str, language: str | None) -> list[tuple[str, ...]]:
    """Return the runs of content words between stop words and punctuation."""
    phrases: list[tuple[str, ...]] = []
    for part in re.split(r"[.!?,;:…()\"“”\n。？！।]+", text):
        run: list[str] = []
        for word in [*words(part), ""]:
            found = content_word(word, language)
            if found and found == word:
                run.append(word)
                continue
            phrases += _whole(run, language)
            run = [found] if found else []
    return phrases


def _whole(run: list[str], language: str | None) -> list[tuple[str, ...]]:
    if language in stop_words():
        return [tuple(run)] if 0 < len(run) <= MAX_PHRASE_WORDS else []
    return [(word,) for word in run]
