"""The step `analysis`: what a brief wants, and what is in the files that it brings."""

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
    """Language, intent and wishes of the query, and of each asset its kind, size, scenes and loudness."""
    assets = step.assets()
    looked = []
    for number, asset in enumerate(assets):
        step.job.progress(100 * number / len(assets), f"looking at {asset.name}")
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
    """Duration and size, as far as a file has such."""
    seen: dict[str, Any] = {}
    if found.duration is not None:
        seen["duration"] = round(float(found.duration), 3)
    if found.video is not None:
        seen |= {"width": found.video.width, "height": found.video.height}
        if found.video.fps is not None:
            seen["fps"] = round(float(found.video.fps), 3)
    return seen
