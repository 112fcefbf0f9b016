from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from handlers.export import Rendered, opencut
from handlers.export.model import Source
from handlers.export.render.renderer import render
from listener.kit import media

from . import media_maker

Render = Callable[..., Awaitable[Rendered]]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small media by their ids."""
    folder = tmp_path_factory.mktemp("shelf")
    anyio.run(_fill, folder)
    return {path.stem: path for path in folder.iterdir() if path.is_file()}


async def _fill(folder: Path) -> None:
    await media_maker.numbered(folder / "count.mp4", frames=90, sound="sine=f=440:r=44100:d=3")
    await media_maker.numbered(folder / "slow.mp4", frames=30, fps=10)
    await media_maker.plain(folder / "red.mp4", "0xc8283c")
    await media_maker.plain(folder / "tall.mp4", "0x2850c8", size="90x160", sound="sine=f=1000")
    await media_maker.tone(folder / "mono.wav", "sine=f=600:r=48000:d=2,volume=0.5,pan=mono|c0=c0")
    await media_maker.tone(folder / "right.wav", "aevalsrc=0|0.25*sin(2*PI*800*t):s=44100")
    media_maker.disc(folder / "disc.png")
    media_maker.still(folder / "teal.png", (0, 128, 128))
    media_maker.still(folder / "photo.jpg", (200, 63, 16))


KINDS = {
    "count": "video",
    "slow": "video",
    "red": "video",
    "tall": "video",
    "mono": "audio",
    "right": "audio",
    "disc": "image",
    "teal": "image",
    "photo": "image",
}


@pytest.fixture
def make(shelf: dict[str, Path], tmp_path: Path) -> Render:
    """Reads a timeline whose media stand on the shelf, and renders it: 320 × 180 at 30 frames a second."""

    async def make(
        document: dict[str, Any], *, width: int = 320, height: int = 180, fps: int = 30
    ) -> Rendered:
        read = opencut.read(document, width=width, height=height, fps=fps)
        sources = {}
        for media_id in read.media:
            sources[media_id] = Source(shelf[media_id], await media.probe(shelf[media_id]))
        return await render(read.film, sources, tmp_path / "film.mp4", workdir=tmp_path)

    return make
