"""What a text says of itself, by small rules: language, sentences, keywords, summary, readability, intent."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"'”’)]*\s+(?=[\"'“‘(]*\w)|\n{2,}|(?<=[。！？])")
_SCRIPTS = {
    "CJK": "zh",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "HEBREW": "he",
    "GREEK": "el",
    "DEVANAGARI": "hi",
    "THAI": "th",
}
# What is wanted, by words that people use for it; the first that fits.
_INTENTS = {
    "summarise": r"summar\w*|tl;?dr|condense|shorten|digest",
    "translate": r"translat\w*|subtitl\w*|dub(?:bed|bing)?",
    "enhance": r"enhanc\w*|improv\w*|upscal\w*|restor\w*|denois\w*|sharpen\w*|colou?r[- ]?(?:grad|correct)\w*|clean up",
    "edit": r"edit\w*|cut|trim\w*|crop\w*|merg\w*|combin\w*|remov\w*|replac\w*|split|resiz\w*",
    "analyse": r"analy[sz]\w*|explain|describ\w*|review|detect|classif\w*|find out",
    "create": r"creat\w*|generat\w*|mak(?:e|ing)|produc\w*|design\w*|draw|write|compos\w*|render|build|animat\w*",
}
_ASPECTS = {
    "9:16": r"9:16|vertical|portrait|tik ?tok|reels?|shorts?|stor(?:y|ies)",
    "1:1": r"1:1|square",
    "4:5": r"4:5",
    "4:3": r"4:3",
    "16:9": r"16:9|landscape|widescreen|horizontal|youtube",
}
_UNITS = {"s": 1, "m": 60}
_DURATION = re.compile(
    r"\b(\d{1,4}(?:\.\d+)?)[ -]?(s|sec|secs|second|seconds|m|min|mins|minute|minutes)\b", re.IGNORECASE
)


@cache
def stopwords() -> dict[str, frozenset[str]]:
    """Language -> words that every text in it uses."""
    lines = Path(__file__).parents[1].joinpath("stopwords.txt").read_text(encoding="utf-8").splitlines()
    return {
        language: frozenset(words.split()) for language, _, words in (line.partition(": ") for line in lines)
    }


def language(text: str) -> str | None:
    """The ISO 639-1 code of the language that a text is probably written in; None for want of evidence."""
    letters = [letter for letter in text[:20_000] if letter.isalpha()]
    scripts = Counter(unicodedata.name(letter, "").split()[0].split("-")[0] for letter in letters)
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > len(letters) / 20:
        return "ja"
    (script, count), *_ = scripts.most_common(1) or [("", 0)]
    if script in _SCRIPTS and count > len(letters) / 2:
        return _SCRIPTS[script]
    words = [word.lower() for word in WORD.findall(text[:20_000])]
    hits = {code: sum(word in known for word in words) for code, known in stopwords().items()}
    best = max(hits, key=lambda code: hits[code])
    return best if hits[best] >= max(1, len(words) / 12) else None


def sentences(text: str) -> list[str]:
    """The sentences of a text, in their order."""
    return [" ".join(part.split()) for part in _SENTENCE.split(text) if part and part.strip()]


def keywords(text: str, most: int = 10) -> list[str]:
    """The words that a text is about, the most telling first."""
    common = stopwords().get(language(text) or "en", frozenset())
    words = [word.lower() for word in WORD.findall(text)]
    counted = Counter(word for word in words if len(word) > 2 and word not in common)
    # Of equals the one that comes first in the text.
    return sorted(counted, key=lambda word: -counted[word] * min(len(word), 10))[:most]


def summary(text: str, most: int = 3) -> list[str]:
    """The sentences that say the most of what a text is about, in their order."""
    found = sentences(text)
    telling = {word: 1 / (place + 1) for place, word in enumerate(keywords(text, 30))}

    def weight(place: int) -> float:
        words = [word.lower() for word in WORD.findall(found[place])]
        # Long sentences should not win by their length alone; the first ones say what it is about.
        told = sum(telling.get(word, 0.0) for word in set(words))
        return told / math.sqrt(len(words) + 5) * (1.2 if place == 0 else 1.0)

    return [found[place] for place in sorted(sorted(range(len(found)), key=weight, reverse=True)[:most])]


def readability(text: str) -> dict[str, Any]:
    """How hard a text is to read: Flesch's reading ease, where 60 to 70 is plain English, and what goes into it."""
    words, count = WORD.findall(text), max(1, len(sentences(text)))
    if not words:
        return {"words": 0, "sentences": 0, "words_per_sentence": 0.0, "minutes": 0.0, "reading_ease": None}
    syllables = sum(max(1, len(re.findall(r"[aeiouyäöüáéíóúàèìòùâêîôû]+", word.lower()))) for word in words)
    ease = 206.835 - 1.015 * len(words) / count - 84.6 * syllables / len(words)
    return {
        "words": len(words),
        "sentences": count,
        "words_per_sentence": round(len(words) / count, 1),
        "minutes": round(len(words) / 230, 2),
        "reading_ease": round(max(0.0, min(100.0, ease)), 1),
    }


def wanted(query: str) -> dict[str, Any]:
    """What a query asks for: intent, seconds and aspect, each None where it does not say."""
    said = _DURATION.search(query)
    return {
        "intent": _first(_INTENTS, query),
        "seconds": float(said[1]) * _UNITS[said[2][0].lower()] if said else None,
        "aspect_ratio": _first(_ASPECTS, query),
    }


def _first(choices: dict[str, str], text: str) -> str | None:
    found = {
        name: re.search(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE) for name, words in choices.items()
    }
    return next((name for name, match in found.items() if match), None)
