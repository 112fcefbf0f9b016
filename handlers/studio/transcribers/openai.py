"""Transcription by a provider with OpenAI's `/audio/transcriptions`.

Protocol: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from anyio import Path as AsyncPath

from handlers.studio.audio import OPUS_BITS, Audio, Piece, cut
from handlers.studio.openai_api import OpenAIClient, Refusal
from handlers.studio.settings import StudioSettings
from handlers.studio.transcribers.base import OnShare, PieceTranscript
from handlers.studio.transcript import Segment, Word

MARGIN = 1.3  # largest size of an Opus file, as a multiple of its nominal bit rate
CODES = {
    "english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt",
    "dutch": "nl", "tamil": "ta", "hindi": "hi", "thai": "th",
}  # fmt: skip
"""Providers name the language in English; of those not listed here, only a code is understood."""


class OpenAITranscriber:
    """Transcribes by a provider with OpenAI's protocol."""

    remark = None

    def __init__(self, settings: StudioSettings) -> None:
        fitting = settings.speech_max_mb * 1024**2 * 8 / (OPUS_BITS * MARGIN)
        self.longest = min(settings.piece_minutes * 60, fitting)
        self._model = settings.speech_model
        self._language = settings.language
        self._client = OpenAIClient(
            "The transcriber",
            settings.speech_url,
            settings.speech_key,
            settings.provider_timeout,
            ("STUDIO_SPEECH_URL, STUDIO_SPEECH_MODEL", "STUDIO_SPEECH_KEY"),
        )

    async def transcribe(
        self, sound: Audio, piece: Piece, before: str, folder: Path, progress: OnShare
    ) -> PieceTranscript:
        """Transcribe a piece; if the provider reports no times, the piece is one segment."""
        path = await cut(sound, piece, folder / "piece.ogg")
        content = await AsyncPath(path).read_bytes()
        wanted = {"model": self._model, "prompt": before, "language": self._language}
        fields: dict[str, Any] = {name: value for name, value in wanted.items() if value}
        times = {"response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"]}
        try:
            answer = await self._ask(content, {**fields, **times})
        except Refusal as refusal:
            # Not every compatible server and model knows the long form, and reject it with different messages.
            if refusal.status not in {httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY}:
                raise
            answer = await self._ask(content, {**fields, "response_format": "json"})
        try:
            return _heard(answer, piece.end - piece.start)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._client.malformed() from error

    async def _ask(self, content: bytes, fields: dict[str, Any]) -> Any:
        files = {"file": ("recording.ogg", content, "audio/ogg")}
        async with self._client.post("/audio/transcriptions", data=fields, files=files) as answer:
            await answer.aread()
            try:
                return answer.json()
            except ValueError as error:
                raise self._client.malformed() from error


def _heard(answer: Any, duration: float) -> PieceTranscript:
    words = [
        Word(float(one["start"]), float(one["end"]), str(one["word"]).strip())
        for one in answer.get("words") or ()
    ]
    segments = []
    for one in answer.get("segments") or ():
        start, end, text = float(one["start"]), float(one["end"]), str(one["text"]).strip()
        if text:
            # A word belongs to the segment in which its middle lies.
            within = tuple(word for word in words if start <= (word.start + word.end) / 2 < end)
            segments.append(Segment(start, end, text, within))
    text = str(answer["text"]).strip()
    if not segments and text:
        segments = [Segment(0.0, duration, text)]
    language = str(answer.get("language") or "").lower()
    return PieceTranscript(tuple(segments), CODES.get(language, language if len(language) == 2 else None))
