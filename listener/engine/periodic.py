"""What an app does now and then, beside its jobs."""

from __future__ import annotations

import random
from collections.abc import Iterable

import anyio
import structlog

from listener.app import Chore
from listener.log import reason_of

log = structlog.get_logger(__name__)


class Chores:
    """A component: does each chore at its times, until cancelled. A chore that fails is done again the next time."""

    def __init__(self, chores: Iterable[Chore]) -> None:
        self._chores = list(chores)

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            for chore in self._chores:
                tasks.start_soon(self._do, chore)

    async def _do(self, chore: Chore) -> None:
        # A fleet that starts as one should not do its chores as one.
        await anyio.sleep(min(chore.seconds, 60) * random.uniform(0.05, 0.5))  # noqa: S311
        while True:
            try:
                await chore.function()
            except Exception as error:
                name = getattr(chore.function, "__qualname__", str(chore.function))
                log.error("a chore failed", chore=name, error=reason_of(error))
            await anyio.sleep(chore.seconds * random.uniform(0.9, 1.1))  # noqa: S311
