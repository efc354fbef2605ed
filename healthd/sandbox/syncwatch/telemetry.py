"""What the SyncWatch application and its two machines expose on /metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from healthd.sandbox.parts.telemetry import BUCKETS, Machines, Node, Quantiles


class Telemetry:
    """Counters of the application, readings of its servers, and two machines; a collector of prometheus_client."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered", ["route", "status"], registry=self.registry)
        self.durations = Histogram(
            "http_request_duration_seconds", "Time to answer", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self.drift = Quantiles()
        self.command_latency = Quantiles()
        self.readings: Mapping[str, float] = {}  # metric name -> value, as of the last scrape
        self.machines = Machines(node_1=Node(), node_2=Node(cpu=0.3, memory=0.5, disk=0.55))
        self.registry.register(self.machines)
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        yield self.drift.metric("syncwatch_playback_drift_ms", "How far viewers of a room are apart")
        yield self.command_latency.metric("syncwatch_sync_command_latency_ms", "From a command to its broadcast")
        for name, value in self.readings.items():
            yield GaugeMetricFamily(name, name.replace("_", " "), value)

    def describe(self) -> Iterable[Metric]:
        return ()
