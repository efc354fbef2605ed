"""`memory`: memory and swap of the machine, or of a control group (a container, a systemd unit)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.base import MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.host.cgroup import CgroupError, own_cgroup, read_memory


class MemoryParams(base.Params):
    """Whose memory."""

    scope: Literal["host", "cgroup"] = Field("host", description="the machine, or healthd's own control group")
    cgroup: Path | None = Field(None, description="folder of another control group, under /sys/fs/cgroup")

    @model_validator(mode="after")
    def _folder_needs_scope(self) -> MemoryParams:
        if self.cgroup is not None and self.scope != "cgroup":
            raise ValueError("cgroup: names a control group: write scope: cgroup beside it")
        return self


class MemoryProbe:
    """Reads the kernel's own account."""

    Params: ClassVar[type[base.Params]] = MemoryParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "used_ratio": MeasureInfo(Unit.RATIO, "1 - available / total"),
        "used_bytes": MeasureInfo(Unit.BYTES, "total - available"),
        "available_bytes": MeasureInfo(Unit.BYTES, "what programs can get without swapping"),
        "total_bytes": MeasureInfo(Unit.BYTES, "of the machine, or the limit where that is lower"),
        "swap_used_ratio": MeasureInfo(Unit.RATIO, "used swap; 0 where there is none"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: MemoryParams) -> Mapping[str, MeasureInfo]:
        return self.measures

    async def run(self, params: MemoryParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError `missing` when there is no such control group."""
        if params.scope == "host":
            return _of_host()
        try:
            return _of_cgroup(params.cgroup or own_cgroup())
        except CgroupError as error:
            raise ProbeError(str(error), "missing") from None


def _of_host() -> Observation:
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return _observation(memory.total, memory.total - memory.available, swap.total, swap.used)


def _of_cgroup(folder: Path) -> Observation:
    import psutil

    group, machine = read_memory(folder), psutil.virtual_memory().total
    total = min(group.limit or machine, machine)
    found = _observation(total, group.used, group.swap_limit or psutil.swap_memory().total, group.swap_used or 0)
    text = f"{group.path}" + ("" if group.limit else " (no limit set: compared with the machine's memory)")
    return Observation(found.measurements, (base.Evidence("Control group", text),))


def _observation(total: int, used: int, swap_total: int, swap_used: int) -> Observation:
    return Observation(
        (
            Measurement("used_ratio", used / total, Unit.RATIO),
            Measurement("used_bytes", float(used), Unit.BYTES),
            Measurement("available_bytes", float(max(0, total - used)), Unit.BYTES),
            Measurement("total_bytes", float(total), Unit.BYTES),
            Measurement("swap_used_ratio", swap_used / swap_total if swap_total else 0.0, Unit.RATIO),
        )
    )
