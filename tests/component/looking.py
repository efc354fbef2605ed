"""Running a probe as the daemon does: validated parameters, shared resources, a context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from healthd.model.outcomes import Measurement, Observation, ProbeError
from healthd.probes.base import Probe, ProbeContext, ProbeLimits, Resources


class Looker:
    """Looks through one probe, with resources that live as long as it does."""

    # every look since the test began, and how it ended: what a test says it tries is held against this
    looks: ClassVar[list[tuple[Probe, Observation | ProbeError]]] = []

    def __init__(self, probe: Probe, resources: Resources) -> None:
        self.probe, self.resources = probe, resources
        self.timeout = timedelta(seconds=5)
        self.limits = ProbeLimits()
        self.now: datetime | None = None
        self.zone = ZoneInfo("UTC")
        self.shared: dict[Any, Any] = {}

    async def __call__(self, **params: Any) -> Observation:
        context = ProbeContext(
            self.now or datetime.now(UTC), self.timeout, self.zone, self.resources, self.limits, self.shared
        )
        asked = self.probe.Params(**params)
        try:
            observation = await self.probe.run(asked, context)
        except ProbeError as error:
            self.looks.append((self.probe, error))
            raise
        self.looks.append((self.probe, observation))
        documented = self.probe.measures_for(asked)
        if documented is not None:
            assert {m.name for m in observation.measurements} <= documented.keys(), "an undocumented measure"
        return observation


class FreshLooker(Looker):
    """Each look is a run of its own: nothing asked before is answered from memory."""

    async def __call__(self, **params: Any) -> Observation:
        self.shared.clear()
        return await super().__call__(**params)


@asynccontextmanager
async def looking(probe: Probe) -> AsyncIterator[Looker]:
    """A Looker whose clients are closed at the end."""
    resources = Resources()
    try:
        yield Looker(probe, resources)
    finally:
        await resources.close()


def values(observation: Observation) -> dict[str, float | str]:
    """Measure name (with `{series}` where it has one) to value."""
    return {_key(m): m.value for m in observation.measurements}


def _key(measurement: Measurement) -> str:
    return f"{measurement.name}{{{measurement.series}}}" if measurement.series else measurement.name


def evidence(observation: Observation, title: str) -> str:
    """The text of the evidence of that title."""
    return next(e.text for e in observation.evidence if e.title == title)
