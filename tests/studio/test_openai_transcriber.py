"""Transcription by a provider, which answers as providers do: well, late, busy, cut off, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from handlers.studio.audio import Audio, listen
from handlers.studio.settings import StudioSettings
from handlers.studio.transcribers.base import TranscribedPieces, transcribe
from handlers.studio.transcribers.openai import OpenAITranscriber
from handlers.studio.transcript import Transcript
from listener import Fail, Retry
from listener.kit import ffmpeg, media
from tests.support.standin.provider import SPEECH, Provider, Refuse, Word, providing


class Diary:
    """The checkpoint of a job, for its next attempt."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []

    async def keep(self, value: dict[str, Any]) -> None:
        self.kept.append(value)


async def ask(
    provider: Provider,
    sound: Audio,
    folder: Path,
    diary: Diary | None = None,
    saved: Any = None,
    **chosen: Any,
) -> Transcript:
    given = {"speech_url": provider.url, "speech_key": "sk-test", "provider_timeout": 0.3, **chosen}
    by = OpenAITranscriber(StudioSettings.load(**given))
    memory = TranscribedPieces(saved, (diary or Diary()).keep)
    return await transcribe(by, sound, memory, folder, lambda _: None)


async def test_a_recording_is_sent_small_and_comes_back_with_times(sound: Audio, tmp_path: Path) -> None:
    async with providing() as provider:
        found = await ask(provider, sound, tmp_path, language="en")
    (asked,) = provider.asked
    assert asked.headers["authorization"] == "Bearer sk-test"
    assert asked.fields == {
        "model": "whisper-1",
        "language": "en",
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["segment", "word"],
    }
    (tmp_path / "sent").write_bytes(asked.file)
    sent = await media.probe(tmp_path / "sent")
    assert sent.audio is not None
    assert sent.audio.codec == "opus"
    assert len(asked.file) < sound.path.stat().st_size / 5
    assert (found.language, found.text) == ("en", "Good morning.\nWe talk about the garden.")
    last = found.segments[-1]
    assert (last.start, last.end) == (3, 5)
    # The text has the points, the words have the times.
    assert [(word.text, round(word.start, 1)) for word in last.timed()][-1] == ("garden.", 4.6)


async def test_pieces_are_stitched_and_none_is_paid_for_twice(sound: Audio, tmp_path: Path) -> None:
    diary = Diary()
    async with providing() as provider:
        provider.plan(SPEECH, "ok", "ok", Refuse(503))
        with pytest.raises(Retry, match="failed for now"):
            await ask(provider, sound, tmp_path, diary, piece_minutes=0.05)
        found = await ask(provider, sound, tmp_path, diary, diary.kept[-1], piece_minutes=0.05)
        assert len(provider.asked) == 4
        assert provider.asked[1].fields["prompt"] == "Good morning. We talk about the garden."
        await ask(
            provider, sound, tmp_path, saved={**diary.kept[-1], "digest": "another"}, piece_minutes=0.05
        )
        assert len(provider.asked) == 7
    starts = [segment.start for segment in found.segments]
    assert starts == pytest.approx([0, 3, 2.5, 5.5, 5.25, 8.25], abs=0.1)


async def test_a_provider_without_the_long_form_is_asked_for_the_short_one(
    sound: Audio, tmp_path: Path
) -> None:
    async with providing() as provider:
        provider.plan(SPEECH, Refuse(400, message="response_format 'verbose_json' is not compatible"))
        found = await ask(provider, sound, tmp_path)
        assert [one.fields["response_format"] for one in provider.asked] == ["verbose_json", "json"]
    assert found.text == "Good morning. We talk about the garden."
    assert found.segments[0].end == pytest.approx(8, abs=0.05)
    assert found.language is None


@pytest.mark.parametrize(
    ("step", "complaint", "delay"),
    [
        (Refuse(429, {"Retry-After": "7"}, "slow down"), r"is busy \(429\): slow down", 7),
        (Refuse(503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), r"failed for now \(503\)", 0),
        ("hang", "did not respond in time", None),
        ("malformed", "a malformed response", None),
        ("cut", "closed the connection|malformed", None),
    ],
    ids=str,
)
async def test_what_may_pass_is_tried_again(
    step: Word | Refuse, complaint: str, delay: float | None, sound: Audio, tmp_path: Path
) -> None:
    async with providing() as provider:
        provider.plan(SPEECH, step)
        with pytest.raises(Retry, match=complaint) as raised:
            await ask(provider, sound, tmp_path)
        assert raised.value.delay == delay
        assert len(provider.asked) == 1
    with pytest.raises(Retry, match="could not be reached"):
        await ask(provider, sound, tmp_path)


@pytest.mark.parametrize(
    ("status", "complaint"),
    [
        (400, "rejected the request, status 400: planned"),
        (401, r"does not know the key \(STUDIO_SPEECH_KEY\), status 401: planned"),
    ],
)
async def test_what_never_passes_fails_with_a_sentence(
    status: int, complaint: str, sound: Audio, tmp_path: Path
) -> None:
    async with providing() as provider:
        provider.plan(SPEECH, Refuse(status), Refuse(status))
        with pytest.raises(Fail, match=complaint) as raised:
            await ask(provider, sound, tmp_path)
        assert "sk-test" not in str(raised.value)


async def test_a_recording_larger_than_the_provider_takes_is_sent_in_pieces(tmp_path: Path) -> None:
    long = tmp_path / "long.ogg"
    await ffmpeg.run(["-f", "lavfi", "-i", "anoisesrc=d=45:r=16000:a=0.3", "-c:a", "libvorbis", long])
    sound = await listen(long, tmp_path, max_hours=1)
    async with providing() as provider:
        await ask(provider, sound, tmp_path, speech_max_mb=0.075, provider_timeout=5)
        assert len(provider.asked) == 3
        assert all(len(one.file) <= 0.075 * 1024**2 for one in provider.asked)
