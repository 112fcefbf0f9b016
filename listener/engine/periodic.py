"""Run the functions that an app registered with `App.every`."""

from __future__ import annotations

import random
from collections.abc import Iterable

import anyio
import structlog

from listener.app import PeriodicTask
from listener.log import reason_of

log = structlog.get_logger(__name__)


class PeriodicTasks:
    """Call each function at its interval until cancelled. A function that raised is called again at its next time."""

    def __init__(self, tasks: Iterable[PeriodicTask]) -> None:
        self._tasks = list(tasks)

    async def run(self) -> None:
        """Run until cancelled."""
        async with anyio.create_task_group() as group:
            for task in self._tasks:
                group.start_soon(self._repeat, task)

    async def _repeat(self, task: PeriodicTask) -> None:
        # Random, because many processes that start together should not call their functions together.
        await anyio.sleep(min(task.seconds, 60) * random.uniform(0.05, 0.5))  # noqa: S311
        while True:
            try:
                await task.function()
            except Exception as error:
                name = getattr(task.function, "__qualname__", str(task.function))
                log.error("periodic task failed", task=name, error=reason_of(error))
            await anyio.sleep(task.seconds * random.uniform(0.9, 1.1))  # noqa: S311
