"""What applications and machines of an emulated production expose on /metrics."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5)  # of latencies, seconds
_QUANTILES = (0.5, 0.95, 0.99)
_GIB = 2.0**30
# metric, its label and that label's value, bytes a second
_TRAFFIC = (
    ("node_network_receive_bytes", "device", "eth0", 3e6),
    ("node_network_transmit_bytes", "device", "eth0", 9e6),
    ("node_disk_read_bytes", "device", "sda", 1e6),
    ("node_disk_written_bytes", "device", "sda", 2e6),
)


class Quantiles:
    """Quantiles over the last `window` seconds, as client libraries' summaries keep them."""

    def __init__(self, window: float = 5) -> None:
        self._window = window
        self._values: deque[tuple[float, float]] = deque(maxlen=5000)
        self._count, self._sum = 0, 0.0

    def observe(self, value: float) -> None:
        self._values.append((time.monotonic(), value))
        self._count += 1
        self._sum += value

    def metric(self, name: str, help_: str) -> Metric:
        oldest = time.monotonic() - self._window
        values = sorted(value for at, value in self._values if at >= oldest)
        metric = Metric(name, help_, "summary")
        for quantile in _QUANTILES:
            at = values[min(len(values) - 1, math.floor(quantile * len(values)))] if values else math.nan
            metric.add_sample(name, {"quantile": str(quantile)}, at)
        metric.add_sample(f"{name}_sum", {}, self._sum)
        metric.add_sample(f"{name}_count", {}, self._count)
        return metric


@dataclass
class Node:
    """One emulated machine. The shares in use are what faults change; `growth` is that of the disk's, per second."""

    cpu: float = 0.35
    memory: float = 0.55
    disk: float = 0.6
    growth: float = 0.0
    _seconds: dict[str, float] = field(default_factory=lambda: {"idle": 0.0, "user": 0.0})
    _read_at: float = field(default_factory=time.monotonic)
    _grown_at: float = field(default_factory=time.monotonic)

    def cpu_seconds(self) -> Mapping[str, float]:
        """Seconds spent per mode, going on at the current share."""
        now = time.monotonic()
        self._seconds["idle"] += (now - self._read_at) * (1 - self.cpu)
        self._seconds["user"] += (now - self._read_at) * self.cpu
        self._read_at = now
        return self._seconds

    def disk_used(self) -> float:
        """The share of the disk in use, as far as it has grown by now."""
        now = time.monotonic()
        self.disk = min(0.99, self.disk + self.growth * (now - self._grown_at))
        self._grown_at = now
        return self.disk


class Machines:
    """The machines of a production by their instance, exposed as node_exporter does; register it with a registry."""

    def __init__(self, **nodes: Node) -> None:
        """Keys are instances with `_` for `-`: `Machines(node_1=Node(cpu=0.3))`."""
        self.nodes = {name.replace("_", "-"): node for name, node in nodes.items()}
        self._started = time.monotonic()

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        cpu = CounterMetricFamily("node_cpu_seconds", "Seconds per mode", labels=["instance", "cpu", "mode"])
        gauges = {
            name: GaugeMetricFamily(name, name.replace("_", " "), labels=labels)
            for name, labels in {
                "node_memory_MemTotal_bytes": ["instance"],
                "node_memory_MemAvailable_bytes": ["instance"],
                "node_filesystem_size_bytes": ["instance", "mountpoint", "fstype"],
                "node_filesystem_avail_bytes": ["instance", "mountpoint", "fstype"],
            }.items()
        }
        for instance, node in self.nodes.items():
            for mode, seconds in node.cpu_seconds().items():
                cpu.add_metric([instance, "0", mode], seconds)
            disk = [instance, "/", "ext4"]
            gauges["node_memory_MemTotal_bytes"].add_metric([instance], 16 * _GIB)
            gauges["node_memory_MemAvailable_bytes"].add_metric([instance], 16 * _GIB * (1 - node.memory))
            gauges["node_filesystem_size_bytes"].add_metric(disk, 100 * _GIB)
            gauges["node_filesystem_avail_bytes"].add_metric(disk, 100 * _GIB * (1 - node.disk_used()))
        yield cpu
        yield from gauges.values()
        yield from self._traffic()

    def _traffic(self) -> Iterable[Metric]:
        """Bytes over disks and network, at a steady rate."""
        since = time.monotonic() - self._started
        for name, label, device, rate in _TRAFFIC:
            counter = CounterMetricFamily(name, name.replace("_", " "), labels=["instance", label])
            for instance in self.nodes:
                counter.add_metric([instance, device], since * rate)
            yield counter
