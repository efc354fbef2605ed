"""What the runbook documents against what takes care of it: pure functions over the catalogue."""

from healthd.coverage.compute import coverage
from healthd.coverage.result import Cover, Coverage, CoveredItem, Dangling, DocumentCoverage, State

__all__ = ["Cover", "Coverage", "CoveredItem", "Dangling", "DocumentCoverage", "State", "coverage"]
