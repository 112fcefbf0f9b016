"""Every metric of the service: its name, labels and help.

There are two kinds. Each process counts its own work. Numbers of all workers together (how many jobs wait, how old the
oldest is) are published by two processes. Take their maximum over the processes, never their sum.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from listener.database.model import RetryReason, Verb
from listener.errors import ErrorKind

JobOutcome = Literal["completed", "failed", "cancelled", "lost"]
FencedOp = Literal["heartbeat", Verb]
SourceName = Literal["notify", "realtime", "webhook", "sweep"]
FoundBy = Literal["sweep", "reconcile"]
SlotState = Literal["used", "free"]
ReconnectReason = Literal["refused", "closed", "silent", "recycled"]

_PICKUP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_RUN_BUCKETS = (0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """The metrics of one engine, in a separate registry; each attribute has the name of its metric.

    Args:
        ttl: seconds after which published numbers are no longer shown.
        clock: monotonic seconds.
    """

    def __init__(self, *, ttl: float = 120.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = _Registry()

        def counter(name: str, help_: str, *labels: str) -> Counter:
            return Counter(name, help_, labels, namespace="listener", registry=self.registry)

        def gauge(name: str, help_: str, *labels: str) -> Gauge:
            return Gauge(name, help_, labels, namespace="listener", registry=self.registry)

        def seconds(name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(
                name, help_, labels, namespace="listener", registry=self.registry, buckets=buckets
            )

        self.event_to_claim_seconds = seconds(
            "event_to_claim_seconds",
            "Seconds from the time a job is due until it is claimed, by the database's clock.",
            _PICKUP_BUCKETS,
            "queue",
        )
        self.job_run_seconds = seconds(
            "job_run_seconds",
            "Seconds that the handlers of attempts ran, with any outcome.",
            _RUN_BUCKETS,
            "queue",
        )
        self.jobs_finished = counter(
            "jobs_finished", "Jobs that ended in this process, by outcome.", "queue", "outcome"
        )
        self.job_retries = counter(
            "job_retries", "Attempts after which the job is retried, by reason.", "queue", "reason"
        )
        self.lease_expirations = counter(
            "lease_expirations",
            "Leases that ended without a heartbeat and whose jobs this process rescued.",
            "queue",
        )
        self.fenced_writes = counter(
            "fenced_writes",
            "Writes that the database rejected because the attempt had lost its lease.",
            "queue",
            "op",
        )
        self.slots = gauge("slots", "Slots of this process, used and free.", "queue", "state")
        self.events_received = counter("events_received", "Wakes of a queue, by source.", "source", "queue")
        self.missed_found = counter(
            "missed_found",
            "Jobs that a sweep or reconcile found although an event should have announced them.",
            "queue",
            "found_by",
        )
        self.source_connected = gauge(
            "source_connected", "1 while the event source is connected, else 0.", "source"
        )
        self.reconnects = counter(
            "reconnects", "Reconnections of an event source, by reason.", "source", "reason"
        )
        self.database_errors = counter(
            "database_errors",
            "Calls to the database that failed, by verb and kind: absent, slow, refused or misconfigured.",
            "verb",
            "kind",
        )
        self.build = Info(
            "build",
            "The versions of the service and of Python.",
            namespace="listener",
            registry=self.registry,
        )
        self.build.info({"version": version("supalistener"), "python": platform.python_version()})

        self._fleet = _Fleet(ttl, clock)
        self.registry.register(self._fleet)
        self._queues: dict[str, QueueMetrics] = {}
        self._sources: dict[SourceName, SourceMetrics] = {}

    def for_queues(self, queues: Iterable[str]) -> None:
        """Start all counters of these queues at 0, so that `rate()` includes the first increment."""
        for queue in queues:
            self.queue(queue)

    def queue(self, name: str) -> QueueMetrics:
        """Return the metrics of one queue. Call it for existing queues only, because each adds series."""
        if name not in self._queues:
            self._queues[name] = QueueMetrics(self, name)
        return self._queues[name]

    def source(self, name: SourceName) -> SourceMetrics:
        """Return the metrics of one event source that this process uses."""
        if name not in self._sources:
            self._sources[name] = SourceMetrics(self, name)
        return self._sources[name]

    def count_database_error(self, verb: str, kind: ErrorKind) -> None:
        """Count a call of a verb that failed."""
        self.database_errors.labels(verb, kind).inc()

    def publish(self, stats: Mapping[str, Any] | None) -> None:
        """Show the numbers of all workers.

        Args:
            stats: the result of the verb `stats`; None removes the series, because another process shows them.
        """
        self._fleet.publish(stats)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and its content type: OpenMetrics if the Accept header asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class QueueMetrics:
    """The metrics of one queue, looked up once because a look-up takes longer than counting."""

    def __init__(self, metrics: Metrics, queue: str) -> None:
        self.pickup = metrics.event_to_claim_seconds.labels(queue)
        self.run = metrics.job_run_seconds.labels(queue)
        self.lease_expirations = metrics.lease_expirations.labels(queue)
        self.finished: dict[JobOutcome, Counter] = {
            outcome: metrics.jobs_finished.labels(queue, outcome) for outcome in get_args(JobOutcome)
        }
        self.retries: dict[RetryReason, Counter] = {
            reason: metrics.job_retries.labels(queue, reason) for reason in get_args(RetryReason)
        }
        self.fenced: dict[FencedOp, Counter] = {
            op: metrics.fenced_writes.labels(queue, op) for op in get_args(FencedOp)
        }
        self.events: dict[SourceName, Counter] = {
            source: metrics.events_received.labels(source, queue) for source in get_args(SourceName)
        }
        self.missed: dict[FoundBy, Counter] = {
            found_by: metrics.missed_found.labels(queue, found_by) for found_by in get_args(FoundBy)
        }
        self.slots: dict[SlotState, Gauge] = {
            state: metrics.slots.labels(queue, state) for state in get_args(SlotState)
        }


class SourceMetrics:
    """The metrics of one event source."""

    def __init__(self, metrics: Metrics, source: SourceName) -> None:
        self.connected = metrics.source_connected.labels(source)
        self.reconnects: dict[ReconnectReason, Counter] = {
            reason: metrics.reconnects.labels(source, reason) for reason in get_args(ReconnectReason)
        }


class _Registry(CollectorRegistry):
    """A registry without the `_created` series, which would double the number of series.

    prometheus_client's own switch for them (`disable_created_metrics`) acts on the whole process, which may have
    metrics of other code.
    """

    def collect(self) -> Iterator[Metric]:
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _Fleet(Collector):
    """Gauges of the published numbers; no gauges if the numbers are old."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._clock = clock
        # One attribute that is replaced as a whole, because /metrics reads it from another thread.
        self._published: tuple[Mapping[str, Any], float] | None = None

    def publish(self, stats: Mapping[str, Any] | None) -> None:
        self._published = None if stats is None else (stats, self._clock())

    def describe(self) -> list[Metric]:
        return list(_families({"queues": [], "notify_usage": 0.0}))

    def collect(self) -> Iterator[Metric]:
        published = self._published
        if published is not None and self._clock() - published[1] <= self._ttl:
            yield from _families(published[0])


def _families(stats: Mapping[str, Any]) -> Iterator[GaugeMetricFamily]:
    def family(name: str, help_: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"listener_{name}", help_, labels=labels)

    jobs = family("jobs", "Unfinished jobs, by state.", "queue", "state")
    oldest = family("oldest_waiting_seconds", "Seconds that the oldest due job has waited.", "queue")
    workers = family("workers", "Live workers that serve the queue.", "queue")
    expired = family("expired_leases", "Running jobs whose lease has ended.", "queue")
    for queue in stats["queues"]:
        name = queue["queue"]
        jobs.add_metric([name, "waiting"], queue["waiting"])
        jobs.add_metric([name, "scheduled"], queue["scheduled"])
        jobs.add_metric([name, "running"], queue["running"])
        jobs.add_metric([name, "broken"], queue["broken"])
        oldest.add_metric([name], queue["oldest"])
        workers.add_metric([name], queue["workers"])
        expired.add_metric([name], queue["expired"])
    usage = family("notify_queue_usage_ratio", "Used part of Postgres's notification queue, from 0 to 1.")
    usage.add_metric([], stats["notify_usage"])
    yield from (jobs, oldest, workers, expired, usage)
