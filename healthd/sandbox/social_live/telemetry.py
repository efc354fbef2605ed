"""What the emulated Social Live exposes to Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from healthd.sandbox.parts.telemetry import BUCKETS

_MIB = 2**20
_GIB = 2.0**30
_APP = "backend"
_USUAL_HEAP = 180.0 * _MIB


class BackendTelemetry:
    """Requests and heap of the backend, labelled as its Deployment. `exposed`: whether they carry their usual names."""

    def __init__(self) -> None:
        self.exposed = True
        self._registry, self._renamed = CollectorRegistry(), CollectorRegistry()
        self._requests = Counter(
            "http_requests", "Requests answered", ["app", "method", "route", "status"], registry=self._registry
        )
        self._durations = Histogram(
            "http_request_duration_seconds", "Time to answer", ["app", "route"], buckets=BUCKETS,
            registry=self._registry,
        )  # fmt: skip
        self._heap = Gauge("nodejs_heap_size_used_bytes", "Heap in use", ["app", "pod"], registry=self._registry)
        Gauge("social_live_build_info", "Version", ["version"], registry=self._renamed).labels("2.0.0").set(1)
        self.use_heap()

    @property
    def registry(self) -> CollectorRegistry:
        """What a scrape shows now."""
        return self._registry if self.exposed else self._renamed

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(_APP, method, route, str(status)).inc()
        self._durations.labels(_APP, route).observe(seconds)

    def use_heap(self, size: float = _USUAL_HEAP) -> None:
        """So many bytes of the first pod's heap are in use."""
        self._heap.labels(_APP, "backend-0").set(size)
        self._heap.labels(_APP, "backend-1").set(_USUAL_HEAP)


class DatabaseDisk:
    """The file system PostgreSQL's data is on, as node_exporter shows it. `used` is a share."""

    def __init__(self) -> None:
        self.used = 0.45
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        values = {"node_filesystem_size_bytes": 200 * _GIB, "node_filesystem_avail_bytes": 200 * _GIB * (1 - self.used)}
        for name, value in values.items():
            metric = GaugeMetricFamily(name, name.replace("_", " "), labels=["mountpoint", "fstype"])
            metric.add_metric(["/var/lib/postgresql/data", "ext4"], value)
            yield metric
