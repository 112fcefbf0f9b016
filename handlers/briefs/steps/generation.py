"""The steps that make something new: `storyboard`, `video_generation` and `render`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from handlers.briefs import films
from handlers.briefs.films import Shot
from handlers.briefs.model import BriefError
from handlers.briefs.settings import settings
from handlers.briefs.step import KINDS, Step
from handlers.briefs.steps.analysis import shape
from handlers.briefs.transcode import still
from handlers.clips import ClipError, Request, generate
from handlers.export import Film, outcomes, poster, render_film
from handlers.shared.text.sentences import sentences
from listener.kit import media

SCENES = 24  # pictures of a storyboard
WIDTH = 640
SECONDS = 5.0  # of a generated clip, unless the brief says otherwise
SAID = 8  # sentences of a summary that become cards
MAX_TEXT_CHARACTERS = 400  # letters of one of them


async def storyboard(step: Step) -> dict[str, Any]:
    """Return the scenes of the brief's videos, each with a picture of its middle; without videos those of its text."""
    scenes: list[dict[str, Any]] = []
    looked = {asset["name"]: asset for asset in step.made("analysis", "assets")}
    for file in step.made("asset_prep", "assets"):
        if file["kind"] == "video":
            begins = (looked.get(file["name"]) or {}).get("scenes") or [0.0]
            scenes += await _of_video(step, file, begins[: SCENES - len(scenes)])
    return {"scenes": scenes or await _of_text(step)}


async def _of_video(step: Step, file: dict[str, Any], begins: list[float]) -> list[dict[str, Any]]:
    source, scenes = await step.fetch_made(file), []
    for number, begin in enumerate(begins):
        end = begins[number + 1] if number + 1 < len(begins) else float(file["duration"])
        picture = step.job.workdir / f"{file['name']}-scene{number + 1}.jpg"
        await still(source, max(0.0, (begin + end) / 2), picture, width=WIDTH)
        if picture.exists():
            scene = {"asset": file["name"], "start": begin, "end": round(end, 3)}
            scenes.append({**scene, "picture": await step.publish(picture)})
    return scenes


async def _of_text(step: Step) -> list[dict[str, Any]]:
    texts = _script(step)
    with outcomes():
        pictures = await films.cards(texts, step.size, _folder(step))
    scenes, start = [], Fraction(0)
    for text, picture in zip(texts, pictures, strict=True):
        end = start + films.reading(text)
        scene = {"text": text, "start": float(start), "end": float(end)}
        scenes.append({**scene, "picture": await step.publish(picture)})
        start = end
    return scenes


async def video_generation(step: Step) -> dict[str, Any]:
    """Generate a clip for each prompt, one after the other.

    Finished clips are kept in the checkpoint, so that a later attempt does not pay for them again.
    """
    prompts = (
        step.option("prompts", list, [])
        or [scene["text"] for scene in _told(step)]
        or [step.query or step.title]
    )
    if len(prompts) > settings().max_clips:
        raise BriefError(
            f"The brief asks for {len(prompts)} clips; the limit is {settings().max_clips} (BRIEFS_MAX_CLIPS)."
        )
    saved: dict[str, Any] = step.job.saved or {"clips": [], "order": None}
    while len(saved["clips"]) < len(prompts):
        number = len(saved["clips"])
        clips = saved["clips"]

        async def remember(order: Any, clips: list[Any] = clips) -> None:
            await step.job.checkpoint({"clips": clips, "order": order})

        step.job.progress(100 * number / len(prompts), f"clip {number + 1} of {len(prompts)}")
        clip = await generate(
            step.job, _request(step, prompts[number]), saved=saved["order"], remember=remember
        )
        path = clip.path.rename(step.job.workdir / f"clip{number + 1}.mp4")
        picture = clip.thumbnail.rename(step.job.workdir / f"clip{number + 1}.jpg")
        made = {"prompt": prompts[number], "provider": clip.provider, **shape(clip.media)}
        made |= {**await step.publish(path), "thumbnails": [await step.publish(picture)]}
        saved = {"clips": [*clips, made], "order": None}
        await step.job.checkpoint(saved)
    return {"clips": saved["clips"]}


