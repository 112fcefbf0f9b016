"""Put the parts of the service together, run them, and end them in the right order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import anyio
import structlog
from anyio.abc import TaskStatus
from fastapi import APIRouter

from listener.app import App
from listener.backoff import delays
from listener.config import Settings
from listener.database.store import Store
from listener.engine.attempts import Attempts
from listener.engine.backend import Backend
from listener.engine.broadcast import make_broadcast
from listener.engine.dispatcher import Dispatcher
from listener.engine.forks import keep_apart
from listener.engine.leases import Leases
from listener.engine.maintenance import Maintenance
from listener.engine.periodic import PeriodicTasks
from listener.engine.registration import Registration, new_worker_id
from listener.engine.scratch import scratch_folder
from listener.engine.settlement import notify_nobody
from listener.engine.shutdown import SETTLE_SECONDS, Shutdown
from listener.engine.slots import Slots
from listener.engine.watchdog import Watchdog
from listener.errors import ConfigError, DatabaseUnavailable, ListenerError, single
from listener.events import Source
from listener.log import summary
from listener.metrics import Metrics
from listener.status import Status
from listener.wakeup import Wakeup
from listener.web import Site

log = structlog.get_logger(__name__)


class Engine:
    """The service: one process that serves the queues of an app.

    Args:
        app: the handlers.
        settings: the database, and how to run.
        backend: the way to the database, if it is not to be made from the settings.
        open_routers: further HTTP routes, which check their callers themselves.
        signals: whether SIGTERM and SIGINT shut the service down, and whether a shutdown that takes too long kills
            the process. False if the process is not the service's alone.

    Attributes:
        worker_id: the id of this process in the database and the logs.
        metrics: the counters of this process.
        status: the state that the HTTP side shows.
        dispatcher: what event sources wake.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        *,
        backend: Backend | None = None,
        open_routers: Iterable[APIRouter] = (),
        signals: bool = True,
    ) -> None:
        handlers = app.handlers
        if not handlers:
            raise ConfigError("the app has no handlers; register one with @app.handler(queue)")
        self._settings = settings
        self._signals = signals
        self._queues = list(handlers)
        self._error: Exception | None = None
        self.worker_id = new_worker_id()
        self.metrics = Metrics()
        self.metrics.for_queues(self._queues)

        # The database.
        self._backend = backend = backend or Backend(settings)
        self._sources: list[Source] = []
        self._store = Store(
            backend,
            lease=settings.lease,
            beat=settings.heartbeat,
            on_error=self.metrics.count_database_error,
        )
        self._registration = Registration(self._store, self.worker_id, handlers, timeout=settings.job_timeout)
        reconcile = Wakeup()

        # The life of an attempt: from the dispatcher, which starts it, back to the slots, which it frees.
        self._broadcast = make_broadcast(settings, self._registration.tenant_column)
        self._attempts = Attempts(
            self.worker_id,
            handlers,
            self._store,
            self._registration,
            self.metrics,
            timeout=settings.job_timeout,
            notify=self._broadcast.publish if self._broadcast else notify_nobody,
            on_failure=self._fail,
        )
        self.status = Status(self.worker_id, active_jobs=self._attempts.__len__)
        self._leases = Leases(
            self._store, self.worker_id, self._attempts, self.metrics, beat=settings.heartbeat
        )
        slots = Slots(
            {queue: handler.concurrency for queue, handler in handlers.items()},
            settings.max_concurrent_jobs,
            self._registration.serves,
        )
        slots.show(self.metrics)
        self.dispatcher = Dispatcher(
            self._store,
            self.worker_id,
            slots,
            self._attempts,
            self._leases,
            self.metrics,
            self.status,
            reconcile=reconcile,
            poll=settings.poll_interval,
            has_source=lambda: backend.events is not None,
        )

        # Beside the jobs.
        self._maintenance = Maintenance(
            self._store,
            self.worker_id,
            self.metrics,
            self.status,
            reconcile=reconcile,
            register=self._register,
            on_found=partial(self.dispatcher.wake_all, "sweep"),
        )
        self._periodic = PeriodicTasks(app.periodic_tasks)
        self._site = Site(
            settings,
            self.status,
            self.metrics,
            self._store,
            [*app.routers, *open_routers],
            wake=partial(self.dispatcher.wake_all, "webhook"),
            refresh=self._maintenance.publish_stats,
        )
        self._shutdown = Shutdown(
            grace=settings.shutdown_grace,
            running=self._attempts.names,
            on_immediate=self._attempts.stop_at_once,
        )

    def shut_down(self, *, at_once: bool = False) -> None:
        """Begin to shut down: claim no more jobs, let the running ones finish for a while, release the rest.

        Args:
            at_once: release the running jobs now; allowed after the shutdown has begun, too.
        """
        self._shutdown.begin(at_once=at_once)

    async def run(self, *, task_status: TaskStatus[int | None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until `shut_down` or a signal. Reports the HTTP port, or None without HTTP, when it begins to serve.

        Raises:
            SchemaError: the schema in the database does not fit this program.
            ConfigError: a handler does not fit its queue, the port is taken, or TEMP_DIR can't be written to.
        """
        if self._signals:
            self._shutdown.enforce()
            keep_apart()
        try:
            with scratch_folder(self._settings.temp_dir) as folder:
                self._attempts.temp_dir = folder
                await self._run(task_status)
        except ExceptionGroup as group:
            raise single(group) from None
        finally:
            await self._backend.close()
        if self._error is not None:
            raise self._error
        log.info("service stopped", worker=self.worker_id)

    async def _run(self, task_status: TaskStatus[int | None]) -> None:
        async with anyio.create_task_group() as services:
            if self._signals:
                services.start_soon(self._shutdown.handle_signals)
            services.start_soon(Watchdog(self.status).run, name="watchdog")
            port = await services.start(self._serve_http) if self._settings.enable_health_check else None
            log.info("service started", worker=self.worker_id, queues=self._queues, port=port)
            if await self._meet_database():
                for run in (self._leases.run, self._attempts.run):
                    services.start_soon(self._guarded, run)
                if self._broadcast:
                    services.start_soon(self._guarded, self._broadcast.run)
                await self._serve(task_status, port)
                await self._say_goodbye()
            services.cancel_scope.cancel()

    async def _serve_http(self, *, task_status: TaskStatus[int]) -> None:
        await self._guarded(partial(self._site.run, task_status=task_status))

    async def _meet_database(self) -> bool:
        """Wait until the database answers; false if the service is shut down before that."""
        for delay in delays():
            try:
                await self._backend.open()
                self._sources = self._backend.sources(self._queues, self.dispatcher, self.metrics)
                await self._store.check_schema()
                await self._register()
                if misfits := self._registration.misfits():
                    raise ConfigError(misfits[0])
                if unused := self._registration.unused:
                    log.info("queues without a table", queues=unused)
            except DatabaseUnavailable as error:
                log.error("waiting for the database", error=str(error))
                with anyio.move_on_after(delay):
                    await self._shutdown.wait()
                if self._shutdown.begun:
                    return False
            else:
                self.status.connected = self.status.schema_ok = True
                return True
        raise AssertionError("delays never end")

    async def _register(self) -> list[str]:
        """Register this process (again), and return sentences about queues that do not work as they should."""
        if await self._registration.renew():
            self.dispatcher.sweep_soon()
        for source in self._sources:
            source.watch(self._registration.changes)
        return [
            *self._registration.misfits(),
            *self._registration.unattached(),
            *self._backend.problems(self._registration.served.values()),
        ]

    async def _serve(self, task_status: TaskStatus[int | None], port: int | None) -> None:
        try:
            async with anyio.create_task_group() as claiming:
                for source in self._sources:
                    claiming.start_soon(self._guarded, source.run)
                for run in (self.dispatcher.run, self._maintenance.run, self._periodic.run):
                    claiming.start_soon(self._guarded, run)
                task_status.started(port)
                await self._shutdown.wait()
                self.status.draining = True
                claiming.cancel_scope.cancel()
            await self._attempts.drain(grace=self._settings.shutdown_grace, settle_within=SETTLE_SECONDS)
        finally:
            await self._attempts.close()

    async def _say_goodbye(self) -> None:
        """Release the jobs that are not settled, and unregister."""
        unsettled = [{"delivery": one.id, "fence": one.fence} for one in self._attempts.held()]
        try:
            with anyio.move_on_after(2):
                if unsettled:
                    await self._store.settle("release", unsettled)
                await self._store.unregister(self.worker_id)
        except ListenerError as error:
            log.debug("worker not unregistered", error=str(error))

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run a part of the service. If it fails, the service shuts down and releases its jobs, and `run` raises the
        error at the end.
        """
        try:
            await run()
        except ConfigError:
            raise
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        log.error("internal error; service stops", error=summary(error))
        self._error = self._error or error
        self.shut_down(at_once=True)
