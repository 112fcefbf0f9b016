"""The enrichment of a transcript, and its captions."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from handlers.studio.demo import SPOKEN
from handlers.studio.enrichment import Enrichment, captions, enrich
from handlers.studio.enrichment.sentences import sentences
from handlers.studio.transcript import Segment, Transcript, Word, segments_from_json, segments_to_json


def said(*texts: str, gap: float = 0.8, pace: float = 0.4) -> Transcript:
    """A transcript with a segment for each text; "" is a long pause."""
    segments, at = [], 0.0
    for text in texts:
        if text:
            segments.append(Segment(at, at + pace * len(text.split()), text))
        at += pace * len(text.split()) + (gap if text else 2.0)
    return Transcript(tuple(segments), None, at)


TALK = SPOKEN.read_text(encoding="utf-8")


def test_two_subjects_are_two_chapters_with_titles() -> None:
    half = TALK.split("\n\n")
    enriched = enrich(said(*half[0].split("\n"), "", *half[1].split("\n")))
    assert [chapter.title for chapter in enriched.chapters] == [
        "Garden needs water, plants",
        "Company spent, budget",
    ]
    assert {"budget", "plants"} <= set(enriched.keywords)
    assert enriched.language == "en"
    assert enriched.words == len(TALK.split())
    # Sentences that were punctuated stay as they are.
    assert enriched.text.split() == TALK.split()


def test_pauses_tell_where_sentences_end_when_nothing_else_does() -> None:
    words = [
        ("so", 0.0),
        ("i", 0.3),
        ("went", 0.6),
        ("home", 1.2),
        ("then", 2.5),
        ("i'll", 2.8),
        ("rest", 3.1),
    ]
    spoken = tuple(Word(start, start + 0.25, text) for text, start in words)
    heard = Transcript((Segment(0, 3.4, " ".join(word.text for word in spoken), spoken),), "en", 4)
    found = sentences(heard)
    assert [(one.text, one.start) for one in found] == [("So I went, home.", 0.0), ("Then I'll rest.", 2.5)]


def test_one_subject_stays_one_chapter() -> None:
    garden = TALK.split("\n\n")[0]
    assert len(enrich(said(*[garden] * 3)).chapters) == 1


def test_a_long_talk_has_no_more_chapters_than_one_can_look_through() -> None:
    garden, budget = TALK.split("\n\n")
    assert 10 < len(enrich(said(*[garden, "", budget, ""] * 40)).chapters) <= 24


def test_a_word_or_two_are_enough() -> None:
    enriched = enrich(said("hello there"))
    assert (enriched.text, len(enriched.chapters), enriched.keywords) == ("Hello there.", 1, ("hello",))


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), min_size=1, max_size=20))
def test_any_words_can_be_enriched_and_kept(texts: list[str]) -> None:
    texts = [" ".join(text.split()) for text in texts if text.split()] or ["so"]
    transcript = said(*texts)
    enriched = enrich(transcript)
    assert Enrichment.from_json(json.loads(json.dumps(enriched.to_json()))) == enriched
    starts = {paragraph.start for paragraph in enriched.paragraphs}
    assert {chapter.start for chapter in enriched.chapters} <= starts
    kept = segments_from_json(json.loads(json.dumps(segments_to_json(transcript.segments))))
    assert [segment.text for segment in kept] == texts


def test_captions_are_short_and_timed() -> None:
    transcript = Transcript(
        (
            Segment(3599.5, 3602.0, "Fish & <chips>."),
            Segment(3603.0, 3613.0, "one two three four five six seven eight nine ten"),
        ),
        "en",
        3613,
    )
    assert captions.srt(transcript).startswith(
        "1\n00:59:59,500 --> 01:00:02,000\nFish & <chips>.\n\n2\n01:00:03,000 --> 01:00:0"
    )
    assert captions.vtt(transcript).startswith(
        "WEBVTT\n\n00:59:59.500 --> 01:00:02.000\nFish &amp; &lt;chips&gt;.\n\n01:00:03.000 --> "
    )
    cues = list(captions.cues(transcript))
    assert " ".join(cue.text for cue in cues) == " ".join(segment.text for segment in transcript.segments)
    assert all(cue.end - cue.start <= captions.MAX_CAPTION_SECONDS for cue in cues)
