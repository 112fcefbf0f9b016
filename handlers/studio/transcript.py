"""Transcripts: segments and words with their times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Word:
    """One word; times in seconds from the beginning of the recording."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One utterance.

    Attributes:
        start, end: seconds from the beginning of the recording.
        words: with their times, if the transcriber reports them.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()

    def later(self, seconds: float) -> Segment:
        """Return the segment, shifted by so many seconds."""
        words = tuple(
            replace(word, start=word.start + seconds, end=word.end + seconds) for word in self.words
        )
        return replace(self, start=self.start + seconds, end=self.end + seconds, words=words)

    def timed(self) -> tuple[Word, ...]:
        """Return the words of the text with their times, which are estimated from the words' lengths if not reported.

        Transcribers that report times often omit the punctuation in the words, so the text of the segment is used.
        """
        texts = self.text.split()
        if len(texts) == len(self.words):
            return tuple(replace(word, text=text) for word, text in zip(self.words, texts, strict=True))
        pace = (self.end - self.start) / (sum(len(text) + 1 for text in texts) or 1)
        start, spread = self.start, []
        for text in texts:
            end = start + pace * (len(text) + 1)
            spread.append(Word(start, end, text))
            start = end
        return tuple(spread)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole transcript.

    Attributes:
        language: two letters, as the transcriber reports, or None.
        duration: of the recording in seconds; 0 if unknown.
    """

    segments: tuple[Segment, ...]
    language: str | None
    duration: float

    @property
    def text(self) -> str:
        """The text, a line for each segment."""
        return "\n".join(segment.text for segment in self.segments)


def segments_to_json(segments: Iterable[Segment]) -> list[dict[str, Any]]:
    """Return segments in JSON types; times to the hundredth of a second, words as [start, end, text]."""
    return [
        {
            "start": round(segment.start, 2),
            "end": round(segment.end, 2),
            "text": segment.text,
            "words": [[round(word.start, 2), round(word.end, 2), word.text] for word in segment.words],
        }
        for segment in segments
    ]


def segments_from_json(found: Iterable[Mapping[str, Any]]) -> tuple[Segment, ...]:
    """Return segments from the result of `segments_to_json`."""
    return tuple(
        Segment(one["start"], one["end"], one["text"], tuple(Word(*word) for word in one["words"]))
        for one in found
    )
