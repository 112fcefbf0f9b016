"""The small words of some languages: by them a language is known, and without them what a text is about."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

WORDS = Path(__file__).with_name("stopwords.txt")
SHARE = 0.2  # of a text's words that are small ones of its language, at least


@cache
def small_words() -> dict[str, frozenset[str]]:
    """The small words of each language that is known."""
    lines = WORDS.read_text(encoding="utf-8").splitlines()
    return {name: frozenset(words.split()) for name, words in (line.split(":", 1) for line in lines)}


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text.lower())


def guess(text: str) -> str | None:
    """The language of a text, as two letters; None where none of those that are known is likely."""
    words = words_of(text)[:2000]
    if not words:
        return None
    shares = {
        name: sum(word in small for word in words) / len(words) for name, small in small_words().items()
    }
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= SHARE else None


def content_words(text: str, language: str | None) -> list[str]:
    """The words of a text that say what it is about: no small ones, and nothing shorter than three letters."""
    small = small_words().get(language or "", frozenset())
    return [word for word in words_of(text) if len(word) > 2 and word not in small and "'" not in word]


def stem(word: str) -> str:
    """A word without the endings that make plurals; crude, and good enough to compare what texts are about."""
    for ending in ("ies", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word
