"""What a text is about, in its own words: rapid automatic keyword extraction (Rose et al. 2010), weighted by how often
a phrase is said."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict

from handlers.studio.language import small_words, stem, words_of

LONGEST = 3  # words of a phrase


def keywords(text: str, language: str | None, most: int) -> list[str]:
    """The phrases that matter most, the first of them first.

    Args:
        text: with punctuation.
        language: two letters; for a language that is not known, single words that are said often count.
        most: phrases to answer.
    """
    said = _phrases(text, language)
    counts = Counter(tuple(stem(word) for word in phrase) for phrase in said)
    spoken: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for phrase in said:
        stems = tuple(stem(word) for word in phrase)
        spoken[stems][" ".join(phrase)] += 1
        for one in stems:
            frequency[one] += 1
            degree[one] += len(stems)
    # Degree alone would put long phrases that were said once before what the text turns around.
    scores = {
        stems: math.log2(1 + count) * sum(math.sqrt(frequency[one]) * degree[one] / frequency[one] for one in stems)
        / math.sqrt(len(stems))
        for stems, count in counts.items()
    }  # fmt: skip
    chosen: list[tuple[str, ...]] = []
    for stems in sorted(scores, key=lambda key: (-scores[key], key)):
        # A phrase says no more than one that has all of its words.
        if not any(set(stems) <= set(other) or set(other) <= set(stems) for other in chosen):
            chosen.append(stems)
    return [spoken[stems].most_common(1)[0][0] for stems in chosen[:most]]


def _phrases(text: str, language: str | None) -> list[tuple[str, ...]]:
    """What stands between small words and points."""
    small = small_words().get(language or "")
    phrases: list[tuple[str, ...]] = []
    for part in re.split(r"[.!?,;:…()\"“”\n]+", text):
        held: list[str] = []
        for word in [*words_of(part), ""]:
            if len(word) > 2 and (small is None or word not in small) and "'" not in word:
                held.append(word)
                continue
            phrases += (
                [tuple(held)] if 0 < len(held) <= LONGEST and small is not None else [(one,) for one in held]
            )
            held = []
    return phrases
