"""Refine by fixed rules, if no language model is configured."""

from __future__ import annotations

import re
from collections.abc import Callable

from handlers.studio.enrichment import Enrichment
from handlers.studio.refiners.base import RefinedPieces

FILLERS = r"(?:u+m+|u+h+|u+hm+|e+r+m*|a+h+|h+m+m+|m+h+m+|äh+m?|öh+m?|euh+)"
# Words that may be repeated on purpose.
_DOUBLED = {"had", "that", "very", "really", "no", "yes", "sie", "die", "das", "vous", "nous"}


class RuleRefiner:
    """Removes fillers and repeated words; sentences and paragraphs come from the enrichment."""

    remark = (
        "The text was tidied by fixed rules and not rewritten, because no language model is configured; set"
        " STUDIO_LLM_URL or STUDIO_LLM_KEY."
    )

    async def refine(
        self, enriched: Enrichment, prompt: str, notes: RefinedPieces, progress: Callable[[float], None]
    ) -> str:
        """Return the finished text; the prompt is not used."""
        return "\n\n".join(filter(None, (tidied(paragraph.text) for paragraph in enriched.paragraphs)))


def tidied(text: str) -> str:
    """Return a text without fillers and repeated words, its sentences with a capital letter."""
    text = re.sub(rf"(?:^|(?<=\s)){FILLERS}\b[,.…]*(?:\s+|$)", "", text, flags=re.IGNORECASE)
    text = re.sub(r"\b([^\W\d_]+)((?:,?\s+\1\b)+)", _once, text, flags=re.IGNORECASE)
    text = re.sub(r"\s+([,.;:!?…])", r"\1", text)
    text = re.sub(r"([.!?…]\s+|^)([^\W\d_])", lambda found: found[1] + found[2].upper(), text)
    return text.strip()


def _once(found: re.Match[str]) -> str:
    return found[0] if found[1].lower() in _DOUBLED else found[1]
