"""What a transcriber is, and how a recording is gone through piece by piece."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from handlers.studio.audio import Audio, Piece, RecordingError, plan
from handlers.studio.transcript import Segment, Transcript, segments_from_json, segments_to_json

OnShare = Callable[[float], None]
"""Told the share of a piece that is done, 0 to 1; from any thread."""


@dataclass(frozen=True, slots=True)
class PieceTranscript:
    """What was heard in a piece.

    Attributes:
        segments: with times from the beginning of the piece.
        language: two letters, or None where the transcriber doesn't say.
    """

    segments: tuple[Segment, ...]
    language: str | None


class Transcriber(Protocol):
    """Turns sound into words."""

    @property
    def longest(self) -> float:
        """Seconds of a piece, at most."""
        ...

    @property
    def remark(self) -> str | None:
        """What users should know about its work."""
        ...

    async def transcribe(
        self, sound: Audio, piece: Piece, before: str, folder: Path, progress: OnShare
    ) -> PieceTranscript:
        """Transcribe a piece.

        Args:
            sound: the recording.
            piece: the part of it.
            before: the end of what was said before it.
            folder: for files of its own.
            progress: told how far it is.

        Raises:
            Retry: the transcriber did not answer, or asked to be left alone for now.
            Fail: it will never take this.
        """
        ...


@dataclass
class TranscribedPieces:
    """What an earlier attempt has heard of the same recording, so that nothing is paid for twice.

    Attributes:
        saved: what that attempt gave to `keep`, or None.
        keep: keeps a JSON object for later attempts.
    """

    saved: Any
    keep: Callable[[dict[str, Any]], Awaitable[None]]

    def of(self, sound: Audio) -> dict[str, Any]:
        """The pieces that are done, by their names."""
        known = isinstance(self.saved, dict) and self.saved.get("digest") == sound.digest
        return dict(self.saved["pieces"]) if known else {}


async def transcribe(
    transcriber: Transcriber, sound: Audio, memory: TranscribedPieces, folder: Path, progress: OnShare
) -> Transcript:
    """Transcribe a recording piece by piece; each is kept as soon as it is done.

    Raises:
        RecordingError: not a word was heard.
        Retry, Fail: see `Transcriber.transcribe`.
    """
    done = memory.of(sound)
    segments: list[Segment] = []
    languages: list[str] = []
    for piece in plan(sound.duration, sound.pauses, transcriber.longest):

        def move(share: float, piece: Piece = piece) -> None:
            progress((piece.start + min(share, 1) * (piece.end - piece.start)) / sound.duration)

        if piece.name not in done:
            before = " ".join(segment.text for segment in segments[-5:])[-200:]
            heard = await transcriber.transcribe(sound, piece, before, folder, move)
            done[piece.name] = {"language": heard.language, "segments": segments_to_json(heard.segments)}
            await memory.keep({"digest": sound.digest, "pieces": done})
        move(1)
        found = done[piece.name]
        segments += [segment.later(piece.start) for segment in segments_from_json(found["segments"])]
        languages += [found["language"]] if found["language"] else []
    if not segments:
        raise RecordingError("No words were heard in the recording.")
    return Transcript(tuple(segments), max(languages, key=languages.count, default=None), sound.duration)
