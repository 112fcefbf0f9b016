"""Read what a brief's query asks for: its intent, its duration and its aspect ratio."""

from __future__ import annotations

import re
from typing import Any

# Intents by the words that people use for them; the first match counts.
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


def wishes(query: str) -> dict[str, Any]:
    """Return intent, seconds and aspect ratio of a query, each None if it does not say."""
    duration = _DURATION.search(query)
    return {
        "intent": _first(_INTENTS, query),
        "seconds": float(duration[1]) * _UNITS[duration[2][0].lower()] if duration else None,
        "aspect_ratio": _first(_ASPECTS, query),
    }


def _first(choices: dict[str, str], text: str) -> str | None:
    found = {
        name: re.search(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE) for name, words in choices.items()
    }
    return next((name for name, match in found.items() if match), None)
