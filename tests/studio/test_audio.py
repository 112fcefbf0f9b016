"""Recordings of every kind, and of none."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.studio.audio import Piece, RecordingError, cut, listen, plan
from listener.kit import ffmpeg, media


async def test_any_recording_becomes_what_recognisers_want(tones: Path, tmp_path: Path) -> None:
    sound = await listen(tones, tmp_path, max_hours=1)
    with wave.open(str(sound.path)) as found:
        assert (found.getframerate(), found.getnchannels(), found.getsampwidth()) == (16000, 1, 2)
    assert sound.duration == pytest.approx(8, abs=0.05)
    assert [(round(pause.start), round(pause.end)) for pause in sound.pauses] == [(2, 3), (5, 6)]


async def test_a_piece_is_cut_out_to_be_sent(tones: Path, tmp_path: Path) -> None:
    sound = await listen(tones, tmp_path, max_hours=1)
    sent = await media.probe(await cut(sound, Piece(2.5, 5.5), tmp_path / "piece.ogg"))
    assert sent.audio is not None
    assert sent.audio.codec == "opus"
    assert float(sent.duration or 0) == pytest.approx(3, abs=0.1)


SILENT = ["-f", "lavfi", "-i", "anullsrc=r=8000:d=2", "{}.wav"]
BARE = ["-f", "lavfi", "-i", "testsrc=s=64x64:d=1", "{}.mp4"]
PICTURE = ["-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1", "-f", "image2", "-c:v", "png", "{}.mp3"]


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (SILENT, "is silent from its beginning to its end"),
        (BARE, "has no sound: it is a video without a sound track"),
        (PICTURE, "has no sound: it is a picture"),
    ],
)
async def test_what_holds_no_speech_is_told_apart(made: list[str], complaint: str, tmp_path: Path) -> None:
    path = tmp_path / made[-1].format("given")
    await ffmpeg.run([*made[:-1], path])
    with pytest.raises(RecordingError, match=complaint):
        await listen(path, tmp_path, max_hours=1)


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"", "it is empty"), (b"#!/bin/sh\n" * 90, "not a media file")]
)
async def test_what_is_no_recording_is_refused(content: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "given.mp3"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=f"can't be used: .*{complaint}"):
        await listen(path, tmp_path, max_hours=1)


async def test_more_than_the_limit_is_refused_whatever_the_file_claims(tones: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"longer than 0\.001 hours"):
        await listen(tones, tmp_path, max_hours=0.001)


def test_three_hours_are_cut_in_their_pauses() -> None:
    pauses = [Piece(second, second + 0.8) for second in range(7, 3 * 3600, 11)]
    pieces = plan(3 * 3600, pauses, 1200)
    assert len(pieces) == 10
    assert all(1000 < piece.end - piece.start <= 1200 for piece in pieces)
    assert all(any(pause.start < piece.end < pause.end for pause in pauses) for piece in pieces[:-1])


@given(
    st.floats(1, 40_000),
    st.lists(st.tuples(st.floats(0, 40_000), st.floats(0.3, 60)), max_size=30),
    st.floats(5, 5000),
)
def test_pieces_are_the_whole_and_none_is_too_long(
    duration: float, pauses: list[tuple[float, float]], longest: float
) -> None:
    pieces = plan(duration, [Piece(start, start + length) for start, length in sorted(pauses)], longest)
    assert (pieces[0].start, pieces[-1].end) == (0, duration)
    assert all(one.end == other.start for one, other in itertools.pairwise(pieces))
    assert all(0 < piece.end - piece.start <= longest * (1 + 1e-9) for piece in pieces)
    assert len(pieces) <= 2 * duration / longest + 1
