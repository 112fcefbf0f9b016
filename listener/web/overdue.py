"""Says in words why a job is overdue and what to do about it, for the command line and the dashboard."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Overdue:
    """What there is to say of a job that the verb `stuck` answered.

    Attributes:
        since: what happened to it at that time, such as `began`.
        because: why it is overdue.
        mend: what to do, a sentence or two.
        command: what to type for that, where a command does it.
    """

    since: str
    because: str
    mend: str
    command: str | None = None


def explain(job: Mapping[str, Any]) -> Overdue:
    """What there is to say of one of the jobs that the verb `stuck` answers."""
    queue, key = job["queue"], job["key"]
    match job["why"]:
        case "broken":
            return Overdue(
                "was due",
                "the table refuses it",
                "Mend what the error names, then let it run again.",
                command("requeue", queue, key),
            )
        case "silent":
            return Overdue(
                "began",
                "now silent",
                "Its worker died or hangs. Another takes the job over within seconds, if one is left.",
            )
        case "slow":
            return Overdue(
                "began",
                f"longer than its {job['timeout'] or 0:g} s",
                "A plain function can't be interrupted. Restart its worker: the job starts again elsewhere.",
            )
        case "paused":
            return Overdue(
                "due", "the queue is paused", "It starts when the pause ends.", command("resume", queue)
            )
        case "unserved":
            return Overdue(
                "due", "nobody serves the queue", "Start a process whose app has a handler for this queue."
            )
        case _:
            return Overdue(
                "touched",
                f"{job['word']}, not driven here",
                "Another program drives it, or has left it. If it has, take its rows over.",
                command("adopt", queue.partition("/")[0]),
            )


def command(*words: str) -> str | None:
    """A command line of `listener` for a shell; None where a word has characters that no terminal should get."""
    if not all(word.isprintable() for word in words):
        return None
    verb, *names = words
    # A name that begins with a dash is no option.
    dashed = ["--"] if any(name.startswith("-") for name in names) else []
    return shlex.join(["listener", verb, *dashed, *names])
