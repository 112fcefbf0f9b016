"""Transcribe by Whisper's models on this machine, with faster-whisper (https://github.com/SYSTRAN/faster-whisper)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from anyio import from_thread, to_thread

from handlers.studio.audio import Audio, Piece, cut
from handlers.studio.settings import StudioSettings
from handlers.studio.transcribers.base import OnShare, PieceTranscript
from handlers.studio.transcript import Segment, Word

# Two jobs that start at the same time load one model.
_loading = Lock()


class FasterWhisperTranscriber:
    """Transcribes by faster-whisper."""

    remark = None

    def __init__(self, settings: StudioSettings) -> None:
        self.longest = settings.piece_minutes * 60
        self._language = settings.language
        self._model = (settings.whisper_model, settings.whisper_device, settings.whisper_compute)

    async def transcribe(
        self, sound: Audio, piece: Piece, before: str, folder: Path, progress: OnShare
    ) -> PieceTranscript:
        """Transcribe a piece in a thread."""
        path = await cut(sound, piece, folder / "piece.wav")
        return await to_thread.run_sync(self._transcribe, path, before, progress)

    def _transcribe(self, path: Path, before: str, progress: OnShare) -> PieceTranscript:
        """Run in a thread. The model works while its segments are iterated, so progress and cancellation are handled
        between two segments."""
        with _loading:
            model = _loaded(*self._model)
        found, info = model.transcribe(
            str(path),
            language=self._language,
            vad_filter=True,
            word_timestamps=True,
            initial_prompt=before or None,
        )
        segments = []
        for one in found:
            from_thread.check_cancelled()
            words = tuple(Word(word.start, word.end, word.word.strip()) for word in one.words or ())
            segments.append(Segment(one.start, one.end, one.text.strip(), words))
            progress(one.end / info.duration)
        return PieceTranscript(tuple(segment for segment in segments if segment.text), info.language)


@cache
def _loaded(model: str, device: str, compute: str) -> Any:
    """Return the model; it takes seconds and gigabytes to load, so a process loads it once."""
    from faster_whisper import WhisperModel

    return WhisperModel(model, device=device, compute_type=compute)
