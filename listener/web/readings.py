"""Read the database for the dashboard: once for all viewers, with a sentence if it does not respond."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from listener.database.store import Store
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.status import Status
from listener.web.health import hung
from listener.web.overdue import explain

ANSWER_TIMEOUT_SECONDS = 4.0
"""Seconds to wait for the database; for `stuck`, which scans the tables of users, `LONG_PATIENCE`."""

LONG_PATIENCE = 9.0

SECOND = 1.0
"""Minimum seconds from one reading of the overview to the next."""

STUCK_EVERY = 12.0
"""Minimum seconds from one reading of overdue jobs to the next."""

HANGS_AFTER = 2.0
"""Seconds without an iteration of the main loop after which it is not used any more."""

Question = Callable[[Store], Coroutine[Any, Any, Any]]

Ask = Callable[[Question, float], Awaitable[Any]]
"""Asks the database in the main loop; raises TimeoutError after the given seconds."""


class Unanswered(Exception):
    """The database does not respond now; the text is a sentence with the reason."""


class Shared:
    """A value that is read once for all viewers, and not again for a while. Without viewers, nothing is read.

    Args:
        read: reads the value; may raise Unanswered.
        pause: minimum seconds from one reading to the next.
        share: share of the time that readings may use; after a slow one, the pause is up to ten times as long. This
            includes readings that timed out, because the database continues with them for a while.
    """

    def __init__(self, read: Callable[[], Awaitable[Any]], pause: float, share: float) -> None:
        self._read = read
        self._pause = pause
        self._share = share
        self._reading: asyncio.Task[Any | Unanswered] | None = None
        self._answered_at = self._again_at = 0.0

    async def get(self) -> Any:
        """Return the last value, or read a new one if it is due.

        Raises:
            Unanswered: the last reading failed.
        """
        if self._reading is None or (self._reading.done() and self.rest == 0):
            self._reading = asyncio.create_task(self._take())
        # Shielded, because a viewer who leaves must not cancel it for the others.
        answer = await asyncio.shield(self._reading)
        if isinstance(answer, Unanswered):
            raise answer
        return answer

    @property
    def age(self) -> float:
        """Seconds since the last reading."""
        return time.monotonic() - self._answered_at

    @property
    def rest(self) -> float:
        """Seconds until the next reading may start."""
        return max(0.0, self._again_at - time.monotonic())

    async def _take(self) -> Any | Unanswered:
        started = time.monotonic()
        try:
            return await self._read()
        except Unanswered as problem:
            return problem
        except DatabaseError as error:
            return Unanswered(sentence(error))
        finally:
            self._answered_at = time.monotonic()
            took = self._answered_at - started
            pause = min(max(self._pause, took / self._share), 10 * self._pause)
            self._again_at = started + max(took, pause)


class Readings:
    """The readings of the dashboard.

    Args:
        status: the state of this process.
        ask: asks the database, from the event loop of the routes.
    """

    def __init__(self, status: Status, ask: Ask) -> None:
        self._status = status
        self._ask = ask
        # The service itself needs the other connections.
        self._turns = asyncio.Semaphore(2)
        self.overview = Shared(
            lambda: self.ask(lambda store: store.overview(), ANSWER_TIMEOUT_SECONDS), SECOND, 1 / 3
        )
        self.stuck = Shared(self._stuck, STUCK_EVERY, 1 / 10)

    async def ask(self, question: Question, patience: float) -> Any:
        """Ask the database.

        Raises:
            Unanswered: it does not respond now.
            DatabaseError: it refused the query.
        """
        if reason := self._away():
            raise Unanswered(reason)
        try:
            async with self._turns:
                return await self._ask(question, patience)
        except TimeoutError:
            late = f"The database did not respond within {patience:g} s."
            raise Unanswered(self._away() or late) from None
        except DatabaseUnavailable as error:
            raise Unanswered(sentence(error)) from None
        except DatabaseError as error:
            if error.sqlstate.startswith(("22", "P0")):
                raise
            raise Unanswered(sentence(error)) from None

    async def job(self, queue: str, key: str) -> Any:
        """Return one job as `Store.job_public` does. Raise what `ask` raises."""
        return await self.ask(lambda store: store.job_public(queue, key), ANSWER_TIMEOUT_SECONDS)

    async def _stuck(self) -> dict[str, Any]:
        found = await self.ask(lambda store: store.stuck(), LONG_PATIENCE)
        return {"stuck": [job | _words(job) for job in found]}

    def _away(self) -> str | None:
        if self._status.silence > HANGS_AFTER:
            return hung(self._status)
        if not self._status.connected:
            return f"The database has not responded for {self._status.disconnected_for:.0f} s."
        return None


def _words(job: dict[str, Any]) -> dict[str, Any]:
    overdue = explain(job)
    return {
        "begun": overdue.since,
        "because": overdue.because,
        "fix": overdue.fix,
        "command": overdue.command,
    }


def sentence(error: DatabaseError | DatabaseUnavailable) -> str:
    """Return an error with its hint, as sentences."""
    text = str(error)
    hint = getattr(error, "hint", None)
    return f"{text[:1].upper()}{text[1:]}." + (f" {hint}" if hint else "")
