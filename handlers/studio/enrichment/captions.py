"""Write captions of a transcript as SubRip (https://wiki.videolan.org/SubRip) and WebVTT (https://www.w3.org/TR/webvtt1)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from handlers.studio.transcript import Segment, Transcript, Word

LINE = 42  # characters that fit below a picture
LINES = 2
MAX_CAPTION_SECONDS = 6.0  # seconds


def srt(transcript: Transcript) -> str:
    """Return the captions as SubRip."""
    return "\n".join(
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n{_wrapped(cue.text)}\n"
        for number, cue in enumerate(cues(transcript), 1)
    )


def vtt(transcript: Transcript) -> str:
    """Return the captions as WebVTT."""
    return "WEBVTT\n\n" + "\n".join(
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{_wrapped(_escaped(cue.text))}\n"
        for cue in cues(transcript)
    )


def cues(transcript: Transcript) -> Iterator[Segment]:
    """Yield the captions: at most two lines, for at most six seconds if the times of words are known."""
    for segment in transcript.segments:
        held: list[Word] = []
        for word in segment.timed():
            if held and (_too_long([*held, word]) or word.end - held[0].start > MAX_CAPTION_SECONDS):
                yield _cue(held)
                held = []
            held.append(word)
        if held:
            yield _cue(held)


def _too_long(words: Sequence[Word]) -> bool:
    return len(textwrap.wrap(" ".join(word.text for word in words), LINE)) > LINES


def _cue(words: Sequence[Word]) -> Segment:
    return Segment(words[0].start, words[-1].end, " ".join(word.text for word in words))


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, LINE))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
