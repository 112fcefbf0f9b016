"""Recordings, and settings that a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from handlers.studio.audio import Audio, listen
from handlers.studio.settings import StudioSettings, settings
from listener.kit import ffmpeg

Configure = Callable[..., StudioSettings]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Configure]:
    """A function that sets variables `STUDIO_…`, named by the rest in lower case, and returns the settings."""
    monkeypatch.chdir(tmp_path)

    def set_them(**chosen: str) -> StudioSettings:
        for name, value in chosen.items():
            monkeypatch.setenv(f"STUDIO_{name.upper()}", value)
        settings.cache_clear()
        return settings()

    yield set_them
    settings.cache_clear()


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of stereo: a tone, a pause from 2 to 3, a tone, and a pause from 5 to 6."""
    path = tmp_path_factory.mktemp("tones") / "tones.ogg"
    loud = "aevalsrc='0.4*sin(660*t)*(1-between(t,2,3)-between(t,5,6))':d=8:s=44100:c=stereo"
    anyio.run(lambda: ffmpeg.run(["-f", "lavfi", "-i", loud, "-c:a", "libvorbis", path]))
    return path


@pytest.fixture(scope="session")
def sound(tones: Path) -> Audio:
    """The same, as recognisers want it."""
    return anyio.run(lambda: listen(tones, tones.parent, max_hours=1))
