"""The step `analysis`: read the query of a brief and the properties of its files."""

from __future__ import annotations

from typing import Any

from handlers.briefs.query import wishes
from handlers.briefs.scene_detection import detect
from handlers.briefs.step import Asset, Step, kind_of
from handlers.shared.text.keywords import keywords
from handlers.shared.text.language import guess
from listener.kit.media import Media

KEYWORDS = 10


async def analysis(step: Step) -> dict[str, Any]:
    """Return language, keywords and wishes of the query, and kind, size, scenes and loudness of each asset."""
    assets = step.assets()
    looked = []
    for number, asset in enumerate(assets):
        step.job.progress(100 * number / len(assets), f"analysing {asset.name}")
        looked.append(await _looked(step, asset))
    language = guess(step.text)
    return {
        "language": language,
        "keywords": keywords(step.text, language, KEYWORDS),
        **wishes(step.query or step.text),
        "assets": looked,
    }


async def _looked(step: Step, asset: Asset) -> dict[str, Any]:
    path, found = await step.bring(asset)
    seen = {
        "name": asset.name,
        "kind": kind_of(found),
        **shape(found),
        **await detect(path, found, step.job.workdir),
    }
    path.unlink()
    return seen


def shape(found: Media) -> dict[str, Any]:
    """Return duration, size and frame rate of a file, as far as it has them."""
    seen: dict[str, Any] = {}
    if found.duration is not None:
        seen["duration"] = round(float(found.duration), 3)
    if found.video is not None:
        seen |= {"width": found.video.width, "height": found.video.height}
        if found.video.fps is not None:
            seen["fps"] = round(float(found.video.fps), 3)
    return seen
