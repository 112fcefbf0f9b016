"""`listener demo studio`: a short recording becomes a text, without any set-up."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console
from rich.table import Table

from handlers.shared.text.language import words
from handlers.studio.handler import app
from handlers.studio.settings import settings
from listener.testing import DemoFailed, Harness, running_app

SPOKEN = Path(__file__).with_name("sample.txt")
RECORDING = Path(__file__).with_name("sample.ogg")
TITLE = "A recording named in studio_jobs becomes a text"
TIMEOUT_SECONDS = 120.0
FINAL = {"COMPLETE", "FAILED"}
MAX_ERROR_RATE = 0.4  # of the words

# The changes that a frontend which subscribes to the table receives.
WATCH = """
create table seen (n int generated always as identity, word text, at timestamptz default clock_timestamp());
create function see() returns trigger language plpgsql security definer as
  $$ begin insert into public.seen (word) values (new.status); return null; end $$;
create trigger see after insert or update on studio_jobs for each row execute function see();
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of the job.

    Attributes:
        stages: each word of the row, and the seconds that it stood there.
    """

    row: dict[str, Any]
    stages: list[tuple[str, float]]
    warnings: list[str]


async def show(folder: Path, console: Console) -> str:
    """Run the demonstration, compare the transcript with the spoken text, and return the path of the text."""
    user = str(uuid.uuid4())
    async with running_app(app, folder / "storage", presets=("supabase_shim", "studio_jobs")) as made:
        await made.connection.execute(WATCH)
        console.print(f"  Postgres and the service are up; the dashboard: {made.address}/dashboard")
        await made.files.upload(settings().bucket, RECORDING, f"{user}/sample.ogg")
        # In the user's role and under the policies of the table, as a browser does.
        async with made.acting_as(user) as browser:
            job = await browser.fetchval(
                "insert into studio_jobs (user_id, raw_audio_url) values ($1, 'sample.ogg') returning job_id",
                user,
            )
        ended = await _follow(made, job, console)
        if ended.row["status"] != "COMPLETE":
            raise DemoFailed(json.loads(ended.row["error_details"])["message"])
    enriched = folder / "storage" / settings().bucket / user / str(job) / "enrichment.json"
    about = json.loads(await anyio.Path(enriched).read_text(encoding="utf-8"))
    text = folder / "studio.txt"
    await anyio.Path(text).write_text(ended.row["refined_text"] + "\n", encoding="utf-8")
    spoken = await anyio.Path(SPOKEN).read_text(encoding="utf-8")
    wrong = word_error_rate(spoken, ended.row["raw_transcript"])
    _report(ended, about, wrong, console)
    if wrong > MAX_ERROR_RATE:
        raise DemoFailed(f"{wrong:.0%} of the words were misheard")
    return str(text)


async def _follow(made: Harness, job: uuid.UUID, console: Console) -> Ended:
    shown = 0
    with anyio.fail_after(TIMEOUT_SECONDS):
        while True:
            seen = await made.connection.fetch("select word, at from seen order by n")
            for one in seen[shown:]:
                console.print(f"  studio_jobs: {one['word']}")
            shown = len(seen)
            if seen[-1]["word"] in FINAL:
                break
            await anyio.sleep(0.1)
    row = dict(await made.connection.fetchrow("select * from studio_jobs where job_id = $1", job) or {})
    stages = [(one["word"], (then["at"] - one["at"]).total_seconds()) for one, then in pairwise(seen)]
    warnings = await made.connection.fetchval(
        "select warnings from listener.attempt where job_key = $1 order by id desc limit 1", str(job)
    )
    return Ended(row, stages, json.loads(warnings or "[]"))


def word_error_rate(spoken: str, heard: str) -> float:
    """Return the words to change, add or remove, as a share of the spoken words."""
    wanted, found = words(spoken), words(heard)
    distances = list(range(len(found) + 1))
    for number, word in enumerate(wanted, 1):
        before, distances[0] = distances[0], number
        for at, other in enumerate(found, 1):
            before, distances[at] = (
                distances[at],
                min(distances[at] + 1, distances[at - 1] + 1, before + (word != other)),
            )
    return distances[-1] / len(wanted)


def _report(ended: Ended, about: dict[str, Any], wrong: float, console: Console) -> None:
    console.print(f"\n[bold]Heard[/bold]\n{ended.row['raw_transcript']}")
    console.print(f"\n[bold]Refined[/bold]\n{ended.row['refined_text']}\n")
    table = Table(show_header=False, box=None, padding=(0, 2))
    for word, seconds in ended.stages:
        table.add_row(word, f"{seconds:.2f} s")
    table.add_row("processing_time_ms", str(ended.row["processing_time_ms"]))
    table.add_row("word error rate", f"{wrong:.0%}")
    table.add_row("chapters", "; ".join(chapter["title"] for chapter in about["chapters"]))
    table.add_row("keywords", ", ".join(about["keywords"][:6]))
    for warning in ended.warnings:
        table.add_row("warning", warning)
    console.print(table)
