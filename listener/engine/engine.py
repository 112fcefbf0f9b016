"""Puts the parts together, and takes them apart in the right order."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import anyio
import structlog
from anyio.abc import TaskStatus
from fastapi import APIRouter

from listener.app import App
from listener.backoff import delays
from listener.config import Settings
from listener.database.model import Delivery
from listener.database.store import Store
from listener.engine.attempts import Attempts
from listener.engine.backend import Backend
from listener.engine.broadcast import Broadcast
from listener.engine.dispatcher import Dispatcher
from listener.engine.executor import Attempt
from listener.engine.leases import Leases
from listener.engine.maintenance import Maintenance
from listener.engine.periodic import PeriodicTasks
from listener.engine.registration import Registration
from listener.engine.scratch import scratch_folder
from listener.engine.settlement import Settlement, tell_nobody
from listener.engine.shutdown import SETTLE_SECONDS, Shutdown
from listener.engine.watchdog import Watchdog
from listener.errors import ConfigError, DatabaseUnavailable, ListenerError, single
from listener.events import Source
from listener.job import Job
from listener.log import summary
from listener.metrics import Metrics, SourceName
from listener.status import Status
from listener.web import Site

log = structlog.get_logger(__name__)


def new_worker_id() -> str:
    """An id that no process had before: the pid alone is 1 in every container."""
    return f"worker-{os.getpid()}-{time.time_ns() // 1_000_000}-{secrets.token_hex(3)}"


class Engine:
    """The service: one process that serves the queues of an app.

    Args:
        app: the handlers.
        settings: where the database is, and how to run.
        connection: the way to the database, where it is not to be made from the settings.
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
        connection: Backend | None = None,
        open_routers: Iterable[APIRouter] = (),
        signals: bool = True,
    ) -> None:
        if not app.handlers:
            raise ConfigError("the app has no handlers; register one with @app.handler(queue)")
        self._handlers = app.handlers
        self._periodic = PeriodicTasks(app.periodic_tasks)
        self._settings = settings
        self._signals = signals
        self.worker_id = new_worker_id()
        self._log = log.bind(worker=self.worker_id)
        self.metrics = Metrics()
        self.metrics.for_queues(app.handlers)
        self._connection = connection or Backend(settings)
        self._sources: list[Source] = []
        self._store = Store(self._connection, lease=settings.lease, beat=settings.heartbeat)
        self._registration = Registration(
            self._store, self.worker_id, self._handlers, timeout=settings.job_timeout
        )
        self._attempts = Attempts()
        self._shutdown = Shutdown(
            grace=settings.shutdown_grace, running=self._attempts.names, on_immediate=self._attempts.hurry
        )
        self._error: Exception | None = None
        self.status = Status(self.worker_id, lambda: len(self._attempts))
        self._leases = Leases(
            self._store, self.worker_id, self.metrics, beat=settings.heartbeat, on_lost=self._attempts.stop
        )
        self._broadcast = self._broadcast_of(settings)
        tell = self._broadcast.tell if self._broadcast else tell_nobody
        self._settlement = Settlement(self._store, self.metrics, on_lost=self._attempts.stop, tell=tell)
        self._maintenance = Maintenance(
            self._store,
            self.worker_id,
            self.metrics,
            self.status,
            register=self._register,
            found=lambda: self._dispatcher.wake(None, "sweep"),
        )
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
            serves=self._registration.serves,
            announced=lambda: bool(self._sources),
            # Reconciling registers this process again.
            unknown=self._maintenance.reconcile_soon,
        )
        self._site = Site(
            settings,
            self.status,
            self.metrics,
            self._store,
            [*app.routers, *open_routers],
            wake=lambda: self._dispatcher.wake(None, "webhook"),
            refresh=self._maintenance.publish_stats,
        )
        slots = sum(handler.concurrency for handler in self._handlers.values())
        self._threads = anyio.CapacityLimiter(slots)

    # The sources tell (listener.events.Wakeable).

    def wake(self, queue: str, source: SourceName) -> None:
        """A queue may have something to claim."""
        if queue in self._handlers and not self._registration.serves(queue):
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

    # The life of the process.

    def shut_down(self, *, at_once: bool = False) -> None:
        """Begin to shut down: claim nothing more, let jobs finish for a while, hand on the rest.

        Args:
            at_once: hand on what runs now; may be said later, too.
        """
        self._shutdown.begin(at_once=at_once)

    async def run(self, *, task_status: TaskStatus[int | None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until `shut_down` or a signal; reports the HTTP port, or None without HTTP, when it begins to serve.

        Raises:
            SchemaError: the schema in the database does not fit this program.
            ConfigError: a handler does not fit its queue, the port is taken, or TEMP_DIR can't be written to.
        """
        if self._signals:
            self._shutdown.enforce()
        try:
            with scratch_folder(self._settings.temp_dir) as self._scratch:
                await self._run(task_status)
        except ExceptionGroup as group:
            raise single(group) from None
        finally:
            await self._connection.close()
        if self._error is not None:
            raise self._error
        log.info("service stopped", worker=self.worker_id)

    async def _run(self, task_status: TaskStatus[int | None]) -> None:
        async with anyio.create_task_group() as services:
            if self._signals:
                services.start_soon(self._shutdown.handle_signals)
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
        await self._guarded(partial(self._site.run, task_status=task_status))

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run a part of the service. Its failure is a shutdown, so that jobs are handed on, and told after that."""
        try:
            await run()
        except ConfigError:
            raise
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
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
                if misfits := self._registration.misfits():
                    raise ConfigError(misfits[0])
                if unused := self._registration.unused:
                    log.info("no table is attached as these queues", queues=unused)
            except DatabaseUnavailable as error:
                log.error("the service waits for its database", error=str(error))
                with anyio.move_on_after(delay):
                    await self._shutdown.wait()
                if self._shutdown.begun:
                    return False
            else:
                self.status.connected = self.status.schema_ok = True
                return True
        raise AssertionError("delays never end")

    async def _serve(self, task_status: TaskStatus[int | None], port: int | None) -> None:
        try:
            async with anyio.create_task_group() as hearing:
                for source in self._sources:
                    hearing.start_soon(self._guarded, source.run)
                for run in (self._dispatcher.run, self._maintenance.run, self._periodic.run):
                    hearing.start_soon(self._guarded, run)
                task_status.started(port)
                await self._shutdown.wait()
                self.status.draining = True
                hearing.cancel_scope.cancel()
            await self._attempts.drain(grace=self._settings.shutdown_grace, last_words=SETTLE_SECONDS)
        finally:
            self._settlement.close()
            await self._attempts.end()

    async def _say_goodbye(self) -> None:
        unsettled = self._attempts.deliveries()
        try:
            with anyio.move_on_after(2):
                if unsettled:
                    await self._store.settle(
                        "release", [{"delivery": one.id, "fence": one.fence} for one in unsettled]
                    )
                await self._store.unregister(self.worker_id)
        except ListenerError as error:
            log.debug("the database knows nothing of the end of the service", error=str(error))

    async def _register(self) -> list[str]:
        """Make this process known, and learn what its handlers must fit; answers what is wrong."""
        if await self._registration.renew():
            self._dispatcher.sweep_soon()
        for source in self._sources:
            source.watch(self._registration.changes)
        served = self._registration.served.values()
        return [
            *self._registration.misfits(),
            *self._registration.unattached(),
            *self._connection.problems(served),
        ]

    def _broadcast_of(self, settings: Settings) -> Broadcast | None:
        if not settings.progress_broadcast or not settings.project:
            return None
        return Broadcast(
            *settings.project,
            rate=settings.progress_broadcast,
            tenant_column=self._registration.tenant_column,
        )

    # The life of an attempt.

    def _start(self, delivery: Delivery) -> None:
        handler = self._handlers[delivery.queue]
        job = Job(delivery, self._settlement, log=self._log, temp_dir=self._scratch)
        attempt = Attempt(
            delivery,
            handler,
            job,
            self._settlement,
            self.metrics.queue(delivery.queue),
            self._threads,
            timeout=handler.timeout or self._settings.job_timeout,
            result_column=self._registration.result_column(delivery.queue),
        )
        self._attempts.begin(attempt, self._attend(attempt))
        self._leases.hold(delivery)

    async def _attend(self, attempt: Attempt) -> None:
        try:
            try:
                await attempt.run()
            finally:
                self._dispatcher.free(attempt.delivery.queue)
            await attempt.settle()
        except Exception as error:
            self._fail(error)
        else:
            self._leases.drop(attempt.delivery)
            self._attempts.remove(attempt)
