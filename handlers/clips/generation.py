"""Generate a clip from a prompt by one of the providers, and pay for it once."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from handlers.clips.fal import Fal
from handlers.clips.in_flight import forget, note
from handlers.clips.model import (
    Ambiguous,
    Clip,
    ClipError,
    NotSent,
    OverQuota,
    Provider,
    ProviderUnavailable,
    Ref,
    Request,
)
from handlers.clips.ordering import Memo, Remember, send
from handlers.clips.settings import ClipsSettings, settings
from handlers.clips.synthetic import Synthetic
from handlers.shared.outcomes import outcomes
from listener import Fail, Job, Retry, Snooze
from listener.kit import ffmpeg, media

PROVIDERS: Mapping[str, Callable[[ClipsSettings], Provider]] = {
    "synthetic": lambda _: Synthetic(),
    "fal": Fal,
}

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 15.0
QUOTA_PAUSE = 60.0
THUMBNAIL_WIDTH = 640


async def generate(job: Job, request: Request, *, saved: Any, remember: Remember) -> Clip:
    """Generate a clip inside a handler. While the provider works the job is snoozed, so that it occupies no slot.

    A request is ordered once, even if the job's process dies. If the process dies while the request is sent, nobody
    knows whether it reached the provider; then CLIPS_ON_AMBIGUOUS decides.

    Args:
        job: the running job; the files are written to its scratch folder.
        request: the clip.
        saved: the value that an earlier attempt passed to `remember`, such as `job.saved`.
        remember: stores a JSON value for the next attempt, such as `job.checkpoint`. A handler that stores more
            wraps both.

    Raises:
        Fail, Retry, Snooze: the outcome, with a sentence for the user.
    """
    async with _outcomes(job):
        request.check(max_prompt=settings().max_prompt, max_seconds=settings().max_seconds)
        memo = await _known(job, request, Memo.of(saved), remember)
        provider = _provider((memo and memo.provider) or request.provider)
        ref = memo.ref if memo and memo.ref else await send(provider, request, remember)
        return await _collected(job, request, provider, ref, remember)


async def _known(job: Job, request: Request, memo: Memo | None, remember: Remember) -> Memo | None:
    """Return the order of an earlier attempt, if it is for the same request."""
    if memo is None:
        return None
    if memo.fingerprint != request.fingerprint():
        if memo.ref:
            await _provider(memo.provider).cancel(memo.ref)
        job.warn(f"The request has changed; the order at {memo.provider} is cancelled.")
        await remember(None)
        return None
    if memo.ref is None and settings().on_ambiguous == "fail":
        raise Ambiguous("the process ended while it was being sent")
    if memo.ref is None:
        job.warn(
            f"The request is sent to {memo.provider} again and may be paid twice (CLIPS_ON_AMBIGUOUS=retry)."
        )
    return memo


async def _collected(job: Job, request: Request, provider: Provider, ref: Ref, remember: Remember) -> Clip:
    note(job, provider, ref)
    try:
        state = await provider.poll(ref)
        if state.word == "done":
            forget(job)
            clip = job.workdir / "clip.mp4"
            await provider.collect(request, state, clip, job.progress)
            return await _examined(job, provider, clip)
    except ProviderUnavailable as error:
        await _patient(job, provider, ref)
        job.log.warning("provider did not respond", provider=provider.name, error=str(error))
        raise Snooze(LONGEST_PAUSE) from error
    if state.word == "failed":
        forget(job)
        await remember(None)
        raise Retry(state.message)
    await _patient(job, provider, ref)
    if job.row.get("message") != state.message:
        job.progress(None, state.message)
    job.log.info("clip not finished", provider=provider.name, state=state.message)
    ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 1.3**job.snoozes)
    raise Snooze(ceiling * random.uniform(0.8, 1.0))  # noqa: S311


async def _examined(job: Job, provider: Provider, clip: Path) -> Clip:
    try:
        found = await media.probe(clip, count_frames=True, timeout=60)
    except media.MediaError as error:
        raise ClipError(f"The file from {provider.name} is not a video: {error}") from error
    if found.video is None or found.video.is_image or not found.duration:
        raise ClipError(f"The file from {provider.name} is not a video: it has a single picture.")
    thumbnail = job.workdir / "thumbnail.jpg"
    await ffmpeg.run(
        [
            *("-ss", f"{float(found.duration) / 3:.3f}", *ffmpeg.input_options(), "-i", str(clip)),
            *(
                "-frames:v",
                "1",
                "-vf",
                f"scale={THUMBNAIL_WIDTH}:-2",
                "-update",
                "1",
                "-f",
                "image2",
                thumbnail,
            ),
        ],
        frames=1,
    )
    return Clip(clip, thumbnail, found, provider.name)


async def _patient(job: Job, provider: Provider, ref: Ref) -> None:
    """Cancel an order that takes too long."""
    if job.waited > settings().patience:
        forget(job)
        await provider.cancel(ref)
        raise ClipError(
            f"{provider.name} did not deliver within {settings().patience / 60:g} minutes (CLIPS_PATIENCE)."
        )


def _provider(name: str | None) -> Provider:
    name = name or settings().provider
    if name not in PROVIDERS:
        raise ClipError(f"There is no provider {name[:50]!r}; choose one of {', '.join(PROVIDERS)}.")
    return PROVIDERS[name](settings())


@asynccontextmanager
async def _outcomes(job: Job) -> AsyncIterator[None]:
    try:
        with outcomes("The clip could not be made", fail=(ClipError,), retry=(NotSent,)):
            yield
    except OverQuota as error:
        if job.waited > settings().patience:
            raise Fail(f"{error} It was tried for {settings().patience / 60:g} minutes.") from error
        job.log.warning("provider over quota", error=str(error))
        raise Snooze(QUOTA_PAUSE if error.delay is None else error.delay) from error
    except Ambiguous as error:
        sentence = f"It is unknown whether the provider received the request: {error}."
        job.warn(sentence)
        if settings().on_ambiguous == "retry":
            raise Retry(sentence) from error
        raise Fail(
            f"{sentence} It is not sent again, because it could be paid twice (CLIPS_ON_AMBIGUOUS=retry sends it)."
        ) from error
