"""faster-whisper, whose models are not available here: a stand-in module behaves as version 1.2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import anyio
import pytest

from handlers.studio import backends
from handlers.studio.audio import Audio
from handlers.studio.settings import StudioSettings
from handlers.studio.transcribers import base as transcriber
from handlers.studio.transcribers import faster_whisper as local_whisper
from listener import ConfigError


class WhisperModel:
    """Hears one word a second, each a segment, and only while somebody goes through them."""

    made: ClassVar[list[tuple[Any, ...]]] = []
    given: ClassVar[list[dict[str, Any]]] = []
    said = 0

    def __init__(
        self, model_size_or_path: str, device: str = "auto", *, compute_type: str = "default"
    ) -> None:
        self.made.append((model_size_or_path, device, compute_type))

    def transcribe(
        self,
        audio: str,
        language: str | None = None,
        *,
        vad_filter: bool = False,
        word_timestamps: bool = False,
        initial_prompt: str | None = None,
    ) -> tuple[Iterator[Any], Any]:
        assert Path(audio).read_bytes()[:4] == b"RIFF"
        self.given.append({"vad": vad_filter, "words": word_timestamps, "before": initial_prompt})

        def segments() -> Iterator[Any]:
            for second in range(4):
                WhisperModel.said += 1
                word = SimpleNamespace(start=float(second), end=second + 0.5, word=f" word{second}")
                yield SimpleNamespace(start=word.start, end=word.end, text=word.word, words=[word])

        return segments(), SimpleNamespace(language="de", duration=4.0)


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("faster_whisper")
    module.__spec__ = ModuleSpec("faster_whisper", None)
    vars(module)["WhisperModel"] = WhisperModel
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    WhisperModel.made, WhisperModel.given, WhisperModel.said = [], [], 0
    local_whisper._loaded.cache_clear()


async def nothing(_: object) -> None: ...


async def test_pieces_are_heard_by_one_model(sound: Audio, tmp_path: Path) -> None:
    chosen = StudioSettings.load(transcriber="auto", whisper_compute="int8", piece_minutes=0.1)
    shares: list[float] = []
    found = await transcriber.transcribe(
        backends.transcriber(chosen),
        sound,
        transcriber.TranscribedPieces(None, nothing),
        tmp_path,
        shares.append,
    )
    assert WhisperModel.made == [("small", "auto", "int8")]
    assert WhisperModel.given[1] == {"vad": True, "words": True, "before": "word0 word1 word2 word3"}
    assert found.language == "de"
    assert [segment.text for segment in found.segments[:2]] == ["word0", "word1"]
    assert found.segments[4].start == pytest.approx(5.5, abs=0.3)
    assert shares == sorted(shares)
    assert len(shares) == 10


async def test_it_can_be_stopped_between_two_segments(sound: Audio, tmp_path: Path) -> None:
    by = backends.transcriber(StudioSettings.load(transcriber="faster-whisper"))
    with anyio.CancelScope() as scope:
        # The loop runs again when the thread has gone on: the cancellation meets it in its next segment.
        await transcriber.transcribe(
            by,
            sound,
            transcriber.TranscribedPieces(None, nothing),
            tmp_path,
            lambda _: anyio.from_thread.run_sync(scope.cancel),
        )
    assert scope.cancelled_caught
    assert WhisperModel.said < 4


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for name in ("faster-whisper", "pocketsphinx"):
        with pytest.raises(ConfigError, match=f"{name}, which is not installed: pip install {name}"):
            backends.transcriber(StudioSettings(transcriber=name))
