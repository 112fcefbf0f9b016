"""The queue `studio`: turn a recording into a transcript, and the transcript into a text that can be published.

The result of each stage is stored together with the step to the next one. A crash therefore repeats one stage only, and
no paid request.
"""

from __future__ import annotations

import json
from typing import Any, TypedDict

from anyio import Path, to_thread

from handlers.shared.outcomes import outcomes
from handlers.shared.uploads import await_upload
from handlers.studio import backends
from handlers.studio.audio import RecordingError, listen
from handlers.studio.enrichment import Enrichment, captions, enrich
from handlers.studio.recording import bring
from handlers.studio.refiners.base import RefinedPieces
from handlers.studio.routes import router
from handlers.studio.settings import StudioSettings, settings
from handlers.studio.transcribers.base import TranscribedPieces, transcribe
from handlers.studio.transcript import Segment, Transcript, segments_from_json, segments_to_json
from listener import App, ConfigError, Fail, Job
from listener.kit import storage

app = App()
app.add_settings(StudioSettings)
app.add_routes(router)

ENRICHING, REFINING = "ENRICHING", "REFINING"
HOURS = 3600.0
# Progress in percent after each stage.
HEARD, ENRICHED = 80, 82


class Refined(TypedDict):
    """The columns of the row that a finished job fills."""

    refined_text: str


@app.handler("studio", concurrency=2, timeout=12 * HOURS)
async def studio(job: Job) -> Refined:
    """Transcribe, enrich and refine the recording that the row names."""
    with outcomes("The recording can't be read", fail=(RecordingError,), retry=(ConfigError,)):
        if job.reached is None:
            await _transcribe(job)
        if job.reached == ENRICHING:
            await _enrich(job)
        return {"refined_text": await _refine(job)}


async def _transcribe(job: Job) -> None:
    """Transcribe the recording. The checkpoint keeps the times, because the row has no column for them."""
    if "transcript" not in _saved(job):
        found = await _heard(job)
        kept = {
            "language": found.language,
            "duration": found.duration,
            "segments": segments_to_json(found.segments),
        }
        await job.checkpoint({"transcript": kept})
    prompt = job.row["system_prompt_used"] or await to_thread.run_sync(settings().prompt)
    await job.stage(ENRICHING, raw_transcript=_transcript(job).text, system_prompt_used=prompt)


async def _heard(job: Job) -> Transcript:
    address, user = job.row["raw_audio_url"], job.row["user_id"]
    if not address:
        raise Fail("The job names no recording: raw_audio_url is empty.")
    by = backends.transcriber(settings())
    with await_upload(job):
        path = await bring(address, str(user), job.workdir)
    sound = await listen(path, job.workdir, max_hours=settings().max_hours)
    if by.remark:
        job.warn(by.remark)
    memory = TranscribedPieces(job.saved, job.checkpoint)
    return await transcribe(
        by, sound, memory, job.workdir, lambda share: job.progress(HEARD * share, "transcribing")
    )


async def _enrich(job: Job) -> None:
    if "enrichment" not in _saved(job):
        transcript = _transcript(job)
        enriched = await to_thread.run_sync(enrich, transcript)
        await _store(job, transcript, enriched)
        await job.checkpoint({"enrichment": enriched.to_json()})
    job.progress(ENRICHED, "enriched")
    await job.stage(REFINING)


async def _store(job: Job, transcript: Transcript, enriched: Enrichment) -> None:
    """Store captions and enrichment beside the recording.

    Their keys have no fence, because the transcript is fixed by now: two writers write the same.
    """
    try:
        storage.current()
    except storage.StorageError as error:
        job.warn(f"Captions and enrichment are not stored: {error}")
        return
    texts = {
        "transcript.srt": captions.srt(transcript),
        "transcript.vtt": captions.vtt(transcript),
        "transcript.json": json.dumps(segments_to_json(transcript.segments), ensure_ascii=False),
        "enrichment.json": json.dumps(enriched.to_json(), ensure_ascii=False, indent=1),
    }
    for name, text in texts.items():
        path = job.workdir / name
        await Path(path).write_text(text, encoding="utf-8")
        try:
            await storage.upload(settings().bucket, path, f"{job.row['user_id']}/{job.key}/{name}")
        except storage.Refused as error:
            job.warn(f"Captions and enrichment are not stored: {error}")
            return


async def _refine(job: Job) -> str:
    saved = _saved(job)
    found = saved.get("enrichment")
    enriched = Enrichment.from_json(found) if found else await to_thread.run_sync(enrich, _transcript(job))
    by = backends.refiner(settings())
    if by.remark:
        job.warn(by.remark)

    async def save(pieces: dict[str, str]) -> None:
        await job.checkpoint({"enrichment": enriched.to_json(), "refined": pieces})

    prompt = job.row["system_prompt_used"] or await to_thread.run_sync(settings().prompt)
    return await by.refine(
        enriched,
        prompt,
        RefinedPieces(dict(saved.get("refined", {})), save),
        lambda share: job.progress(ENRICHED + (100 - ENRICHED) * share, "refining"),
    )


def _saved(job: Job) -> dict[str, Any]:
    return job.saved if isinstance(job.saved, dict) else {}


def _transcript(job: Job) -> Transcript:
    """Return the transcript of the checkpoint, or the row's text if another program has transcribed it."""
    kept = _saved(job).get("transcript")
    if kept:
        return Transcript(segments_from_json(kept["segments"]), kept["language"], kept["duration"])
    text = job.row["raw_transcript"]
    if not text:
        raise Fail(f"The job is {job.reached}, but has no transcript; set its status to NEW.")
    return Transcript((Segment(0.0, 0.0, text),), None, 0.0)
