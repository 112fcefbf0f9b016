"""The queues `jobs/TYPE`, one for each of the seven steps, and the deletion of old jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypedDict

from handlers.briefs.model import BriefError
from handlers.briefs.routes import router
from handlers.briefs.settings import BriefSettings, settings
from handlers.briefs.step import Step
from handlers.briefs.steps.analysis import analysis
from handlers.briefs.steps.assets import asset_prep, image_processing
from handlers.briefs.steps.generation import render, storyboard, video_generation
from handlers.briefs.steps.text import text_analysis
from handlers.shared.outcomes import outcomes
from listener import App, Fail, Job, ListenerError, Snooze
from listener.kit import tables
from listener.kit.storage import ObjectNotFound
from listener.kit.tables import TablesError

app = App()
app.add_settings(BriefSettings)
app.add_routes(router)

HOUR = 3600.0
BATCH = 200
UNDEFINED_FUNCTION = "42883"

Result = dict[str, Any]
Work = Callable[[Step], Awaitable[Result]]


class Finished(TypedDict):
    """The columns of the row that a finished step fills."""

    result: Result


def step(type: str, work: Work) -> None:  # noqa: A002 - the column's name
    """Register the handler of a type of job; its limits are read from the settings when the service starts."""

    async def run(job: Job) -> Finished:
        allowed = min(settings().of(type).attempts, int(job.row["max_attempts"]))
        if job.attempt > allowed:
            raise Fail(
                f"The last of {allowed} attempts did not end: it reached its timeout, or its worker died."
            )
        with _outcomes(is_last=job.attempt >= allowed):
            return {"result": await work(Step(job))}

    run.__name__ = type
    app.handler(f"jobs/{type}", limits=lambda: settings().of(type)[:2])(run)


@contextmanager
def _outcomes(*, is_last: bool) -> Iterator[None]:
    """Turn the errors of a step into outcomes; an error that ends the last attempt becomes `Fail`."""
    try:
        with outcomes("A file could not be processed", fail=(BriefError, ObjectNotFound)):
            yield
    except (Fail, Snooze):
        raise
    except Exception as error:
        if not is_last:
            raise
        text = str(error) if isinstance(error, ListenerError) else f"{type(error).__name__}: {error}"
        raise Fail(text) from error


step("analysis", analysis)
step("asset_prep", asset_prep)
step("storyboard", storyboard)
step("video_generation", video_generation)
step("image_processing", image_processing)
step("text_analysis", text_analysis)
step("render", render)


@app.every(HOUR)
async def trim() -> None:
    """Delete old briefs and jobs, as pg_cron does where it is installed; in small batches, so that no lock lasts."""
    older = f"{timedelta(days=settings().keep_days).total_seconds()} s"
    try:
        while await tables.current().call("trim_jobs", older=older, most=BATCH) >= BATCH:
            pass
    except TablesError as error:
        # The preset `briefs` is not installed.
        if error.sqlstate != UNDEFINED_FUNCTION:
            raise
