"""Tracebacks of handlers, for the messages of failed tests. The database keeps only one line of an error."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from listener.app import App, Handler
from listener.errors import Snooze
from listener.job import Job


class Tracebacks:
    """The last traceback of each job's handler."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], str] = {}

    def last(self, queue: str, key: str) -> str | None:
        """Return the traceback of the last exception that the job's handler raised, or None."""
        return self._last.get((queue, key))

    def recorded(self, app: App) -> App:
        """Return a copy of an app whose handlers keep their tracebacks here."""
        copy = App()
        copy.include(app)
        copy._handlers = {queue: self._recorded(handler) for queue, handler in app.handlers.items()}
        return copy

    def _recorded(self, handler: Handler) -> Handler:
        if handler.is_async:
            function = cast(Callable[[Job], Awaitable[Any]], handler.function)

            @functools.wraps(function)
            async def awaited(job: Job) -> Any:
                try:
                    return await function(job)
                except Exception as error:
                    self._keep(job, error)
                    raise

            return replace(handler, function=awaited)

        @functools.wraps(handler.function)
        def called(job: Job) -> Any:
            try:
                return handler.function(job)
            except Exception as error:
                self._keep(job, error)
                raise

        return replace(handler, function=called)

    def _keep(self, job: Job, error: Exception) -> None:
        if not isinstance(error, Snooze):
            # Without the frame of the wrapper.
            inner = error.__traceback__.tb_next if error.__traceback__ else None
            self._last[job.queue, job.key] = "".join(traceback.format_exception(None, error, inner)).rstrip()
