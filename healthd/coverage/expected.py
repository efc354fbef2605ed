"""What documents only call good: whether the configured row alarms where it is missed, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor

from healthd.model.catalogue import Check, Threshold
from healthd.model.conditions import Condition
from healthd.model.runbook import Limit
from healthd.model.samples import OTHER_WORD, samples
from healthd.model.units import Unit, UnitError, format_exact


def misjudged(limit: Limit, row: Threshold, check: Check) -> Iterator[str]:
    """A value that the document and the row call differently, where the document says nothing but what is good.

    Of "less than 80%" alone, 80% is not as documented: a row that is quiet about it differs, and so does one that
    warns of 70%. Documents that say what is bad as well are taken at their word, level by level.
    """
    wanted = limit.acceptable or limit.target
    if wanted is None or limit.warning is not None or limit.critical is not None:
        return
    level = "acceptable" if limit.acceptable is not None else "target"
    try:
        for value in _values(wanted, row):
            good = wanted.holds(value, row.unit)
            if good == _is_bad(row, value):
                said = "alarms" if good else "does not alarm"
                documented = f"{check.id} {row.key}: {level} is documented as {wanted.text!r}"
                yield f"{documented}, but {_shown(value, row.unit)} {said} ({row.limits})"
                return
    except UnitError:  # limits that cannot be compared are told as such
        return


def _values(wanted: Condition, row: Threshold) -> list[float | str]:
    """What the measure may be: nothing negative unless a limit is, no half where it counts."""
    own = [row.target, row.acceptable, row.warning, row.critical]
    conditions = [wanted, *(condition for condition in own if condition is not None)]
    lowest = min((limit for condition in conditions for limit in condition.limits(row.unit)), default=0.0)
    found = samples(conditions, row.unit)
    if row.unit is Unit.COUNT:
        found = [value if isinstance(value, str) else float(floor(value)) for value in found]
    return [value for value in found if isinstance(value, str) or value >= min(lowest, 0.0)]


def _shown(value: float | str, unit: Unit | None) -> str:
    if value == OTHER_WORD:
        return "another word"
    return value if isinstance(value, str) else format_exact(value, unit)


def _is_bad(row: Threshold, value: float | str) -> bool:
    if row.critical is not None and row.critical.holds(value, row.unit):
        return True
    if row.warning is not None:
        return row.warning.holds(value, row.unit)
    wanted = row.acceptable or row.target
    return wanted is not None and not wanted.holds(value, row.unit)
