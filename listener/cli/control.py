"""`requeue`, `cancel`, `pause`, `resume`: control jobs and queues."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import click

from listener.cli.common import Database, NotFound, json_option, print_json, with_database
from listener.cli.show import count

BATCH = 500
CHECKED = 50  # missing keys that an error names

# The history names each job that ever failed; only its row says whether it is still failed.
FAILED = """
select array(
  select key from (select distinct job->>'key' as key
                   from jsonb_array_elements(listener.jobs($1, 'failed', $2)) as job) as failed
  where listener.job($1, key)->>'state' = 'failed')
"""


@click.command()
@click.argument("queue")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--failed", is_flag=True, help="All failed jobs, at most the newest 10,000.")
@json_option
@with_database
async def requeue(database: Database, queue: str, keys: tuple[str, ...], failed: bool, as_json: bool) -> None:
    """Run jobs again from the start.

    This works for rows in any word. Attempts are counted from 0 again. A running job is restarted.
    """
    if failed == bool(keys):
        raise click.UsageError("give the KEYs of jobs, or --failed")
    if failed:
        await database.require_queue(queue)
        keys = tuple(await database.fetchval(FAILED, queue, 10_000))
    done = await _each_batch(keys, lambda batch: database.store.requeue(queue, batch))
    if as_json:
        print_json({"queue": queue, "requeued": done})
    else:
        click.echo(f"requeued {count(done, 'job')}")
    await _require_all(database, queue, keys, done, "row")


@click.command()
@click.argument("queue")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.option(
    "--reason", default="cancelled", show_default=True, help="The text for the error columns of the rows."
)
@json_option
@with_database
async def cancel(database: Database, queue: str, keys: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Cancel unfinished jobs.

    A running handler is stopped at once. Finished jobs stay as they are.
    """
    done = await _each_batch(keys, lambda batch: database.store.cancel(queue, batch, reason))
    if as_json:
        print_json({"queue": queue, "cancelled": done})
    else:
        click.echo(f"cancelled {count(done, 'job')}")
    await _require_all(database, queue, keys, done, "unfinished job")


async def _require_all(database: Database, queue: str, keys: Sequence[str], done: int, what: str) -> None:
    """Raise NotFound unless each key was changed; a table can also have jobs of other queues."""
    wanted = list(dict.fromkeys(keys))
    if done == len(wanted):
        return
    rowless = [key for key in wanted[:CHECKED] if await database.store.job(queue, key) is None]
    raise NotFound(
        f"{len(wanted) - done} of {len(wanted)} keys are not the key of any {what} of {queue}"
        + (f"; these rows do not exist: {', '.join(rowless)}" if rowless else "")
    )


async def _each_batch(keys: Sequence[str], verb: Callable[[Sequence[str]], Awaitable[int]]) -> int:
    """Call a verb in small batches, because each transaction keeps its row locks until it ends."""
    return sum([await verb(keys[start : start + BATCH]) for start in range(0, len(keys), BATCH)])


@click.command()
@click.argument("queue")
@json_option
@with_database
async def pause(database: Database, queue: str, as_json: bool) -> None:
    """Start no more jobs of a queue until it is resumed.

    Running jobs continue, and new rows wait.
    """
    changed = await database.store.pause(queue)
    if as_json:
        print_json({"queue": queue, "paused": True, "changed": changed})
    else:
        click.echo(f"{queue} is paused" if changed else f"{queue} was already paused")


@click.command()
@click.argument("queue")
@json_option
@with_database
async def resume(database: Database, queue: str, as_json: bool) -> None:
    """Resume a paused queue."""
    changed = await database.store.resume(queue)
    if as_json:
        print_json({"queue": queue, "paused": False, "changed": changed})
    else:
        click.echo(f"{queue} is resumed" if changed else f"{queue} was not paused")
