"""What SyncWatch's backend, its transcoder and media servers, and its two machines expose on /metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from healthd.sandbox.parts.exporter import Exporter
from healthd.sandbox.parts.telemetry import BUCKETS, Machines, Node, Quantiles
from healthd.sandbox.syncwatch.cluster import NAMESPACE

USUAL_TRANSCODING = 240.0  # seconds for an hour in 1080p
VOLUME = 100 * 2.0**30  # bytes, of the transcoder's claim


class Telemetry:
    """Counters of the backend and readings of its servers; a collector of prometheus_client."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered", ["route", "status"], registry=self.registry)
        self.uploads = Counter("video_uploads", "Videos uploaded", registry=self.registry)
        self.durations = Histogram(
            "http_request_duration_seconds", "Time to answer", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self.drift = Quantiles()
        self.command_latency = Quantiles()
        self.readings: Mapping[str, float] = {}  # metric name -> value, as of the last scrape
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        yield self.drift.metric("syncwatch_playback_drift_ms", "How far viewers of a room are apart")
        yield self.command_latency.metric("syncwatch_sync_command_latency_ms", "From a command to its broadcast")
        for name, value in self.readings.items():
            yield GaugeMetricFamily(name, name.replace("_", " "), value)

    def describe(self) -> Iterable[Metric]:
        return ()


class MachineExporter(Exporter):
    """node_exporter of both machines."""

    def __init__(self) -> None:
        super().__init__()
        self.machines = Machines(node_1=Node(), node_2=Node(cpu=0.3, memory=0.5, disk=0.55))
        self.registry.register(self.machines)


class MediaExporter(Exporter):
    """The transcoder and its volume, the servers of HLS segments and the TURN server."""

    def __init__(self) -> None:
        super().__init__()
        self.segments = Histogram(
            "hls_segment_delivery_duration_seconds", "To deliver a segment", buckets=BUCKETS, registry=self.registry
        )
        transcoding = Gauge(
            "syncwatch_transcoding_duration_seconds", "To transcode an hour", ["quantile", "resolution"],
            registry=self.registry,
        )  # fmt: skip
        self.transcoding = transcoding.labels("0.95", "1080p")
        self.transcoding.set(USUAL_TRANSCODING)
        self._volume("capacity").set(VOLUME)
        self.volume_used = self._volume("used")
        self.volume_used.set(0.45 * VOLUME)
        self.turn_server = Gauge("syncwatch_turn_server_up", "Whether the TURN server answers", registry=self.registry)
        self.turn_server.set(1)

    def _volume(self, what: str) -> Gauge:
        """As the kubelet that has it mounted tells it."""
        labels = {"namespace": NAMESPACE, "persistentvolumeclaim": "storage-pvc"}
        gauge = Gauge(f"kubelet_volume_stats_{what}_bytes", f"{what} of a volume", list(labels), registry=self.registry)
        return gauge.labels(**labels)
