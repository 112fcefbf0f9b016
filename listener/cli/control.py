"""`requeue`, `cancel`, `pause`, `resume`: what people tell jobs and queues to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import click

from listener.cli.common import Database, NotFound, json_option, print_json, with_database
from listener.cli.show import count

BATCH = 500
LOOKED_AT = 50  # keys, to name those that are wrong

# History names each job that ever failed here; its row says whether it still is.
FAILED = """
select array(
  select key from (select distinct job->>'key' as key
                   from jsonb_array_elements(listener.jobs($1, 'failed', $2)) as job) as failed
  where listener.look($1, key)->>'state' = 'failed')
"""


@click.command()
@click.argument("queue")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--failed", is_flag=True, help="All jobs that failed here, the newest 10,000.")
@json_option
@with_database
async def requeue(database: Database, queue: str, keys: tuple[str, ...], failed: bool, as_json: bool) -> None:
    """Let jobs run again from the start.

    Whatever word their rows show, their attempts count from 0 again. A job that runs now is restarted.
    """
    if failed == bool(keys):
        raise click.UsageError("name the KEYs of jobs, or --failed")
    if failed:
        await database.require_queue(queue)
        keys = tuple(await database.fetchval(FAILED, queue, 10_000))
    done = await _each_batch(keys, lambda batch: database.store.requeue(queue, batch))
    if as_json:
        print_json({"queue": queue, "requeued": done})
    else:
        click.echo(f"requeued {count(done, 'job')}")
    await _told(database, queue, keys, done, "row")


@click.command()
@click.argument("queue")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.option(
    "--reason", default="cancelled", show_default=True, help="What the rows' error columns will say."
)
@json_option
@with_database
async def cancel(database: Database, queue: str, keys: tuple[str, ...], reason: str, as_json: bool) -> None:
    """End jobs that are not finished.

    A worker that runs one is told at once. Finished jobs stay as they are.
    """
    done = await _each_batch(keys, lambda batch: database.store.cancel(queue, batch, reason))
    if as_json:
        print_json({"queue": queue, "cancelled": done})
    else:
        click.echo(f"cancelled {count(done, 'job')}")
    await _told(database, queue, keys, done, "unfinished job")


async def _told(database: Database, queue: str, keys: Sequence[str], done: int, what: str) -> None:
    """Raise NotFound unless something was done to each key; a table can have jobs of other queues, too."""
    wanted = list(dict.fromkeys(keys))
    if done == len(wanted):
        return
    rowless = [key for key in wanted[:LOOKED_AT] if await database.store.look(queue, key) is None]
    raise NotFound(
        f"{len(wanted) - done} of {len(wanted)} keys name no {what} of {queue}"
        + (f"; it has no row {', '.join(rowless)}" if rowless else "")
    )


async def _each_batch(keys: Sequence[str], verb: Callable[[Sequence[str]], Awaitable[int]]) -> int:
    """Small transactions, since each holds the locks of its rows until it ends."""
    return sum([await verb(keys[start : start + BATCH]) for start in range(0, len(keys), BATCH)])


@click.command()
@click.argument("queue")
@json_option
@with_database
async def pause(database: Database, queue: str, as_json: bool) -> None:
    """Start no job of a queue until resume.

    Jobs that run go on, and new rows wait.
    """
    changed = await database.store.pause(queue)
    if as_json:
        print_json({"queue": queue, "paused": True, "changed": changed})
    else:
        click.echo(f"{queue} is paused" if changed else f"{queue} was paused already")


@click.command()
@click.argument("queue")
@json_option
@with_database
async def resume(database: Database, queue: str, as_json: bool) -> None:
    """End a pause."""
    changed = await database.store.resume(queue)
    if as_json:
        print_json({"queue": queue, "paused": False, "changed": changed})
    else:
        click.echo(f"{queue} goes on" if changed else f"{queue} was not paused")
