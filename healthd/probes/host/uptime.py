"""`uptime`: how long ago the machine was started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.base import MeasureInfo, Measurement, Observation, ProbeContext, ProbeError


class UptimeParams(base.Params):
    """There are none: the machine has one answer."""


class UptimeProbe:
    """Reads the boot time. In a container it is that of the machine underneath."""

    Params: ClassVar[type[base.Params]] = UptimeParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "uptime": MeasureInfo(Unit.SECONDS, "since the machine was started"),
        "boot_time": MeasureInfo(Unit.TIMESTAMP, "when that was"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: UptimeParams) -> Mapping[str, MeasureInfo]:
        return self.measures

    async def run(self, params: UptimeParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError `unsupported` on a system that does not tell."""
        import psutil

        try:
            boot = psutil.boot_time()
        except (OSError, RuntimeError) as error:
            raise ProbeError(f"this system does not tell when it was started ({error})", "unsupported") from None
        return Observation(
            (
                Measurement("uptime", max(0.0, context.now.timestamp() - boot), Unit.SECONDS),
                Measurement("boot_time", boot, Unit.TIMESTAMP),
            )
        )
