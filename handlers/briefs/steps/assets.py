"""The steps that work on what a brief brings: `asset_prep` and `image_processing`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handlers.briefs import transcode
from handlers.briefs.image_edit import ImageEdit, edit_image
from handlers.briefs.model import BriefError
from handlers.briefs.step import Asset, Step, check_length, kind_of
from handlers.briefs.steps.analysis import shape
from listener.kit import media


async def asset_prep(step: Step) -> dict[str, Any]:
    """Convert each asset to a file that every later step can use, and make what a browser shows of it."""
    assets = step.assets()
    prepared = []
    for number, asset in enumerate(assets):
        share = 100 / len(assets)
        step.job.progress(share * number, f"preparing {asset.name}")
        prepared.append(await _prepared(step, asset, share * number, share))
    return {"assets": prepared}


async def _prepared(step: Step, asset: Asset, done: float, share: float) -> dict[str, Any]:
    source, found = await step.bring(asset)
    kind = kind_of(found)
    folder = step.job.workdir

    def progress(percent: float, message: str | None) -> None:
        step.job.progress(done + share * percent / 100, message)

    match kind:
        case "video":
            made = await transcode.video(source, found, folder, asset.name, progress)
        case "audio":
            made = await transcode.audio(source, found, folder, asset.name, progress)
        case _:
            made = await _named(asset.name, transcode.image(source, folder, asset.name))
    source.unlink()
    file = await media.probe(made["file"], count_frames=True)
    check_length(asset.name, file)
    result: dict[str, Any] = {"name": asset.name, "kind": kind, **shape(file)}
    stored = {name: await step.publish(path) for name, path in made.items()}
    result |= stored.pop("file")
    result["thumbnails"] = [file for name, file in stored.items() if name.startswith("thumbnail")]
    result |= {name: file for name, file in stored.items() if not name.startswith("thumbnail")}
    for path in made.values():
        path.unlink()
    return result


async def image_processing(step: Step) -> dict[str, Any]:
    """Edit each picture as `image` in the brief's metadata says, or to the size of the film."""
    wanted = ImageEdit.of(step.option("image", dict, {}), step.size)
    pictures = [file for file in step.made("asset_prep", "assets") if file["kind"] == "image"]
    sources: list[tuple[str, Path]] = [(file["name"], await step.fetch_made(file)) for file in pictures]
    if not step.results.get("asset_prep"):
        sources = [(asset.name, (await step.bring(asset))[0]) for asset in step.assets()]
    if not sources:
        raise BriefError("The brief has no picture; name one in metadata.assets or metadata.image_url.")
    made = []
    for number, (name, source) in enumerate(sources):
        step.job.progress(100 * number / len(sources), f"working on {name}")
        target = step.job.workdir / f"{name}.{wanted.format}"
        width, height = await _named(name, edit_image(source, target, wanted))
        made.append({"name": name, "width": width, "height": height, **await step.publish(target)})
    return {"pictures": made}


async def _named(name: str, work: Any) -> Any:
    """Await the edit of a picture and name the picture in its error."""
    try:
        return await work
    except BriefError as error:
        raise BriefError(f"{name} {error}.") from error
