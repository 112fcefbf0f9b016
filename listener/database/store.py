"""The verbs of the schema `listener`, typed. `sql/verbs/` defines them, one verb a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from listener.database import migrate
from listener.database.model import Answer, Claim, Delivery, Lost, Miss, Served, Verb
from listener.database.transport import Transport
from listener.errors import DatabaseError, SchemaError

Batch = Sequence[Mapping[str, Any]]


class Store:
    """Calls the verbs over a transport. Every method raises DatabaseUnavailable or DatabaseError as it does.

    Args:
        transport: how the functions are called.
        lease: seconds that a claim is held without a heartbeat.
        beat: seconds between heartbeats.
    """

    def __init__(self, transport: Transport, *, lease: float = 20.0, beat: float = 5.0) -> None:
        self._call = transport.call
        self._lease = timedelta(seconds=lease)
        self._beat = timedelta(seconds=beat)

    async def check_schema(self) -> None:
        """Raise SchemaError when the schema is missing, older or newer than this program needs."""
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
        """Make a process known, with its slots per queue, and in how many seconds their jobs must be done, where there
        is a limit; answers those of its queues that exist."""
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
        """Forget a process that ends well."""
        await self._call("unregister", worker=worker)

    async def claim(self, worker: str, slots: Mapping[str, int], *, sweep: bool = True) -> Claim:
        """Take up to so many due jobs of each queue; a sweep also learns when to come back."""
        if not sweep and len(slots) == 1:
            with suppress(DatabaseError):  # one of the rows was refused: `claim` finds out which
                return await self._take(worker, *next(iter(slots.items())))
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

    async def _take(self, worker: str, queue: str, most: int) -> Claim:
        """The quick way, for one queue; what it misses is for `claim` to judge."""
        answer = await self._call("take", queue=queue, most=most, worker=worker, lease=self._lease)
        return Claim(_deliveries(answer), [], None, None, known=True, more=bool(answer["missed"]))

    async def heartbeat(self, worker: str, held: Iterable[tuple[int, int]]) -> list[Lost]:
        """Extend the leases of these (delivery, fence); answers those that are over."""
        batch = [{"delivery": delivery, "fence": fence} for delivery, fence in held]
        answer = await self._call("heartbeat", worker=worker, batch=batch, lease=self._lease, beat=self._beat)
        return [Lost(**lost) for lost in answer["lost"]]

    async def settle(self, verb: Verb, batch: Batch) -> dict[int, Answer]:
        """Call one of the verbs that take a batch: complete, fail, retry, snooze, release, progress, stage, checkpoint.

        Each item names its `delivery` and `fence`; the rest stands at the head of the verb's file.
        """
        answers = await self._call(verb, batch=list(batch))
        return {one["delivery"]: Answer(one["outcome"], one.get("error")) for one in answers}

    async def rescue(self) -> list[dict[str, Any]]:
        """Give back jobs whose lease has ended: [{queue, key, worker, spent}]."""
        return list(await self._call("rescue"))

    async def reconcile(self) -> list[dict[str, Any]]:
        """Find ready rows without a delivery: [{attachment, queues, more, problem}]."""
        return list(await self._call("reconcile"))

    async def prune(self) -> int:
        """Forget some old history; answers how many attempts went."""
        return int(await self._call("prune"))

    async def stats(self, worker: str | None = None) -> dict[str, Any] | None:
        """What the whole fleet looks like; None for a worker that is not the one to publish it."""
        answer: dict[str, Any] | None = await self._call("stats", worker=worker)
        return answer

    async def overview(self, most: int = 20) -> dict[str, Any]:
        """What a dashboard shows: the fleet's numbers, its processes, and the heads of the lists of jobs."""
        return dict(await self._call("overview", most=most))

    async def stuck(
        self, queue: str | None = None, *, older: timedelta = timedelta(minutes=10), most: int = 50
    ) -> list[dict[str, Any]]:
        """What is overdue, and why."""
        return list(await self._call("stuck", queue=queue, older=older, most=most))

    async def job_public(self, queue: str, key: str) -> dict[str, Any] | None:
        """Return one job as `job` does, without its row and its checkpoint; None when there is no such row."""
        answer: dict[str, Any] | None = await self._call("job_public", queue=queue, key=key)
        return answer

    # By people.

    async def attach(self, table: str, queue: str, **options: Any) -> dict[str, Any]:
        """Make the rows of a table jobs; the options are the arguments of `listener.attach`."""
        given = {name: value for name, value in options.items() if value is not None}
        return dict(await self._call("attach", table=table, queue=queue, **given))

    async def detach(self, queue: str) -> dict[str, Any] | None:
        """Undo attach; None when nothing was attached under this name."""
        answer: dict[str, Any] | None = await self._call("detach", queue=queue)
        return answer

    async def guard(self, queue: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """Let browsers write only what is theirs; the columns are further ones that only the service writes."""
        return dict(
            await self._call("guard", queue=queue, columns=None if columns is None else list(columns))
        )

    async def unguard(self, queue: str) -> bool:
        """Undo guard; false when there was none."""
        return bool(await self._call("unguard", queue=queue))

    async def adopt(self, queue: str, older: timedelta) -> int:
        """Take over rows stuck in a running word."""
        return int(await self._call("adopt", queue=queue, older=older))

    async def requeue(self, queue: str, keys: Sequence[str]) -> int:
        """Let jobs run again from the start; answers how many rows of that queue there were."""
        return int(await self._call("requeue", queue=queue, keys=list(keys)))

    async def cancel(self, queue: str, keys: Sequence[str], reason: str = "cancelled") -> int:
        """End unfinished jobs of that queue; answers how many there were."""
        return int(await self._call("cancel", queue=queue, keys=list(keys), reason=reason))

    async def pause(self, queue: str) -> bool:
        """Claim no job of the queue until resume."""
        return bool(await self._call("pause", queue=queue))

    async def resume(self, queue: str) -> bool:
        """End a pause."""
        return bool(await self._call("resume", queue=queue))

    async def backlog(self, queue: str) -> int:
        """How many jobs could start now."""
        return int(await self._call("backlog", queue=queue))

    async def submit(self, queue: str, columns: Mapping[str, Any]) -> str:
        """Insert a row as a job; answers its key."""
        return str(await self._call("submit", queue=queue, columns=dict(columns)))

    async def jobs(
        self, queue: str | None = None, state: str | None = None, most: int = 50
    ) -> list[dict[str, Any]]:
        """Unfinished jobs, or with a final state the finished ones, newest first."""
        return list(await self._call("jobs", queue=queue, state=state, most=most))

    async def job(self, queue: str, key: str) -> dict[str, Any] | None:
        """Return one job: its row and status word, its delivery and its attempts; None when there is no such row."""
        answer: dict[str, Any] | None = await self._call("job", queue=queue, key=key)
        return answer


def _deliveries(answer: Mapping[str, Any]) -> list[Delivery]:
    return [Delivery(id=job.pop("delivery"), **job) for job in answer["jobs"]]
