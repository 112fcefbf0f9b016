"""Save a project while it is edited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import deepcopy
from types import TracebackType
from typing import Any, Literal, Self

import structlog

from handlers.projects.store import AsyncProjects, configured
from listener import ConfigError
from listener.kit.backoff import delays
from listener.kit.tables import Row, TablesUnavailable

log = structlog.get_logger(__name__)

Status = Literal["saved", "saving", "offline"]
COLUMNS = ("title", "script", "settings")


class ProjectSync:
    """Saves the changes of a project a moment after the last one. Without a database it works in memory.

        async with ProjectSync(project_id) as sync:
            sync.change(script="A day by the sea")

    The end of the block saves the rest and raises if that fails, so that no edit is lost silently.

    Args:
        project_id: which one.
        projects: the store; None takes the configured one.
        delay: seconds from the last change until it is saved.
        on_status: called with `saving`, `saved` or `offline` after each change of it; `offline` is retried.
        sleep: used to wait.

    Attributes:
        project: the title, script, settings and scenes as they are edited.
        status: the last argument of `on_status`.
        is_initial_load: whether the project is not loaded yet.
    """

    def __init__(
        self,
        project_id: str,
        projects: AsyncProjects | None = None,
        *,
        delay: float = 1.5,
        on_status: Callable[[Status], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.project: Row = {"id": project_id, "title": "", "script": "", "settings": {}, "scenes": []}
        self.status: Status = "saved"
        self.is_initial_load = True
        self._id = project_id
        self._projects = projects
        self._delay = delay
        self._on_status = on_status
        self._sleep = sleep
        self._unsaved: dict[str, Any] = {}
        self._touched = asyncio.Event()
        self._saving = asyncio.Lock()

    def change(self, **fields: Any) -> None:
        """Change fields: `title`, `script`, `settings`, or `scenes` as for `sync_scenes`.

        Raises:
            TypeError: there is no such field.
        """
        if unknown := fields.keys() - {*COLUMNS, "scenes"}:
            raise TypeError(f"a project has no {', '.join(sorted(unknown))}")
        for name, value in fields.items():
            if self.project[name] != value:
                # A copy: the caller may go on with its list.
                self.project[name] = self._unsaved[name] = deepcopy(value)
                self._touched.set()

    async def save_now(self) -> None:
        """Save all changes now.

        Raises:
            TablesUnavailable: the database did not answer; the save is retried in the background.
            TablesError: the database refused the change.
        """
        async with self._saving:
            if self._projects is None:
                return
            if self._unsaved:
                self._tell("saving")
                changes, self._unsaved = self._unsaved, {}
                try:
                    await self._save(self._projects, changes)
                except BaseException as error:
                    # What was edited meanwhile is newer.
                    self._unsaved = changes | self._unsaved
                    if isinstance(error, TablesUnavailable):
                        self._touched.set()
                    self._tell("offline")
                    raise
            if not self._unsaved:
                self._tell("saved")

    async def __aenter__(self) -> Self:
        if self._projects is None:
            try:
                self._projects = configured()
            except ConfigError as error:
                log.warning("project is kept in memory and lost when this process ends", reason=str(error))
                self._tell("offline")
        if self._projects is not None:
            loaded = await self._projects.load_project(self._id)
            self.project |= {name: loaded[name] for name in ("title", "script", "settings", "scenes")}
        self.is_initial_load = False
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        await self.save_now()

    async def _run(self) -> None:
        pauses = delays()
        while True:
            await self._touched.wait()
            await self._quiet()
            try:
                await self.save_now()
                pauses = delays()
            except TablesUnavailable:
                await self._sleep(next(pauses))
            except Exception as error:
                # The next edit may mend it.
                log.error("the project can't be saved", project=self._id, error=str(error))

    async def _quiet(self) -> None:
        """Wait until the last change is `delay` old."""
        while self._touched.is_set():
            self._touched.clear()
            waits = [
                asyncio.ensure_future(self._sleep(self._delay)),
                asyncio.create_task(self._touched.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _save(self, projects: AsyncProjects, changes: dict[str, Any]) -> None:
        columns = {name: changes[name] for name in COLUMNS if name in changes}
        if columns:
            await projects.update_project(self._id, **columns)
        if "scenes" in changes:
            rows = await projects.sync_scenes(self._id, changes["scenes"])
            if "scenes" not in self._unsaved:
                # With the ids that new ones were given.
                self.project["scenes"] = rows

    def _tell(self, status: Status) -> None:
        if status != self.status:
            self.status = status
            self._on_status(status)