def _request(step: Step, prompt: object) -> Request:
    width, height = step.size
    ratio = Fraction(width, height)
    seconds = (step.results.get("analysis") or {}).get("seconds") or SECONDS
    said = {name: step.metadata.get(name) for name in ("image_url", "provider")}
    try:
        return Request.of(
            {
                "prompt": prompt,
                "duration": step.option("clip_seconds", float, min(float(seconds), 2 * SECONDS)),
                "aspect_ratio": f"{ratio.numerator}:{ratio.denominator}",
                **said,
            }
        )
    except ClipError as error:
        raise BriefError(str(error)) from error


async def render(step: Step) -> dict[str, Any]:
    """Render the film of the earlier steps' results: clips, pictures with music, a sound, or the text itself."""
    film, files = await _planned(step)
    with outcomes():
        made = await render_film(film, files, _folder(step), on_progress=step.job.progress)
        still = await poster(made, step.job.workdir / "poster.jpg")
    for warning in made.warnings:
        step.job.warn(warning)
    shown = {"width": film.width, "height": film.height, "duration": round(float(made.duration), 3)}
    return {
        **shown,
        "frames": made.frames,
        **await step.publish(made.path),
        "poster": await step.publish(still),
    }


async def _planned(step: Step) -> tuple[Film, dict[str, Path]]:
    prepared = step.made("asset_prep", "assets")
    if not step.results and (assets := step.assets()):
        # A job of no pipeline: its assets are used as they are.
        shots = [Shot(*await step.bring(asset)) for asset in assets]
        return films.of_videos(shots, step.size), _numbered([shot.path for shot in shots])
    of_kind = {kind: [file for file in prepared if file["kind"] == kind] for kind in KINDS}
    tracks = [await step.fetch_made(file) for file in of_kind["audio"][:1]]
    music = dict(zip(["music"], tracks, strict=False))
    if videos := [*of_kind["video"], *step.made("video_generation", "clips")]:
        shots = [await _shot(step, file) for file in videos]
        return films.of_videos(shots, step.size, *music), _numbered([shot.path for shot in shots]) | music
    if pictures := step.made("image_processing", "pictures") or of_kind["image"]:
        paths = [await step.fetch_made(file) for file in pictures]
        return films.of_pictures(len(paths), step.size, *music), _numbered(paths) | music
    if tracks:
        waveform = await step.fetch_made(of_kind["audio"][0]["waveform"])
        seconds = (await media.probe(tracks[0])).duration or Fraction(1)
        return films.of_sound(step.title, seconds, step.size), _numbered([*tracks, waveform])
    return films.of_texts(_script(step), step.size), {}


async def _shot(step: Step, file: dict[str, Any]) -> Shot:
    path = await step.fetch_made(file)
    # The picture's own length: the sound of a file may be a little longer.
    return Shot(path, await media.probe(path, count_frames=True))


def _script(step: Step) -> list[str]:
    """Return the texts of the cards: the title, and the summary or the sentences of the query."""
    said = (step.results.get("text_analysis") or {}).get("summary") or sentences(step.query)
    texts = [text[:MAX_TEXT_CHARACTERS] for text in [step.title, *said[:SAID]] if text.strip()]
    if not texts:
        raise BriefError("There is nothing to show: the brief has no title, no query and no assets.")
    return list(dict.fromkeys(texts))


def _told(step: Step) -> list[dict[str, Any]]:
    return [scene for scene in step.made("storyboard", "scenes") if scene.get("text")]


def _numbered(paths: list[Path]) -> dict[str, Path]:
    return {str(number): path for number, path in enumerate(paths)}


def _folder(step: Step) -> Path:
    folder = step.job.workdir / "film"
    folder.mkdir(exist_ok=True)
    return folder
