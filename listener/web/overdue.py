"""Explain why a job is overdue and what to do about it, for the command line and the dashboard."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Overdue:
    """The explanation of one overdue job.

    Attributes:
        since: the last event of the job, such as `started`, for "started 5 min ago".
        because: why it is overdue.
        fix: what to do, in one or two sentences.
        command: the command that does it, if there is one.
    """

    since: str
    because: str
    fix: str
    command: str | None = None


def explain(job: Mapping[str, Any]) -> Overdue:
    """Explain one job of the result of the verb `stuck`."""
    queue, key = job["queue"], job["key"]
    match job["why"]:
        case "broken":
            return Overdue(
                "was due",
                "the database refuses to change its row",
                "Correct what the error names, then requeue the job.",
                command("requeue", queue, key),
            )
        case "silent":
            return Overdue(
                "started",
                "no heartbeat",
                "Its worker died or hangs. Another worker takes the job within seconds, if there is one.",
            )
        case "slow":
            return Overdue(
                "started",
                f"longer than its timeout of {job['timeout'] or 0:g} s",
                "A plain function can't be interrupted. Restart its worker; the job then starts again.",
            )
        case "paused":
            return Overdue(
                "due", "the queue is paused", "It starts when the queue is resumed.", command("resume", queue)
            )
        case "unserved":
            return Overdue(
                "due", "no worker serves the queue", "Start a process with a handler for this queue."
            )
        case _:
            return Overdue(
                "changed",
                f"{job['word']}, but no worker of this service runs it",
                "Another program runs it or has abandoned it. If that program is gone, adopt its rows.",
                command("adopt", queue.partition("/")[0]),
            )


def command(*words: str) -> str | None:
    """Return a `listener` command line for a shell; None if a word contains control characters."""
    if not all(word.isprintable() for word in words):
        return None
    verb, *names = words
    # A name that begins with a dash must not be read as an option.
    dashed = ["--"] if any(name.startswith("-") for name in names) else []
    return shlex.join(["listener", verb, *dashed, *names])
