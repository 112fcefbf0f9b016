"""Every metric of the service: its name, its labels and its help, in one place.

Metrics are of two kinds. Each process counts what it does itself. What is true of the whole fleet (how many
jobs wait, how old the oldest is) is published by one process at a time, so that sums stay right.
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

JobOutcome = Literal["completed", "failed", "cancelled", "lost"]
FencedOp = Literal["heartbeat", Verb]
SourceName = Literal["notify", "realtime", "webhook", "sweep"]
FoundBy = Literal["sweep", "reconcile"]
SlotState = Literal["used", "free"]
ReconnectReason = Literal["refused", "closed", "silent", "recycled"]

_PICKUP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_RUN_BUCKETS = (0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """The collectors of one engine, in a registry of their own; each attribute is named as its metric.

    Args:
        ttl: seconds after which what was published vanishes rather than being repeated.
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
            "From the moment a job was due to its claim, by the database's clock.",
            _PICKUP_BUCKETS,
            "queue",
        )
        self.job_run_seconds = seconds(
            "job_run_seconds", "How long attempts ran, whatever their outcome.", _RUN_BUCKETS, "queue"
        )
        self.jobs_finished = counter(
            "jobs_finished", "Jobs that this process brought to an end.", "queue", "outcome"
        )
        self.job_retries = counter("job_retries", "Attempts that are to be tried again.", "queue", "reason")
        self.lease_expirations = counter(
            "lease_expirations", "Leases that ran out and were rescued by this process.", "queue"
        )
        self.fenced_writes = counter(
            "fenced_writes", "Writes refused because the lease had moved on.", "queue", "op"
        )
        self.slots = gauge("slots", "Jobs that this process can run at once.", "queue", "state")
        self.events_received = counter("events_received", "Wakes, by their origin.", "source", "queue")
        self.missed_found = counter(
            "missed_found", "Jobs that no event announced although one should have.", "queue", "found_by"
        )
        self.source_connected = gauge("source_connected", "1 while a source of events is up.", "source")
        self.reconnects = counter("reconnects", "Connections of a source made anew.", "source", "reason")
        self.build = Info("build", "The versions that run.", namespace="listener", registry=self.registry)
        self.build.info({"version": version("supalistener"), "python": platform.python_version()})

        self._fleet = _Fleet(ttl, clock)
        self.registry.register(self._fleet)
        self._queues: dict[str, QueueMetrics] = {}
        self._sources: dict[SourceName, SourceMetrics] = {}

    def for_queues(self, queues: Iterable[str]) -> None:
        """Show every label combination of these queues at 0, so that `rate()` sees their first event."""
        for queue in queues:
            self.queue(queue)

    def queue(self, name: str) -> QueueMetrics:
        """The children of one queue, made on first use. Only for queues that exist: labels are bounded."""
        if name not in self._queues:
            self._queues[name] = QueueMetrics(self, name)
        return self._queues[name]

    def source(self, name: SourceName) -> SourceMetrics:
        """The children of one source that this process uses, made on first use."""
        if name not in self._sources:
            self._sources[name] = SourceMetrics(self, name)
        return self._sources[name]

    def publish(self, stats: Mapping[str, Any] | None) -> None:
        """Show what is true of the fleet.

        Args:
            stats: the answer of the verb `stats`; None takes the series back, for another process to publish.
        """
        self._fleet.publish(stats)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, and its content type: OpenMetrics where the Accept header asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class QueueMetrics:
    """One queue's children, looked up once: a look-up costs more than counting does."""

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
    """One source's children."""

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
    """Gauges of what was last published; none at all rather than old ones."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._clock = clock
        # One attribute that is replaced as a whole: /metrics reads it from another thread.
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

    jobs = family("jobs", "Jobs that are not finished, by state.", "queue", "state")
    oldest = family("oldest_waiting_seconds", "How long the oldest job that is due has waited.", "queue")
    workers = family("workers", "Live processes that serve the queue.", "queue")
    expired = family("expired_leases", "Running jobs whose lease has run out.", "queue")
    for queue in stats["queues"]:
        name = queue["queue"]
        jobs.add_metric([name, "waiting"], queue["waiting"])
        jobs.add_metric([name, "scheduled"], queue["scheduled"])
        jobs.add_metric([name, "running"], queue["running"])
        jobs.add_metric([name, "broken"], queue["broken"])
        oldest.add_metric([name], queue["oldest"])
        workers.add_metric([name], queue["workers"])
        expired.add_metric([name], queue["expired"])
    usage = family("notify_queue_usage_ratio", "How full Postgres's queue of notifications is, 0 to 1.")
    usage.add_metric([], stats["notify_usage"])
    yield from (jobs, oldest, workers, expired, usage)
