"""`cpu`: how the processors spent a span of time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.base import Duration, MeasureInfo, Measurement, Observation, ProbeContext, ProbeError

# guest time is part of user time already (proc_stat(5)); counting it again would make the whole too large
_KINDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
Times = Mapping[str, float]


class CpuParams(base.Params):
    """Over which span."""

    interval: Duration = Field(
        timedelta(seconds=1), description="how long to watch; 0 compares with the previous look of such a check"
    )
    per_core: bool = Field(False, description="also core_used_ratio, one series per processor")


class CpuProbe:
    """Reads the counters twice: `interval` apart, or now and at the previous look."""

    Params: ClassVar[type[base.Params]] = CpuParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "used_ratio": MeasureInfo(Unit.RATIO, "busy share of all processors; waiting for disks is not busy"),
        "iowait_ratio": MeasureInfo(Unit.RATIO, "idle with a disk operation outstanding (Linux)"),
        "steal_ratio": MeasureInfo(Unit.RATIO, "taken by the hypervisor for others (Linux)"),
        "core_used_ratio": MeasureInfo(Unit.RATIO, "busy share of one processor; with per_core"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: CpuParams) -> Mapping[str, MeasureInfo]:
        return {k: v for k, v in self.measures.items() if params.per_core or k != "core_used_ratio"}

    async def run(self, params: CpuParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError `config` when the interval does not fit into the check's timeout."""
        if params.interval >= context.timeout:
            raise ProbeError(
                f"interval {params.interval.total_seconds():g}s does not fit into the check's timeout of"
                f" {context.timeout.total_seconds():g}s: shorten one or lengthen the other",
                "config",
            )
        before, after = await context.once(("cpu", params.interval), lambda: _watch(params.interval, context))
        total, *cores = (_shares(b, a) for b, a in zip(before, after, strict=False))
        measurements = [Measurement(name, value, Unit.RATIO) for name, value in total.items()]
        if params.per_core:
            measurements += [
                Measurement("core_used_ratio", core["used_ratio"], Unit.RATIO, str(number))
                for number, core in enumerate(cores)
                if "used_ratio" in core
            ]
        return Observation(tuple(measurements))


async def _watch(interval: timedelta, context: ProbeContext) -> tuple[Sequence[Times], Sequence[Times]]:
    """The counters (all processors, then each) at the two ends of the span."""
    if interval:
        before = _read()
        await asyncio.sleep(interval.total_seconds())
        return before, _read()
    previous: dict[str, Sequence[Times]] = await context.resources.get("cpu times of the previous look", _first_look)
    before, after = previous["times"], _read()
    if after[0] == before[0]:  # looked at within one tick of the counters
        await asyncio.sleep(0.05)
        after = _read()
    previous["times"] = after
    return before, after


async def _first_look() -> dict[str, Sequence[Times]]:
    times = _read()
    await asyncio.sleep(1)  # there is nothing to compare with yet
    return {"times": times}


def _read() -> Sequence[Times]:
    import psutil

    return [_times(psutil.cpu_times()), *map(_times, psutil.cpu_times(percpu=True))]


def _times(times: Any) -> Times:
    return {kind: getattr(times, kind) for kind in _KINDS if hasattr(times, kind)}


def _shares(before: Times, after: Times) -> dict[str, float]:
    # single counters can go back a little (idle, iowait: proc_stat(5))
    spent = {kind: max(0.0, after[kind] - before[kind]) for kind in after}
    whole = sum(spent.values())
    if whole <= 0:
        return {}
    shares = {"used_ratio": 1 - (spent["idle"] + spent.get("iowait", 0.0)) / whole}
    return shares | {f"{kind}_ratio": spent[kind] / whole for kind in ("iowait", "steal") if kind in spent}
