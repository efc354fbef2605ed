"""How measures are documented."""

from __future__ import annotations

from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo


def counted(about: str) -> MeasureInfo:
    """A measure that is a number of things, or 1 for yes and 0 for no."""
    return MeasureInfo(Unit.COUNT, about)
