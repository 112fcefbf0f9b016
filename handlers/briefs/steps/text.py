"""The step `text_analysis`: language, keywords, a summary, and how hard a text is to read."""

from __future__ import annotations

import math
import re
from typing import Any

from anyio import to_thread

from handlers.briefs.model import BriefError
from handlers.briefs.step import Step
from handlers.shared.text.keywords import keywords
from handlers.shared.text.language import content_words, guess, stem, words
from handlers.shared.text.sentences import sentences

KEYWORDS = 10
SUMMARY = 3  # sentences
WORDS_PER_MINUTE = 230  # that people read


async def text_analysis(step: Step) -> dict[str, Any]:
    """Analyse the text in the brief's metadata, else its description and query, else its title."""
    text = str(step.payload.get("text") or step.metadata.get("text") or step.said or step.title)
    if not text.strip():
        raise BriefError("There is no text: neither in metadata.text nor in the brief itself.")
    return await to_thread.run_sync(_analysed, text)


def _analysed(text: str) -> dict[str, Any]:
    language = guess(text)
    return {
        "language": language,
        "keywords": keywords(text, language, KEYWORDS),
        "summary": summary(text, language),
        "readability": readability(text),
    }


def summary(text: str, language: str | None, limit: int = SUMMARY) -> list[str]:
    """Return the sentences that cover most of the keywords of a text, in their order."""
    found = sentences(text)
    weights: dict[str, float] = {}
    for place, phrase in enumerate(keywords(text, language, 30)):
        for word in phrase.split():
            weights.setdefault(stem(word), 1 / (place + 1))

    def weight(place: int) -> float:
        covered = {stem(word) for word in content_words(found[place], language)}
        # The length must not decide alone. The first sentence usually names the subject.
        by_length = math.sqrt(len(words(found[place])) + 5)
        return sum(weights.get(word, 0.0) for word in covered) / by_length * (1.2 if place == 0 else 1.0)

    return [found[place] for place in sorted(sorted(range(len(found)), key=weight, reverse=True)[:limit])]


def readability(text: str) -> dict[str, Any]:
    """Return Flesch's reading ease (1948), where 60 to 70 is plain English, and the counts that it is made of."""
    found, count = words(text), max(1, len(sentences(text)))
    if not found:
        return {"words": 0, "sentences": 0, "words_per_sentence": 0.0, "minutes": 0.0, "reading_ease": None}
    syllables = sum(max(1, len(re.findall(r"[aeiouyäöüáéíóúàèìòùâêîôû]+", word))) for word in found)
    ease = 206.835 - 1.015 * len(found) / count - 84.6 * syllables / len(found)
    return {
        "words": len(found),
        "sentences": count,
        "words_per_sentence": round(len(found) / count, 1),
        "minutes": round(len(found) / WORDS_PER_MINUTE, 2),
        "reading_ease": round(max(0.0, min(100.0, ease)), 1),
    }
