"""Divide a transcript into sentences and paragraphs: by its punctuation, or by its pauses if it has none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from handlers.shared.text.sentences import ends_sentence, has_end
from handlers.studio.transcript import Transcript, Word

STOP = 0.6  # seconds of silence that end a sentence without punctuation
COMMA = 0.35
PARAGRAPH_PAUSE = 1.5
PARAGRAPH_WORDS = 110  # after which the next sentence begins a paragraph
PUNCTUATED = 1 / 60  # ends of sentences to a word, at least, in a text that has punctuation


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence; times in seconds of the recording."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences that belong together."""

    start: float
    end: float
    text: str


def sentences(transcript: Transcript) -> list[Sentence]:
    """Return the sentences of a transcript, by its punctuation if it has any, else by its pauses."""
    words = [word for segment in transcript.segments for word in segment.timed()]
    ends = sum(ends_sentence(word.text) for word in words)
    split = _by_points(words) if ends > len(words) * PUNCTUATED else _by_pauses(words)
    return [Sentence(some[0].start, some[-1].end, _mended(some)) for some in split if some]


def paragraphs(spoken: Sequence[Sentence]) -> list[Paragraph]:
    """Group sentences: a new paragraph after a long pause, or when one has become long."""
    groups: list[list[Sentence]] = []
    for sentence in spoken:
        if (
            not groups
            or sentence.start - groups[-1][-1].end >= PARAGRAPH_PAUSE
            or sum(len(one.text.split()) for one in groups[-1]) >= PARAGRAPH_WORDS
        ):
            groups.append([])
        groups[-1].append(sentence)
    return [
        Paragraph(some[0].start, some[-1].end, " ".join(sentence.text for sentence in some))
        for some in groups
    ]


def _by_points(words: Sequence[Word]) -> list[list[Word]]:
    split: list[list[Word]] = [[]]
    for word in words:
        split[-1].append(word)
        if ends_sentence(word.text):
            split.append([])
    return split


def _by_pauses(words: Sequence[Word]) -> list[list[Word]]:
    split: list[list[Word]] = [[]]
    for word in words:
        gap = word.start - split[-1][-1].end if split[-1] else 0.0
        if gap >= STOP:
            split.append([])
        elif gap >= COMMA and split[-1][-1].text[-1].isalnum():
            last = split[-1][-1]
            split[-1][-1] = Word(last.start, last.end, f"{last.text},")
        split[-1].append(word)
    return split


def _mended(words: Sequence[Word]) -> str:
    text = " ".join(word.text for word in words)
    text = re.sub(r"\s+([,.;:!?…])", r"\1", text)
    text = re.sub(r"\bi(?=\b(?:'|’|\s|$))", "I", text)
    text = text[0].upper() + text[1:]
    return text if has_end(text) else f"{text.rstrip(',;:')}."
