"""The verbs of the schema `listener`, typed. `sql/verbs/` defines them, one verb a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from listener.database import migrate
from listener.database.decoding import unreadable
from listener.database.model import Answer, Claim, Delivery, Lost, Miss, Served, Verb
from listener.database.transport import Transport
from listener.errors import DatabaseError, DatabaseUnavailable, ErrorKind, SchemaError

Batch = Sequence[Mapping[str, Any]]


class Store:
    """Call the verbs over a transport. Every method raises DatabaseUnavailable and DatabaseError as the transport does.

    Args:
        transport: calls the SQL functions.
        lease: seconds after a claim or a heartbeat until the job's lease ends.
        beat: seconds between heartbeats.
        on_error: called with the verb and the kind of each error.

    Attributes:
        newest_fence: the newest fence of all workers when the last heartbeat was answered.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        lease: float = 20.0,
        beat: float = 5.0,
        on_error: Callable[[str, ErrorKind], None] | None = None,
    ) -> None:
        self._transport_call = transport.call
        self._call = self._transport_call if on_error is None else self._call_and_report
        self._on_error = on_error
        self.newest_fence = 0
        self._lease = timedelta(seconds=lease)
        self._beat = timedelta(seconds=beat)

    async def _call_and_report(self, function: str, /, **arguments: Any) -> Any:
        try:
            return await self._transport_call(function, **arguments)
        except (DatabaseError, DatabaseUnavailable) as error:
            if self._on_error is not None:
                self._on_error(function, error.kind)
            raise

    async def check_schema(self) -> None:
        """Check that the schema is the one that this program needs.

        Raises:
            SchemaError: the schema is missing, older or newer.
        """
        try:
            applied = await self._call("schema_version")
        except DatabaseError as error:
            if error.sqlstate in {"3F000", "42883", "42P01"}:
                raise SchemaError(
                    "the database has no schema listener yet; run `listener migrate` first"
                ) from error
            raise
        migrate.compare(applied)

    # By the service.

    async def register(
        self,
        worker: str,
        host: str,
        version: str,
        slots: Mapping[str, int],
        timeouts: Mapping[str, float] | None = None,
    ) -> list[Served]:
        """Register a worker.

        Args:
            slots: queue name -> the most jobs of it that the worker runs at once.
            timeouts: queue name -> seconds that an attempt may take; queues without a limit are left out.

        Returns:
            The attached ones among its queues.
        """
        served = await self._call(
            "register",
            worker=worker,
            host=host,
            version=version,
            slots=dict(slots),
            timeouts=dict(timeouts or {}),
        )
        return [Served(**one) for one in served]

    async def unregister(self, worker: str) -> None:
        """Remove a worker that has ended and runs no job."""
        await self._call("unregister", worker=worker)

    async def claim(self, worker: str, slots: Mapping[str, int], *, sweep: bool = True) -> Claim:
        """Claim due jobs.

        Args:
            slots: queue name -> the most jobs to claim from it.
            sweep: also find out when the next job is due and the next lease ends.
        """
        if not sweep and len(slots) == 1:
            ((queue, limit),) = slots.items()
            if claim := await self._take(worker, queue, limit):
                return claim
        answer = await self._call(
            "claim",
            worker=worker,
            queues=list(slots),
            slots=list(slots.values()),
            lease=self._lease,
            sweep=sweep,
        )
        misses = [
            Miss(miss["queue"], miss["why"], miss.get("key"), miss.get("error")) for miss in answer["misses"]
        ]
        return Claim(
            _deliveries(answer),
            misses,
            answer.get("next_due"),
            answer.get("next_lease"),
            answer.get("known", True),
            answer["more"],
        )

    async def _take(self, worker: str, queue: str, limit: int) -> Claim | None:
        """Claim from one queue by one statement; None if one of the rows was refused, because only the verb `claim`
        finds out which.
        """
        try:
            answer = await self._call("take", queue=queue, most=limit, worker=worker, lease=self._lease)
        except DatabaseError:
            return None
        return Claim(_deliveries(answer), [], None, None, known=True, more=bool(answer["missed"]))

    async def heartbeat(
        self, worker: str, held: Iterable[tuple[int, int]], *, known: int | None = None
    ) -> list[Lost]:
        """Extend the leases of these (delivery, fence), and return the attempts that have lost theirs. Sets
        `newest_fence`.

        Args:
            known: a fence; claims of this worker up to it that are not in `held` are given back, because nobody runs
                them, and newer ones are left alone. None gives back those that are older than two beats.
        """
        batch = [{"delivery": delivery, "fence": fence} for delivery, fence in held]
        answer = await self._call(
            "heartbeat", worker=worker, batch=batch, lease=self._lease, beat=self._beat, known=known
        )
        self.newest_fence = answer["fence"]
        return [Lost(**lost) for lost in answer["lost"]]

    async def settle(self, verb: Verb, batch: Batch) -> dict[int, Answer]:
        """Call one of the verbs that take a batch.

        Args:
            batch: items with `delivery`, `fence` and the fields that the head of the verb's SQL file lists; each
                delivery occurs once.

        Returns:
            Delivery -> answer.
        """
        answers = await self._call(verb, batch=list(batch))
        return {
            one["delivery"]: Answer(one["outcome"], one.get("error"), one.get("sqlstate", ""))
            for one in answers
        }

    async def postpone_next(self, queue: str, error: str) -> dict[str, Any] | None:
        """Put aside the next job of a queue, whose claim took too long alone: {key, state}; None if no job waits."""
        postponed: dict[str, Any] | None = await self._call("postpone_next", queue=queue, error=error)
        return postponed

    async def rescue(self, most: int = 500) -> list[dict[str, Any]]:
        """Rescue jobs whose lease has ended, at most so many: [{queue, key, worker, spent}]."""
        return list(await self._call("rescue", most=most))

    async def reconcile(self) -> list[dict[str, Any]]:
        """Find ready rows without a delivery: [{attachment, queues, more, problem}]."""
        return list(await self._call("reconcile"))

    async def prune(self) -> int:
        """Delete some old history, and return how many attempts were deleted; 0 when there is no more."""
        return int(await self._call("prune"))

    async def stats(self, worker: str | None = None) -> dict[str, Any] | None:
        """The numbers of all workers and queues; None if another worker is the one to publish them."""
        answer: dict[str, Any] | None = await self._call("stats", worker=worker)
        return answer

    async def overview(self, most: int = 20) -> dict[str, Any]:
        """The contents of the dashboard: `stats`, the workers, and the first jobs of each state."""
        return dict(await self._call("overview", most=most))

    async def stuck(
        self, queue: str | None = None, *, older: timedelta = timedelta(minutes=10), most: int = 50
    ) -> list[dict[str, Any]]:
        """The overdue jobs, and why they are overdue."""
        return list(await self._call("stuck", queue=queue, older=older, most=most))

    async def job_public(self, queue: str, key: str) -> dict[str, Any] | None:
        """Return one job as `job` does, without its row and its checkpoint; None when there is no such row."""
        answer: dict[str, Any] | None = await self._call("job_public", queue=queue, key=key)
        return answer

    # By people.

    async def attach(self, table: str, queue: str, **options: Any) -> dict[str, Any]:
        """Make the rows of a table jobs of a queue. The options are the other arguments of `listener.attach`."""
        given = {name: value for name, value in options.items() if value is not None}
        return dict(await self._call("attach", table=table, queue=queue, **given))

    async def detach(self, queue: str) -> dict[str, Any] | None:
        """Undo `attach`; None if no table was attached as this queue."""
        answer: dict[str, Any] | None = await self._call("detach", queue=queue)
        return answer

    async def guard(self, queue: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """Forbid browsers to write the columns that the service writes, and these columns."""
        return dict(
            await self._call("guard", queue=queue, columns=None if columns is None else list(columns))
        )

    async def unguard(self, queue: str) -> bool:
        """Undo `guard`; false if the queue was not guarded."""
        return bool(await self._call("unguard", queue=queue))

    async def adopt(self, queue: str, older: timedelta) -> int:
        """Make deliveries for rows that are in a running state without one, and return how many."""
        return int(await self._call("adopt", queue=queue, older=older))

    async def requeue(self, queue: str, keys: Sequence[str]) -> int:
        """Let jobs run again from the start, and return how many rows of the queue there were."""
        return int(await self._call("requeue", queue=queue, keys=list(keys)))

    async def cancel(self, queue: str, keys: Sequence[str], reason: str = "cancelled") -> int:
        """Cancel unfinished jobs, and return how many there were."""
        return int(await self._call("cancel", queue=queue, keys=list(keys), reason=reason))

    async def pause(self, queue: str) -> bool:
        """Claim no job of the queue until `resume`; false if it was paused already."""
        return bool(await self._call("pause", queue=queue))

    async def resume(self, queue: str) -> bool:
        """End a pause; false if there was none."""
        return bool(await self._call("resume", queue=queue))

    async def backlog(self, queue: str) -> int:
        """The number of jobs that could start now."""
        return int(await self._call("backlog", queue=queue))

    async def submit(self, queue: str, columns: Mapping[str, Any]) -> str:
        """Insert a row as a job, and return its key."""
        return str(await self._call("submit", queue=queue, columns=dict(columns)))

    async def jobs(
        self, queue: str | None = None, state: str | None = None, most: int = 50
    ) -> list[dict[str, Any]]:
        """Return unfinished jobs, or those in a final `state`, newest first."""
        return list(await self._call("jobs", queue=queue, state=state, most=most))

    async def job(self, queue: str, key: str) -> dict[str, Any] | None:
        """Return one job: its row and status word, its delivery and its attempts; None when there is no such row."""
        answer: dict[str, Any] | None = await self._call("job", queue=queue, key=key)
        return answer


def _deliveries(answer: Mapping[str, Any]) -> list[Delivery]:
    return [_delivery(**job) for job in answer["jobs"]]


def _delivery(delivery: int, row: Any, saved: Any, **rest: Any) -> Delivery:
    problem = unreadable(row) or unreadable(saved, "the checkpoint")
    return Delivery(delivery, row=row, saved=saved, unreadable=problem, **rest)
