"""`watch`: show live progress of jobs, as bars on a terminal and as lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import anyio
import click
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from listener.cli.common import Database, NotFound, with_database
from listener.cli.show import brief, console, count, plain
from listener.errors import ListenerError

INTERVAL = 0.5  # seconds between two queries
MAX_JOBS = 20  # jobs shown at once if the whole queue is watched

LOOK = """
select coalesce(jsonb_agg(jsonb_build_object('key', key, 'job', listener.job($1, key)) order by n), '[]')
from unnest($2::text[]) with ordinality as wanted(key, n)
"""


class JobsFailed(ListenerError):
    """Watched jobs did not complete."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The current state of one job, for display.

    Attributes:
        percent: 0 to 100, or None if the table has no progress column.
        ended: whether the job is finished or set aside.
        ok: whether the job has completed.
    """

    key: str
    word: str
    percent: float | None
    note: str
    ended: bool = False
    ok: bool = False


@click.command()
@click.argument("queue")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@with_database
async def watch(database: Database, queue: str, keys: tuple[str, ...]) -> None:
    """Show live progress of jobs.

    The command ends when all of them are finished, with exit code 1 if one of them did not complete. Without KEYs it
    shows all jobs of the queue until it is interrupted.
    """
    await database.require_queue(queue)
    await follow(database, queue, keys)


async def follow(database: Database, queue: str, keys: Sequence[str]) -> None:
    """Show jobs until all are finished; without keys, show those of the whole queue without end.

    Raises:
        NotFound: there is no row with a key at the start.
        JobsFailed: a job did not complete.
    """
    sights = await _look(database, queue, keys)
    if missing := [sight.key for sight in sights if not sight.word]:
        raise NotFound(f"queue {queue} has no job {', '.join(missing)}")
    with _display() as display:
        while True:
            for sight in sights:
                display.show(sight)
            if keys and all(sight.ended for sight in sights):
                break
            await anyio.sleep(INTERVAL)
            open_keys = [sight.key for sight in sights if not sight.ended] if not keys else []
            more = [] if keys else [job["key"] for job in await database.store.jobs(queue, most=MAX_JOBS)]
            sights = await _look(database, queue, list(keys) or list(dict.fromkeys([*open_keys, *more])))
    if failed := [sight for sight in sights if not sight.ok]:
        raise JobsFailed(
            brief(f"{failed[0].key}: {failed[0].note}")
            if len(keys) == 1
            else f"{len(failed)} of {count(len(sights), 'job')} did not complete"
        )


async def _look(database: Database, queue: str, keys: Sequence[str]) -> list[Sight]:
    found = await database.fetchval(LOOK, queue, list(keys))
    return [judge(one["key"], one["job"]) for one in found]


def judge(key: str, job: dict[str, Any] | None) -> Sight:
    """Turn the result of the verb `job` into what is displayed."""
    if job is None:
        return Sight(key, "", None, "the row is gone", ended=True)
    delivery = job["delivery"] or {}
    word = job["word"]
    percent = float(job["progress"]) if isinstance(job["progress"], int | float) else None
    if delivery.get("state") == "broken":
        return Sight(key, word, percent, plain(delivery["error"]), ended=True)
    match job["state"]:
        case "done":
            return Sight(key, word, 100.0, "", ended=True, ok=True)
        case "failed" | "cancelled" | None:
            return Sight(key, word, percent, plain(job["error"] or f"the row says '{word}'"), ended=True)
    return Sight(key, word, percent, _note(job, delivery))


def _note(job: dict[str, Any], delivery: dict[str, Any]) -> str:
    match delivery.get("state"):
        case "running":
            return plain(job["message"] or "")
        case "waiting":
            return "waiting for a worker"
        case "scheduled":
            due = datetime.fromisoformat(delivery["run_at"]).astimezone()
            again = "again " if delivery["attempt"] or delivery["snoozes"] else ""
            return f"starts {again}at {due:%H:%M:%S}"
        case _:
            return "run by another program" if job["state"] == "running" else "no delivery yet"


class Display(Protocol):
    """Shows the state of jobs."""

    def show(self, sight: Sight) -> None:
        """Show the current state of a job."""


@contextmanager
def _display() -> Iterator[Display]:
    if not sys.stdout.isatty():
        yield _Lines()
        return
    with Progress(
        TextColumn("{task.fields[mark]} {task.description}", markup=False),
        BarColumn(24),
        TaskProgressColumn(),
        TextColumn("{task.fields[word]}  {task.fields[note]}", markup=False),
        console=console(),
    ) as progress:
        yield _Bars(progress)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, sight: Sight) -> None:
        if sight.key not in self._tasks:
            self._tasks[sight.key] = self._progress.add_task(plain(sight.key), mark=" ", word="", note="")
        self._progress.update(
            self._tasks[sight.key],
            # A bar without a total is animated, so a finished job needs a total.
            total=100 if sight.percent is not None or sight.ended else None,
            completed=sight.percent or 0,
            mark="✓" if sight.ok else "✗" if sight.ended else " ",
            word=plain(sight.word),
            note=sight.note,
        )


class _Lines:
    """Prints a line when the word or the note changes, and for each ten percent."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[object, ...]] = {}

    def show(self, sight: Sight) -> None:
        percent = None if sight.percent is None else int(sight.percent)
        telling = (sight.word, sight.note, None if percent is None else percent // 10)
        if self._shown.get(sight.key) != telling:
            self._shown[sight.key] = telling
            shown = [sight.key, sight.word, "" if percent is None else f"{percent} %", sight.note]
            click.echo("  ".join(plain(part) for part in shown if part))
