"""Register the handlers of queues. Nothing here runs them."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints, is_typeddict

from listener.errors import ConfigError
from listener.job import Job

if TYPE_CHECKING:
    from fastapi import APIRouter

    from listener.environment import Environment

HandlerFunction = Callable[[Job], Any] | Callable[[Job], Awaitable[Any]]
Limits = tuple[int, float | None]
"""Concurrency and timeout, in seconds or None, of a handler."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A function that each process calls at intervals, beside its jobs.

    Attributes:
        function: called without arguments.
        seconds: between two calls.
    """

    function: Callable[[], Awaitable[object]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Handler:
    """The function that does the jobs of one queue, and its limits.

    Attributes:
        queue: the queue's name.
        function: called with the Job; `async def`, or plain `def`, which runs in a thread.
        concurrency: number of slots, which is how many jobs run at once in one process.
        timeout: seconds that an attempt may take; None takes JOB_TIMEOUT.
        columns: the names of the TypedDict that the function declares to return, or None.
        optional: a missing table for the queue is no problem.
    """

    queue: str
    function: HandlerFunction
    concurrency: int
    timeout: float | None
    columns: frozenset[str] | None
    optional: bool = False

    @property
    def is_async(self) -> bool:
        """Whether the function is an `async def`."""
        return inspect.iscoroutinefunction(self.function)


class App:
    """A set of handlers, one for each queue, and HTTP routes, periodic tasks and settings beside them."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._limits: dict[str, Callable[[], Limits]] = {}
        self._routers: list[APIRouter] = []
        self._periodic_tasks: list[PeriodicTask] = []
        self._settings: list[type[Environment]] = []

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Queue name -> handler.

        Raises:
            ConfigError: a handler's `limits` make no sense.
        """
        return {queue: self._limited(handler) for queue, handler in self._handlers.items()}

    @property
    def routers(self) -> Sequence[APIRouter]:
        """The HTTP routes."""
        return self._routers

    @property
    def periodic_tasks(self) -> Sequence[PeriodicTask]:
        """The functions registered with `every`."""
        return self._periodic_tasks

    @property
    def settings(self) -> Sequence[type[Environment]]:
        """The settings that are read at the start of the service."""
        return self._settings

    def handler(
        self,
        queue: str,
        *,
        concurrency: int = 1,
        timeout: float | None = None,
        limits: Callable[[], Limits] | None = None,
    ) -> Callable[[F], F]:
        """Register the decorated function for a queue.

        The function is called with a Job. Its return value is written together with the done word: a mapping has
        values of the row's columns; another value except None is written to the queue's result column. The function
        can raise Fail, Retry or Snooze. After any other exception the job is retried with backoff, and it has failed
        after its last attempt.

        Args:
            queue: the name given to `attach`; `name/kind` for one kind of job.
            concurrency: number of slots, which is how many jobs of this queue run at once in one process; at least 1.
            timeout: seconds that an attempt may take, more than 0; None takes JOB_TIMEOUT, or no limit without it.
            limits: returns `(concurrency, timeout)`, which replace the two arguments. It is called when the service
                starts, so that limits can be settings and importing the app reads no environment.

        Returns:
            A decorator that returns the function unchanged.

        Raises:
            ConfigError: the queue has a handler already, the function is a generator, or a number is out of range.
        """
        _check(queue, concurrency, timeout)

        def register(function: F) -> F:
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise ConfigError(
                    f"the handler of {queue!r} is a generator, so a call does nothing; use `return` instead of `yield`"
                )
            self._add(Handler(queue, function, concurrency, timeout, _declared_columns(function)))
            if limits is not None:
                self._limits[queue] = limits
            return function

        return register

    def add_routes(self, router: APIRouter) -> None:
        """Serve HTTP routes on the service's port.

        The routes run in a separate thread and event loop. They are open to everybody: a route that depends on
        `Annotated[Caller, Depends(caller)]` knows who calls, and must decide what the caller may do.

        Args:
            router: a FastAPI router.
        """
        self._routers.append(router)

    def add_settings(self, settings: type[Environment]) -> None:
        """Read these settings at the start of the service, so that a malformed value stops it and not its first job.

        Args:
            settings: a class derived from `listener.kit.settings.Environment`.
        """
        self._settings.append(settings)

    def every(self, seconds: float) -> Callable[[F], F]:
        """Call the decorated `async def` at intervals, for the first time soon after the start.

        The function is called without arguments in every process, so it must do no harm if two processes call it at
        once. An exception is logged, and the next call follows as usual.

        Args:
            seconds: the interval, more than 0.

        Returns:
            A decorator that returns the function unchanged.

        Raises:
            ConfigError: the interval is out of range.
        """
        if not seconds > 0:
            raise ConfigError(f"the interval of a periodic task is {seconds} s; it must be more than 0")

        def register(function: F) -> F:
            self._periodic_tasks.append(PeriodicTask(function, seconds))
            return function

        return register

    def include(self, other: App, *, optional: bool = False) -> None:
        """Add all handlers, routes, periodic tasks and settings of another app.

        Args:
            other: the app to add; handlers that it registers later are not added.
            optional: a queue of the other app without an attached table is no problem.

        Raises:
            ConfigError: both apps have a handler for the same queue.
        """
        for handler in other._handlers.values():
            self._add(replace(handler, optional=True) if optional else handler)
        self._limits |= other._limits
        self._routers += other.routers
        self._periodic_tasks += other.periodic_tasks
        self._settings += other.settings

    def _add(self, handler: Handler) -> None:
        if handler.queue in self._handlers:
            raise ConfigError(f"queue {handler.queue!r} has two handlers; a queue has one")
        self._handlers[handler.queue] = handler

    def _limited(self, handler: Handler) -> Handler:
        limits = self._limits.get(handler.queue)
        if limits is None:
            return handler
        concurrency, timeout = limits()
        _check(handler.queue, concurrency, timeout)
        return replace(handler, concurrency=concurrency, timeout=timeout)


def _check(queue: str, concurrency: int, timeout: float | None) -> None:
    if concurrency < 1:
        raise ConfigError(f"the handler of queue {queue!r} asks for {concurrency} slots; it needs at least 1")
    if timeout is not None and not timeout > 0:
        raise ConfigError(
            f"the handler of queue {queue!r} has a timeout of {timeout} s; it must be more than 0"
        )


def _declared_columns(function: Callable[..., Any]) -> frozenset[str] | None:
    try:
        returned = get_type_hints(function).get("return")
    except (NameError, TypeError):
        # Only a type checker can resolve these annotations.
        return None
    return frozenset(returned.__annotations__) if returned is not None and is_typeddict(returned) else None


def load(spec: str) -> App:
    """Import an App and read its settings.

    Args:
        spec: `module:attribute`, or `module` for its attribute `app`.

    Raises:
        ConfigError: the module or attribute does not exist or is no App, or one of its settings is malformed.
    """
    module_name, _, attribute = spec.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"there is no module {module_name!r} here; name your app as module:app"
            ) from None
        raise ConfigError(f"{module_name!r} can't be imported: there is no module {error.name!r}") from error
    app = getattr(module, attribute or "app", None)
    if not isinstance(app, App):
        raise ConfigError(
            f"{spec!r} is no App; write `app = App()` in {module_name} and name it as {module_name}:app"
        )
    for settings in app.settings:
        settings.load()
    return app
