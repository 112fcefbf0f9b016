"""Derive language, paragraphs, chapters and keywords from a transcript, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from handlers.shared.text import language
from handlers.shared.text.keywords import keywords
from handlers.studio.enrichment.chapters import Chapter, chapters
from handlers.studio.enrichment.sentences import Paragraph, Sentence, paragraphs, sentences
from handlers.studio.transcript import Transcript

KEYWORDS = 12
WORDS_A_MINUTE = 230  # that people read


@dataclass(frozen=True, slots=True)
class Enrichment:
    """The properties of a transcript.

    Attributes:
        language: two letters, or None.
        duration: of the recording, in seconds.
        reading_minutes: time to read the text.
        keywords: the most important first.
    """

    language: str | None
    duration: float
    words: int
    reading_minutes: float
    keywords: tuple[str, ...]
    chapters: tuple[Chapter, ...]
    paragraphs: tuple[Paragraph, ...]

    @property
    def text(self) -> str:
        """The paragraphs, an empty line between them."""
        return "\n\n".join(paragraph.text for paragraph in self.paragraphs)

    def to_json(self) -> dict[str, Any]:
        """Return the fields in JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Enrichment:
        """Return the enrichment from the result of `to_json`."""
        lists = {
            "keywords": tuple(found["keywords"]),
            "chapters": tuple(Chapter(**one) for one in found["chapters"]),
            "paragraphs": tuple(Paragraph(**one) for one in found["paragraphs"]),
        }
        return cls(**{**found, **lists})


def enrich(transcript: Transcript) -> Enrichment:
    """Enrich a transcript; takes about a second for an hour of speech."""
    spoken_in = transcript.language or language.guess(transcript.text)
    spoken = sentences(transcript)
    parts = chapters(spoken, spoken_in)
    begins = {chapter.start for chapter in parts}
    # A paragraph belongs to one chapter.
    grouped: list[Paragraph] = []
    held: list[Sentence] = []
    for sentence in spoken:
        if sentence.start in begins and held:
            grouped += paragraphs(held)
            held = []
        held.append(sentence)
    grouped += paragraphs(held)
    text = " ".join(sentence.text for sentence in spoken)
    words = len(text.split())
    return Enrichment(
        language=spoken_in,
        duration=round(transcript.duration, 2),
        words=words,
        reading_minutes=round(words / WORDS_A_MINUTE, 1),
        keywords=tuple(keywords(text, spoken_in, KEYWORDS)),
        chapters=tuple(parts),
        paragraphs=tuple(grouped),
    )
