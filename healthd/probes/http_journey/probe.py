"""The `http_journey` probe itself. See docs/probes/http_journey.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Measurement, Observation
from healthd.model.units import Unit
from healthd.probes.base import DOWN, MeasureInfo, Params, ProbeContext
from healthd.probes.http_journey.measures import MEASURES
from healthd.probes.http_journey.params import JourneyParams
from healthd.probes.scale import base_unit


class HttpJourneyProbe:
    """Several requests in a row. `up` is 1 only when every answer is all that its step expects."""

    Params: ClassVar[type[Params]] = JourneyParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = MEASURES
    defaults: ClassVar[tuple[Threshold, ...]] = (DOWN,)

    def measures_for(self, params: JourneyParams) -> Mapping[str, MeasureInfo]:
        """The fixed measures and those that steps extract."""
        extracted = {
            name: MeasureInfo(base_unit(e.unit) if e.unit else None, f"{e.path} of the body of {step.name}")
            for step in params.steps
            for name, e in step.extract.items()
        }
        headers = {
            name: MeasureInfo(None, f"the {header} header of {step.name}")
            for step in params.steps
            for name, header in step.extract_headers.items()
        }
        return {**MEASURES, **extracted, **headers}

    async def run(self, params: JourneyParams, context: ProbeContext) -> Observation:
        """Make the journey once. A step that fails is `up` 0; raises ProbeError for the check's own mistakes."""
        from healthd.probes.http_journey.walk import walk

        journey = await walk(params, context)
        failed = journey.failed
        measurements = (
            Measurement("up", 0.0 if failed else 1.0, Unit.COUNT),
            Measurement("steps_done", float(journey.done), Unit.COUNT),
            Measurement("failed_step", failed.name if failed else "none", Unit.TEXT),
            *journey.measurements,
        )
        if failed is None or journey.failure is None:
            return Observation(measurements)
        evidence = tuple(replace(e, title=f"{failed.name}: {e.title}") for e in journey.failure.evidence)
        return Observation(measurements, evidence, f"step {failed.name}: {journey.failure}")
