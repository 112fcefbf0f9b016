"""Puts the parts together, and takes them apart in the right order."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from importlib.metadata import version
from typing import Any

import anyio
import structlog
from anyio.abc import TaskStatus
from fastapi import APIRouter

from listener.app import App, Handler
from listener.backoff import delays
from listener.broadcast import Broadcast
from listener.chores import Chores
from listener.config import Settings
from listener.connection import Connection
from listener.deadline import Deadline
from listener.dispatcher import Dispatcher
from listener.errors import ConfigError, DatabaseUnavailable, ListenerError
from listener.executor import Attempt
from listener.job import Job
from listener.leases import Leases
from listener.log import summary
from listener.maintenance import Maintenance
from listener.metrics import Metrics
from listener.metrics import Source as SourceName
from listener.model import Delivery, Served
from listener.scratch import scratch_folder
from listener.settlement import Settlement, tell_nobody
from listener.source import Source
from listener.status import Status
from listener.store import Store
from listener.watchdog import Watchdog
from listener.web import WebServer, create_app, dashboard, webhook

log = structlog.get_logger(__name__)

LAST_WORDS = 5.0
# What a shutdown takes beside the grace and the last words, at most.
FAREWELL = 3.0


def new_worker_id() -> str:
    """An id that no process had before: the pid alone is 1 in every container."""
    return f"worker-{os.getpid()}-{time.time_ns() // 1_000_000}-{secrets.token_hex(3)}"


class Engine:
    """The service: one process that serves the queues of an app.

    Args:
        app: the handlers.
        settings: where the database is, and how to run.
        connection: the way to the database, where it is not to be made from the settings.
        routers: further HTTP routes for the service's own callers.
        open_routers: further HTTP routes that check their callers themselves.
        signals: whether the process is the service's own: SIGTERM and SIGINT shut it down, and a shutdown that
            something holds up ends the process.

    Attributes:
        worker_id: the id of this process in the database and the logs.
        metrics: what it counts.
        status: what it says of itself.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        *,
        connection: Connection | None = None,
        routers: Iterable[APIRouter] = (),
        open_routers: Iterable[APIRouter] = (),
        signals: bool = True,
    ) -> None:
        if not app.handlers:
            raise ConfigError("the app has no handlers; register one with @app.handler(queue)")
        self._handlers = app.handlers
        self._chores = Chores(app.chores)
        self._settings = settings
        self._signals = signals
        self.worker_id = new_worker_id()
        self._log = log.bind(worker=self.worker_id)
        self.metrics = Metrics()
        self.metrics.for_queues(app.handlers)
        self._connection = connection or Connection(settings)
        self._sources: list[Source] = []
        self._store = Store(self._connection, lease=settings.lease, beat=settings.heartbeat)
        self._attempts: dict[int, Attempt] = {}
        self._served: dict[str, Served] = {}
        self._shutdown = anyio.Event()
        self._at_once = False
        self._error: Exception | None = None
        self._deadline = Deadline(lambda: [attempt.name for attempt in list(self._attempts.values())])
        self._changed = anyio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.status = Status(self.worker_id, lambda: len(self._attempts))
        self._leases = Leases(
            self._store, self.worker_id, self.metrics, beat=settings.heartbeat, on_lost=self._lost
        )
        self._broadcast = self._broadcast_of(settings)
        tell = self._broadcast.tell if self._broadcast else tell_nobody
        self._settlement = Settlement(self._store, self.metrics, on_lost=self._lost, tell=tell)
        self._dispatcher = Dispatcher(
            self._store,
            self.worker_id,
            self._handlers,
            self._leases,
            self.metrics,
            self.status,
            most=settings.max_concurrent_jobs,
            poll=settings.poll_interval,
            start=self._start,
            serves=lambda queue: queue in self._served,
            announced=lambda: bool(self._sources),
            unknown=self._forgotten,
        )
        self._maintenance = Maintenance(
            self._store,
            self.worker_id,
            self.metrics,
            self.status,
            register=self._register,
            found=lambda: self._dispatcher.wake(None, "sweep"),
        )
        own = webhook.routes(settings, self._called)
        looks = dashboard.routes(self.status, self._ask)
        shown = [own, dashboard.page(), *app.routers, *open_routers]
        site = create_app(settings, self.status, self.metrics, [looks, *routers], shown, self._refresh)
        self._web = WebServer(site, settings, self.status)
        slots = sum(handler.concurrency for handler in self._handlers.values())
        self._threads = anyio.CapacityLimiter(slots)

    # The sources tell (listener.source.Wakes).

    def wake(self, queue: str, source: SourceName) -> None:
        """A queue may have something to claim."""
        if queue in self._handlers and queue not in self._served:
            # It was attached just now.
            self._maintenance.reconcile_soon()
        self._dispatcher.wake(queue, source)

    def stop(self, queue: str) -> None:
        """A job that runs may have been cancelled: ask, if one of that queue runs here."""
        if self._leases.holds(queue):
            self._leases.ask()

    def connected(self) -> None:
        """A source hears again: look for what it missed."""
        self._dispatcher.hears_again()
        self._maintenance.reconcile_soon()

    def _called(self) -> None:
        """From the HTTP thread: a webhook said that there may be work."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._dispatcher.wake, None, "webhook")

    def _forgotten(self) -> None:
        """The database no longer knows this process: reconciling registers it again."""
        self._maintenance.reconcile_soon()

    # The life of the process.

    def shut_down(self, *, at_once: bool = False) -> None:
        """Begin to shut down: claim nothing more, let jobs finish for a while, hand on the rest.

        Args:
            at_once: hand on what runs now; may be said later, too.
        """
        self._at_once = self._at_once or at_once
        self._shutdown.set()
        self._end_within(at_once=at_once)
        self._nudge()

    async def run(self, *, task_status: TaskStatus[int | None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until `shut_down` or a signal; reports the HTTP port, or None without HTTP, when it begins to serve.

        Raises:
            SchemaError: the schema in the database does not fit this program.
            ConfigError: a handler does not fit its queue, the port is taken, or TEMP_DIR can't be written to.
        """
        self._loop = asyncio.get_running_loop()
        if self._signals:
            self._deadline.watch()
        try:
            with scratch_folder(self._settings.temp_dir) as self._scratch:
                await self._run(task_status)
        except ExceptionGroup as group:
            raise _single(group) from None
        finally:
            await self._connection.close()
        if self._error is not None:
            raise self._error
        log.info("service stopped", worker=self.worker_id)

    async def _run(self, task_status: TaskStatus[int | None]) -> None:
        async with anyio.create_task_group() as services:
            if self._signals:
                services.start_soon(self._hear_signals)
            services.start_soon(Watchdog(self.status).run, name="watchdog")
            port = await services.start(self._serve_http) if self._settings.enable_health_check else None
            log.info("service started", worker=self.worker_id, queues=list(self._handlers), port=port)
            if await self._meet_database():
                for component in (self._leases, self._settlement):
                    services.start_soon(self._guarded, component.run)
                if self._broadcast:
                    services.start_soon(self._guarded, self._broadcast.run)
                await self._serve(task_status, port)
                await self._say_goodbye()
            services.cancel_scope.cancel()

    async def _serve_http(self, *, task_status: TaskStatus[int]) -> None:
        await self._guarded(partial(self._web.run, task_status=task_status))

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run a part of the service. Its failure is a shutdown, so that jobs are handed on, and told after that."""
        try:
            await run()
        except ConfigError:
            raise
        except Exception as error:
            log.error("an internal error ends the service", error=summary(error))
            self._error = self._error or error
            self.shut_down(at_once=True)

    async def _meet_database(self) -> bool:
        """Wait until the database is there; False when the service is to stop before that."""
        for delay in delays():
            try:
                await self._connection.open()
                self._sources = self._connection.sources(self._handlers, self, self.metrics)
                await self._store.check_schema()
                await self._register()
                if misfits := self._misfits():
                    raise ConfigError(misfits[0])
                if unused := sorted(self._handlers.keys() - self._served.keys()):
                    log.info("no table is attached as these queues", queues=unused)
            except DatabaseUnavailable as error:
                log.error("the service waits for its database", error=str(error))
                with anyio.move_on_after(delay):
                    await self._shutdown.wait()
                if self._shutdown.is_set():
                    return False
            else:
                self.status.connected = self.status.schema_ok = True
                return True
        raise AssertionError("delays never end")

    async def _serve(self, task_status: TaskStatus[int | None], port: int | None) -> None:
        async with anyio.create_task_group() as self._running:
            async with anyio.create_task_group() as hearing:
                for source in self._sources:
                    hearing.start_soon(self._guarded, source.run)
                for run in (self._dispatcher.run, self._maintenance.run, self._chores.run):
                    hearing.start_soon(self._guarded, run)
                task_status.started(port)
                await self._shutdown.wait()
                self.status.draining = True
                hearing.cancel_scope.cancel()
            if self._attempts:
                log.info("shutting down", running=len(self._attempts), grace=self._settings.shutdown_grace)
            with anyio.move_on_after(self._settings.shutdown_grace):
                while self._attempts and not self._at_once:
                    await self._changed.wait()
            for attempt in list(self._attempts.values()):
                attempt.stop("shutdown")
            # A database that is away must not keep the process; the jobs go on when their leases end.
            with anyio.move_on_after(LAST_WORDS):
                while self._attempts:
                    await self._changed.wait()
            self._running.cancel_scope.cancel()

    def _nudge(self) -> None:
        """Have a shutdown look again at what still runs."""
        self._changed.set()
        self._changed = anyio.Event()

    async def _say_goodbye(self) -> None:
        unsettled = [attempt.delivery for attempt in self._attempts.values()]
        try:
            with anyio.move_on_after(2):
                if unsettled:
                    await self._store.settle(
                        "release", [{"delivery": one.id, "fence": one.fence} for one in unsettled]
                    )
                await self._store.unregister(self.worker_id)
        except ListenerError as error:
            log.debug("the database knows nothing of the end of the service", error=str(error))

    async def _hear_signals(self) -> None:
        numbers = signal.SIGTERM, signal.SIGINT
        with anyio.open_signal_receiver(*numbers) as received:
            for number in numbers:
                # This is called also when the loop hangs, and hears nothing by its receiver.
                signal.signal(number, lambda *_: self._end_within(at_once=self._deadline.is_set))
            async for number in received:
                if self._shutdown.is_set():
                    log.warning("stopping at once", signal=signal.Signals(number).name)
                self.shut_down(at_once=self._shutdown.is_set())

    def _end_within(self, *, at_once: bool) -> None:
        """Whatever a shutdown meets, the process is to end."""
        self._deadline.within((0.0 if at_once else self._settings.shutdown_grace) + LAST_WORDS + FAREWELL)

    async def _register(self) -> list[str]:
        """Make this process known, and learn what its handlers must fit; answers what is wrong."""
        slots = {queue: handler.concurrency for queue, handler in self._handlers.items()}
        limits = {
            queue: handler.timeout or self._settings.job_timeout for queue, handler in self._handlers.items()
        }
        served = await self._store.register(
            self.worker_id,
            socket.gethostname(),
            version("supalistener"),
            slots,
            {queue: seconds for queue, seconds in limits.items() if seconds},
        )
        known, self._served = self._served, {one.queue: one for one in served}
        if self._served.keys() - known.keys():
            self._dispatcher.sweep_soon()
        changes = {one.queue: one.changes for one in served if one.changes}
        for source in self._sources:
            source.watch(changes)
        return [*self._misfits(), *self._unattached(), *self._connection.problems(served)]

    def _unattached(self) -> list[str]:
        missing = sorted(self._handlers.keys() - self._served.keys())
        if not self._served and len(missing) > 1:
            return [
                f"no table is attached as any of the queues {', '.join(missing)}; run `listener attach TABLE QUEUE`"
            ]
        return [
            f"no table is attached as queue {queue!r}, which has a handler; run `listener attach TABLE {queue}`"
            for queue in missing
            if not self._served or not self._handlers[queue].optional
        ]

    def _misfits(self) -> list[str]:
        return [
            problem
            for queue, served in self._served.items()
            if (problem := _misfit(self._handlers[queue], served)) is not None
        ]

    def _broadcast_of(self, settings: Settings) -> Broadcast | None:
        if not settings.progress_broadcast or not settings.supabase_url or not settings.supabase_service_key:
            return None

        def tenant_column(queue: str) -> str | None:
            served = self._served.get(queue)
            return served.tenant if served else None

        return Broadcast(
            settings.supabase_url,
            settings.supabase_service_key.get_secret_value(),
            rate=settings.progress_broadcast,
            tenant_column=tenant_column,
        )

    async def _refresh(self) -> None:
        """From the HTTP thread: have the main loop read the fleet's numbers, but don't wait for a hung one."""
        if self._loop is None or not self.status.connected:
            return
        reading = asyncio.run_coroutine_threadsafe(self._maintenance.publish_stats(), self._loop)
        await asyncio.wait([asyncio.wrap_future(reading)], timeout=1.0)

    async def _ask(self, question: dashboard.Question, patience: float) -> Any:
        """From the HTTP thread: have the main loop ask the database; see `dashboard.Ask`."""
        assert self._loop is not None  # noqa: S101 - nothing is asked before the database was met
        asked = asyncio.run_coroutine_threadsafe(question(self._store), self._loop)
        return await asyncio.wait_for(asyncio.wrap_future(asked), patience)

    # The life of an attempt.

    def _start(self, delivery: Delivery) -> None:
        handler = self._handlers[delivery.queue]
        served = self._served.get(delivery.queue)
        job = Job(delivery, self._settlement, log=self._log, temp_dir=self._scratch)
        attempt = Attempt(
            delivery,
            handler,
            job,
            self._settlement,
            self.metrics.queue(delivery.queue),
            self._threads,
            timeout=handler.timeout or self._settings.job_timeout,
            result_column=served.result if served else None,
        )
        self._leases.hold(delivery)
        self._attempts[delivery.fence] = attempt
        self._running.start_soon(self._guarded, partial(self._attend, attempt), name=attempt.name)

    async def _attend(self, attempt: Attempt) -> None:
        try:
            await attempt.run()
        finally:
            self._dispatcher.free(attempt.delivery.queue)
        await attempt.settle()
        self._leases.drop(attempt.delivery)
        del self._attempts[attempt.delivery.fence]
        if self._shutdown.is_set():
            self._nudge()

    def _lost(self, fence: int, why: str) -> None:
        if attempt := self._attempts.get(fence):
            attempt.stop(why)


def _misfit(handler: Handler, served: Served) -> str | None:
    unknown = sorted((handler.columns or frozenset()) - set(served.columns))
    if not unknown:
        return None
    return (
        f"the handler of queue {handler.queue!r} returns {', '.join(unknown)}, but {served.table} has no such "
        f"column; its columns are {', '.join(served.columns)}"
    )


def _single(group: BaseExceptionGroup) -> BaseException:
    """The one error that a group of groups is about; the group where there are several."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
