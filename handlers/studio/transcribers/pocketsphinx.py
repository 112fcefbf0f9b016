"""Transcribe with PocketSphinx: small, offline, English only; for trying the studio without a provider or a model."""

from __future__ import annotations

import json
from pathlib import Path

from handlers.studio.audio import Audio, Piece
from handlers.studio.settings import StudioSettings
from handlers.studio.transcribers.base import OnShare, PieceTranscript
from handlers.studio.transcript import Segment, Word
from listener import ConfigError, Retry
from listener.kit.sandbox import SandboxError, run_python

PROGRAM = Path(__file__).with_name("_pocketsphinx_main.py")
MEMORY = 2 * 1024**3  # bytes of address space
MAX_UTTERANCE_SECONDS = 30.0
MIN_GAP_SECONDS = 0.6  # between two segments


class PocketsphinxTranscriber:
    """A `Transcriber`. The recogniser runs in a child process because it holds the interpreter lock for seconds."""

    remark = (
        "The recording was transcribed by pocketsphinx, which knows English only and makes many mistakes; set"
        " STUDIO_SPEECH_URL, or install faster-whisper, for a better transcript."
    )

    def __init__(self, settings: StudioSettings) -> None:
        if settings.language not in {None, "en"}:
            raise ConfigError(
                f"STUDIO_LANGUAGE is {settings.language}, but pocketsphinx knows English only; take another"
                " STUDIO_TRANSCRIBER."
            )
        self.longest = settings.piece_minutes * 60

    async def transcribe(
        self, sound: Audio, piece: Piece, before: str, folder: Path, progress: OnShare
    ) -> PieceTranscript:
        """Transcribe a piece; see `Transcriber.transcribe`."""
        parts = [(part.start, part.end) for part in spoken(sound, piece)]
        words: list[Word] = []

        def read(line: bytes) -> None:
            part = json.loads(line)
            words.extend(Word(*word) for word in part["words"])
            progress((part["until"] - piece.start) / (piece.end - piece.start))

        try:
            await run_python(
                PROGRAM, [str(sound.path), json.dumps(parts)], reads=[sound.path], memory=MEMORY, on_line=read
            )
        except SandboxError as error:
            raise Retry(str(error)) from error
        return PieceTranscript(tuple(segment.later(-piece.start) for segment in _segments(words)), "en")


def spoken(sound: Audio, piece: Piece) -> list[Piece]:
    """Return the parts of a piece where somebody speaks, each short enough for one utterance."""
    parts, start = [], piece.start
    inside = [pause for pause in sound.pauses if piece.start <= pause.start < piece.end]
    for pause in [*inside, Piece(piece.end, piece.end)]:
        # A little silence around the words helps the recogniser to find where they begin and end.
        end = min(pause.start + 0.15, piece.end)
        while end - start > 0.2:
            parts.append(Piece(start, min(start + MAX_UTTERANCE_SECONDS, end)))
            start = parts[-1].end
        start = max(start, pause.end - 0.15)
    return parts


def _segments(words: list[Word]) -> list[Segment]:
    held: list[list[Word]] = []
    for word in words:
        if not held or word.start - held[-1][-1].end >= MIN_GAP_SECONDS:
            held.append([])
        held[-1].append(word)
    return [
        Segment(some[0].start, some[-1].end, " ".join(word.text for word in some), tuple(some))
        for some in held
    ]
