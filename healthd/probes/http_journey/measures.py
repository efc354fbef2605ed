"""The measures of the `http_journey` probe: stable names, base units."""

from __future__ import annotations

from collections.abc import Mapping

from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo

MEASURES: Mapping[str, MeasureInfo] = {
    "up": MeasureInfo(Unit.COUNT, "1 when every step was answered as expected, otherwise 0"),
    "latency": MeasureInfo(Unit.SECONDS, "all steps together; only when all went well"),
    "steps_done": MeasureInfo(Unit.COUNT, "steps that went well"),
    "failed_step": MeasureInfo(Unit.TEXT, "name of the step that went wrong first, or none"),
    "step_latency": MeasureInfo(Unit.SECONDS, "one step from the name lookup to the end of the body; series: its name"),
    "step_status": MeasureInfo(Unit.COUNT, "status code of one step's final response; series: its name"),
}
