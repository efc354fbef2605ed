"""Availability against its objective. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from healthd.model.catalogue import Check
from healthd.report.model import Objective

PERIODS = (7, 30, 90)  # days
Ratios = Mapping[int, Mapping[str, float | None]]  # days -> check id -> share of good runs


def objectives(checks: Iterable[Check], ratios: Ratios, target: float) -> list[Objective]:
    """One per check that has run, those with the least budget left first. `target` is a share, such as 0.999."""
    found = []
    for check in checks:
        shares = tuple((days, ratios.get(days, {}).get(check.id)) for days in PERIODS)
        known = [share for _, share in shares if share is not None]
        if known:
            found.append(Objective(check.id, check.title, target, shares, budget(known[-1], target)))
    return sorted(found, key=lambda objective: (objective.budget is None, objective.budget))


def budget(ratio: float, target: float) -> float | None:
    """The share of permitted failures that is left; None for a target of 100 %, which permits none."""
    return 1 - (1 - ratio) / (1 - target) if target < 1 else None
