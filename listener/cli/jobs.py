"""`queues` and `jobs`: list queues and jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
from rich.text import Text

from listener.cli import values
from listener.cli.common import Database, NotFound, json_option, print_json, with_database
from listener.cli.show import ago, brief, console, plain, span, state, table, whole
from listener.web.overdue import explain

STATES = ("waiting", "scheduled", "running", "broken", "completed", "failed", "cancelled")
MANY = 10_000


@click.command()
@json_option
@with_database
async def queues(database: Database, as_json: bool) -> None:
    """List the queues with their jobs and workers."""
    found = (await database.store.stats() or {"queues": []})["queues"]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("no table is attached yet; start with: listener attach TABLE QUEUE")
        return
    numbers = ("waiting", "scheduled", "running", "broken", "oldest", "workers", "slots")
    shown = table("queue", "table", *numbers, "", numbers=numbers, wide="table")
    for queue in found:
        shown.add_row(
            Text(plain(queue["queue"]), "bold"),
            plain(queue["table"]),
            *(Text(str(queue[state] or "·"), "" if queue[state] else "dim") for state in numbers[:4]),
            span(queue["oldest"]) if queue["waiting"] else "",
            str(queue["workers"]),
            str(queue["slots"]),
            _remark(queue),
        )
    whole(shown)


def _remark(queue: dict[str, Any]) -> Text:
    if queue["paused"]:
        return state("paused")
    if queue["waiting"] and not queue["workers"]:
        return Text("no worker", "red")
    return Text(f"{queue['expired']} without heartbeat", "red") if queue["expired"] else Text("")


@click.command()
@click.argument("queue", required=False)
@click.option("--key", help="Show one job of QUEUE with its attempts and warnings.")
@click.option(
    "--state",
    "wanted",
    type=click.Choice(STATES),
    help="Only jobs in this state. The last three are outcomes of finished jobs.",
)
@click.option("--stuck", is_flag=True, help="Only overdue jobs, with the reason.")
@values.older_option("With --stuck: waiting jobs, and jobs of other programs, are overdue after this time.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, MANY), help="The maximum number of jobs."
)
@json_option
@with_database
async def jobs(
    database: Database,
    *,
    queue: str | None,
    key: str | None,
    wanted: str | None,
    stuck: bool,
    older: timedelta,
    limit: int,
    as_json: bool,
) -> None:
    """List jobs, or show one job with its attempts.

    Without --state it lists unfinished jobs in the order in which they will run.
    """
    if key is not None:
        if queue is None:
            raise click.UsageError("--key needs QUEUE")
        await _show_one(database, queue, key, as_json)
        return
    if stuck and wanted is not None:
        raise click.UsageError("--stuck includes all states; leave out --state")
    if queue is not None:
        await database.require_queue(queue)
    if stuck:
        found = await database.store.stuck(queue, older=older, most=limit)
    else:
        found = await database.store.jobs(queue, wanted, limit)
    if as_json:
        print_json(found)
    elif found:
        _show_list(found)
        if len(found) == limit:
            click.echo(f"only the first {limit} are shown; --limit shows more")
    else:
        click.echo("no matching jobs" if wanted or stuck else "no unfinished jobs")


def _show_list(found: list[dict[str, Any]]) -> None:
    shown = table("queue", "key", "state", "attempt", "", "error", numbers=("attempt",), wide="error")
    for job in found:
        shown.add_row(
            plain(job["queue"]),
            plain(job["key"]),
            state(job["state"]),
            f"{job['attempt']}/{job['max_attempts']}",
            _when(job),
            Text(brief(job["error"], 100), "red"),
        )
    whole(shown)


def _when(job: dict[str, Any]) -> str:
    if "why" in job:
        return _why(job)
    match job["state"]:
        case "running":
            return f"started {ago(job['claimed_at'])}" + (", no heartbeat" if job["expired"] else "")
        case "waiting" | "scheduled":
            return f"due {ago(job['due'])}"
        case "broken":
            return f"was due {ago(job['due'])}"
        case _:
            return f"finished {ago(job['due'])}"


def _why(job: dict[str, Any]) -> str:
    overdue = explain(job)
    begun = f"{overdue.since} {ago(job['since'])}, " if job["since"] else ""
    return plain(begun + overdue.because)


async def _show_one(database: Database, queue: str, key: str, as_json: bool) -> None:
    job = await database.store.job(queue, key)
    if job is None:
        raise NotFound(f"there is no job '{key}' in queue {queue}")
    if as_json:
        print_json(job)
        return
    delivery = job["delivery"] or {}
    out = console()
    out.print(
        Text.assemble(
            (plain(f"{queue} {key}"), "bold"), "  ", state(job["state"] or ""), "  ", plain(job["word"])
        )
    )
    rows = {
        "progress": f"{job['progress']} %" if job["progress"] is not None else None,
        "message": job["message"],
        "error": delivery.get("error") or job["error"],
        "delivery": f"{delivery['state']}, due {ago(delivery['run_at'])}" if delivery else None,
        "worker": delivery.get("worker"),
        "lease": f"ends {ago(delivery['lease_until'])}" if delivery.get("lease_until") else None,
        "snoozes": delivery.get("snoozes") or None,
    }
    for label, value in rows.items():
        if value is not None:
            out.print(f"  {label:<9} {plain(value)}", soft_wrap=True)
    if job["attempts"]:
        _show_attempts(job["attempts"])


def _show_attempts(attempts: list[dict[str, Any]]) -> None:
    shown = table(
        "attempt",
        "outcome",
        "finished",
        "worker",
        "error and warnings",
        numbers=("attempt",),
        wide="error and warnings",
    )
    for attempt in attempts:
        shown.add_row(
            str(attempt["attempt"]),
            state(attempt["outcome"]),
            ago(attempt["finished_at"]),
            plain(attempt["worker"]),
            Text(brief(attempt["error"]), "red"),
        )
        for warning in attempt["warnings"] or []:
            shown.add_row("", "", "", "", Text(brief(warning), "yellow"))
    whole(shown)
