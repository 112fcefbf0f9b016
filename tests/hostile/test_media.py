"""Hostile media, by the whole export, and by each wall alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from listener.kit import ffmpeg, media
from listener.kit.ffmpeg import FfmpegError
from listener.kit.media import MediaError
from listener.kit.sandbox.policy import Confinement

from . import corpus
from .conftest import USER, Export
from .observer import Observer

URL = f"{USER}/media.mp4"


async def test_what_is_no_media_fails_with_a_sentence(export: Export, seen: Observer) -> None:
    documents = dict([*corpus.references(seen.folder, seen.port), *corpus.no_media()])
    kinds = ["video", "image", "audio"]
    for number, (name, content) in enumerate(list(documents.items())[::3]):
        outcome = await export(corpus.shows(URL, kinds[number % 3]), {"media.mp4": content})
        assert outcome.error.startswith("The media “clip” can't be used: it "), name
    assert seen.opened() == []


async def test_damaged_media_and_bombs_fail_or_make_a_film_of_the_right_length(
    export: Export, good: corpus.Good, seen: Observer
) -> None:
    for name, content in [*corpus.bombs(good), *corpus.damaged(good)]:
        kind = "audio" if name.startswith("sound") else "video"
        outcome = await export(corpus.shows(URL, kind), {"media.mp4": content})
        if outcome.film and outcome.film.video:
            assert outcome.film.video.frames == 6, name
        else:
            assert "“clip”" in outcome.error or "could not be rendered" in outcome.error, (
                name,
                outcome.error,
            )
    assert seen.opened() == []


async def test_a_million_frames_are_not_all_looked_at(export: Export) -> None:
    outcome = await export(corpus.shows(URL), {"media.mp4": corpus.many_frames(10**6)})
    assert outcome.film is not None
    assert outcome.film.video is not None
    assert outcome.film.video.frames == 6


async def test_a_film_that_grows_too_large_is_given_up(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_MAX_OUTPUT_MB", "1")
    noise = tmp_path / "noise.mp4"
    picture = "color=gray:s=320x180:r=30:d=5,noise=alls=100:allf=t"
    await ffmpeg.run(["-f", "lavfi", "-i", picture, "-preset", "ultrafast", "-crf", "10", noise])
    outcome = await export(corpus.shows(URL, duration=5), {"media.mp4": noise.read_bytes()})
    assert outcome.error == "The film would be too large; the limit is 1 MB (EXPORT_MAX_OUTPUT_MB)."


async def test_the_lists_of_formats_and_protocols_hold_without_a_confinement(
    seen: Observer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Confinement, "arguments", lambda _: [])
    paths = []
    for number, (_, content) in enumerate(corpus.references(seen.folder, seen.port)):
        # Beside the secret, under names that FFmpeg takes for what they say.
        for suffix in (".mp4", ".m3u8", ".ffconcat", ".svg")[:: 3 if number % 2 else 1]:
            paths.append(tmp_path / f"{number}{suffix}")
            paths[-1].write_bytes(content)
    found = await media.probe_all(paths)
    assert [type(one) for one in found] == [MediaError] * len(paths)
    for path in paths[::6]:
        with pytest.raises(FfmpegError):
            await ffmpeg.run([*ffmpeg.input_options(), "-i", path, "-f", "null", "-"])
    assert (seen.connections, seen.opened()) == (0, [])


async def test_the_observer_sees(seen: Observer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any wall the same documents do reach the secret and the server."""
    monkeypatch.setattr(Confinement, "arguments", lambda _: [])
    documents = dict(corpus.references(seen.folder, seen.port))
    options = ["-protocol_whitelist", "file,http,tcp"]
    for name, demuxer in {"hls web": ["hls"], "ffconcat absolute": ["concat", "-safe", "0"]}.items():
        path = tmp_path / "document"
        path.write_bytes(documents[name])
        with pytest.raises(FfmpegError):
            await ffmpeg.run([*options, "-f", *demuxer, "-i", path, "-map", "0:9", "-f", "null", "-"])
    assert seen.connections > 0
    assert "secret.mp4" in seen.opened() or sys.platform != "linux"
    (seen.folder / "secret.txt").read_text()
    assert str(seen.folder / "secret.txt") in seen.files
    assert any("concat" in command for command in seen.commands)
