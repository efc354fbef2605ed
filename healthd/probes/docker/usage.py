"""What a container uses, from two answers of /containers/ID/stats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from healthd.model.units import Unit
from healthd.probes.base import Measurement

__all__ = ["Sample", "memory", "processor", "read_sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters at one moment. Times are in seconds of one processor; memory in bytes, None where it is not told."""

    busy: float
    machine: float  # all processors together, idle or not
    processors: int
    used: float | None
    limit: float | None


def read_sample(item: Any) -> Sample | None:
    """None for a container that is not running: its counters are all absent."""
    cpu, memory = (item.get(part) or {} for part in ("cpu_stats", "memory_stats"))
    usage = cpu.get("cpu_usage") or {}
    if not cpu.get("system_cpu_usage"):
        return None
    return Sample(
        busy=float(usage.get("total_usage") or 0) / 1e9,
        machine=float(cpu["system_cpu_usage"]) / 1e9,
        processors=int(cpu.get("online_cpus") or len(usage.get("percpu_usage") or ()) or 1),
        used=_used(memory),
        limit=float(memory["limit"]) if memory.get("limit") else None,
    )


def _used(memory: dict[str, Any]) -> float | None:
    if "usage" not in memory:
        return None
    stats = memory.get("stats") or {}
    # cached file pages that the kernel can take back at once; cgroup v1 and v2 name them differently
    cache = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    return float(max(0, memory["usage"] - cache))


def memory(sample: Sample, series: str) -> list[Measurement]:
    """Its use of memory."""
    if sample.used is None:
        return []
    found = [Measurement("memory_bytes", sample.used, Unit.BYTES, series)]
    if sample.limit:
        found.append(Measurement("memory_ratio", sample.used / sample.limit, Unit.RATIO, series))
    return found


def processor(before: Sample, after: Sample, limit: float | None, series: str) -> list[Measurement]:
    """Its use of the processors between two moments; `limit` is in processors, None for all."""
    machine = after.machine - before.machine
    if machine <= 0 or after.busy < before.busy:  # restarted in between
        return []
    processors = (after.busy - before.busy) / machine * after.processors
    return [
        Measurement("cpu", processors, Unit.COUNT, series),
        Measurement("cpu_ratio", processors / (limit or after.processors), Unit.RATIO, series),
    ]
