"""Metrics: what a scrape shows, before, while and after something happens."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from listener.metrics import Metrics

STATS = {
    "queues": [
        {
            "queue": "export",
            "waiting": 3,
            "scheduled": 2,
            "running": 1,
            "broken": 0,
            "oldest": 7.5,
            "expired": 0,
            "workers": 2,
        }
    ],
    "notify_usage": 0.25,
}


def scrape(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    text, _ = metrics.expose("")
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, *labels: str) -> float | None:
    return scrape(metrics).get((f"listener_{name}", frozenset(labels)))


def test_a_queue_shows_zeros_before_anything_happens() -> None:
    metrics = Metrics()

    metrics.for_queues(["export", "jobs/render"])

    assert value(metrics, "jobs_finished_total", "export", "failed") == 0
    assert value(metrics, "job_retries_total", "jobs/render", "timeout") == 0
    assert value(metrics, "fenced_writes_total", "export", "complete") == 0
    assert value(metrics, "events_received_total", "notify", "export") == 0
    assert value(metrics, "missed_found_total", "export", "reconcile") == 0
    assert value(metrics, "lease_expirations_total", "export") == 0
    assert value(metrics, "job_run_seconds_count", "export") == 0


def test_what_a_queue_counts_is_shown() -> None:
    metrics = Metrics()
    export = metrics.queue("export")

    export.pickup.observe(0.004)
    export.run.observe(42)
    export.finished["completed"].inc()
    export.slots["used"].set(2)

    assert value(metrics, "event_to_claim_seconds_bucket", "export", "0.005") == 1
    assert value(metrics, "event_to_claim_seconds_bucket", "export", "0.0025") == 0
    assert value(metrics, "job_run_seconds_sum", "export") == 42
    assert value(metrics, "jobs_finished_total", "export", "completed") == 1
    assert value(metrics, "slots", "export", "used") == 2


def test_only_sources_in_use_are_shown() -> None:
    metrics = Metrics()

    metrics.source("notify").connected.set(1)
    metrics.source("notify").reconnects["silent"].inc()

    assert value(metrics, "source_connected", "notify") == 1
    assert value(metrics, "source_connected", "realtime") is None
    assert value(metrics, "reconnects_total", "notify", "silent") == 1
    assert value(metrics, "reconnects_total", "notify", "closed") == 0


def test_the_fleet_is_shown_by_the_process_that_publishes_it() -> None:
    metrics = Metrics()
    assert value(metrics, "workers", "export") is None

    metrics.publish(STATS)

    assert value(metrics, "jobs", "export", "waiting") == 3
    assert value(metrics, "jobs", "export", "broken") == 0
    assert value(metrics, "oldest_waiting_seconds", "export") == 7.5
    assert value(metrics, "workers", "export") == 2
    assert value(metrics, "expired_leases", "export") == 0
    assert value(metrics, "notify_queue_usage_ratio") == 0.25

    metrics.publish(None)

    assert value(metrics, "workers", "export") is None
    assert value(metrics, "notify_queue_usage_ratio") is None


def test_what_was_published_long_ago_vanishes() -> None:
    now = 0.0
    metrics = Metrics(ttl=60, clock=lambda: now)
    metrics.publish(STATS)

    now = 60.0
    assert value(metrics, "workers", "export") == 2
    now = 60.1
    assert value(metrics, "workers", "export") is None


def test_two_engines_in_a_process_count_apart() -> None:
    one, other = Metrics(), Metrics()

    one.queue("export").finished["failed"].inc()
    other.for_queues(["export"])

    assert value(one, "jobs_finished_total", "export", "failed") == 1
    assert value(other, "jobs_finished_total", "export", "failed") == 0


def test_every_name_has_the_prefix_and_none_says_when_it_was_created() -> None:
    metrics = Metrics()
    metrics.for_queues(["export"])
    metrics.publish(STATS)

    names = {name for name, _ in scrape(metrics)}

    assert all(name.startswith("listener_") for name in names)
    assert not any(name.endswith("_created") for name in names)


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    text, content_type = Metrics().expose("application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
