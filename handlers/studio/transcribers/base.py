"""The interface of transcribers, and the transcription of a recording piece by piece."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from handlers.studio.audio import Audio, Piece, RecordingError, plan
from handlers.studio.transcript import Segment, Transcript, segments_from_json, segments_to_json

OnShare = Callable[[float], None]
"""Called with the share that is done, 0 to 1, from any thread."""


@dataclass(frozen=True, slots=True)
class PieceTranscript:
    """The transcript of a piece.

    Attributes:
        segments: with times from the beginning of the piece.
        language: two letters, or None if the transcriber does not report it.
    """

    segments: tuple[Segment, ...]
    language: str | None


class Transcriber(Protocol):
    """Transcribes audio."""

    @property
    def longest(self) -> float:
        """Longest piece in seconds."""
        ...

    @property
    def remark(self) -> str | None:
        """A warning for users about the quality, or None."""
        ...

    async def transcribe(
        self, sound: Audio, piece: Piece, before: str, folder: Path, progress: OnShare
    ) -> PieceTranscript:
        """Transcribe a piece.

        Args:
            sound: the recording.
            piece: the part of it.
            before: the end of the text before it.
            folder: scratch folder.
            progress: called with the share of the piece that is done.

        Raises:
            Retry: the transcriber did not respond or is busy.
            Fail: the transcriber rejects this recording.
        """
        ...


@dataclass
class TranscribedPieces:
    """The pieces that earlier attempts have transcribed, so that no piece is paid for twice.

    Attributes:
        saved: the value that an earlier attempt passed to `keep`, or None.
        keep: stores a JSON object for later attempts.
    """

    saved: Any
    keep: Callable[[dict[str, Any]], Awaitable[None]]

    def of(self, sound: Audio) -> dict[str, Any]:
        """Return the finished pieces of this recording, by their names."""
        known = isinstance(self.saved, dict) and self.saved.get("digest") == sound.digest
        return dict(self.saved["pieces"]) if known else {}


async def transcribe(
    transcriber: Transcriber, sound: Audio, memory: TranscribedPieces, folder: Path, progress: OnShare
) -> Transcript:
    """Transcribe a recording piece by piece; each is stored as soon as it is done.

    Raises:
        RecordingError: the transcript has no words.
        Retry, Fail: as `Transcriber.transcribe`.
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
