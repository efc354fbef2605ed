"""What several of these tests ask."""

from __future__ import annotations

from healthd.model.outcomes import Observation


def series_of(observation: Observation) -> set[str]:
    return {m.series for m in observation.measurements}
