"""Documented limits against configured ones: by what they mean, not by how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from healthd.coverage.expected import misjudged
from healthd.coverage.result import Cover
from healthd.model.catalogue import Check, Threshold
from healthd.model.conditions import Combination, Comparison, Condition, Membership
from healthd.model.runbook import Limit
from healthd.model.units import Unit, UnitError, convert, format_duration

LEVELS = ("target", "acceptable", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Findings:
    """`problems` are limits that differ without a reason, `decisions` the reasons where there is one."""

    problems: tuple[str, ...]
    decisions: tuple[str, ...]


def compare(limits: Iterable[Limit], covers: Iterable[Cover]) -> Findings:
    """Hold documented limits against the rows of the checks that cover the item."""
    checks = [cover.check for cover in covers if cover.check is not None]
    problems: list[str] = []
    decisions: list[str] = []
    for limit in limits:
        rows = [(check, row) for check in checks for row in _rows(limit, check)]
        if not rows:
            problems.append(f"no check that covers it has {_wanted(limit)}")
        for check, row in rows:
            found = list(_differences(limit, row, check)) or list(misjudged(limit, row, check))
            if found and limit.decided and row.note:
                decisions.append(f"{row.key}: {row.note}")
            elif found and limit.decided:
                problems.append(f"{row.key}: decided otherwise than documented, but the row has no note that says why")
            else:
                problems += found
    return Findings(tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(decisions)))


def _rows(limit: Limit, check: Check) -> list[Threshold]:
    if limit.row:
        return [row for row in check.thresholds if row.name == limit.row]
    if limit.measure:
        return [row for row in check.thresholds if row.measure == limit.measure]
    own = [row for row in check.thresholds if row.measure != "up"] or list(check.thresholds)
    return own if len(own) == 1 else []


def _wanted(limit: Limit) -> str:
    if limit.row:
        return f"a threshold row {limit.row!r}"
    if limit.measure:
        return f"a threshold row for the measure {limit.measure!r}"
    return "just one threshold row: name the documented limit's row or measure"


def _differences(limit: Limit, row: Threshold, check: Check) -> Iterator[str]:
    for level in LEVELS:
        documented: Condition | None = getattr(limit, level)
        configured: Condition | None = getattr(row, level)
        if documented is None:
            continue
        who = f"{check.id} {row.key}: {level}"
        if configured is None:
            yield f"{who} is documented as {documented.text!r}, and none is configured"
        elif not same_condition(documented, configured, row.unit):
            yield f"{who} is documented as {documented.text!r}, and configured as {configured.text!r}"
    if limit.for_ is not None and limit.for_ != row.for_:
        held, configured_for = (format_duration(d.total_seconds()) for d in (limit.for_, row.for_))
        yield f"{check.id} {row.key}: for is documented as {held}, and configured as {configured_for}"


def same_condition(one: Condition, other: Condition, unit: Unit | None) -> bool:
    """Whether two conditions on a measure in `unit` hold for the same values: "< 0.5s" and "< 500ms" do.

    Conditions whose limits are in units that cannot be compared are not the same.
    """
    try:
        return _normal(one.test, unit) == _normal(other.test, unit)
    except UnitError:
        return False


def _normal(test: Comparison | Membership | Combination, unit: Unit | None) -> object:
    """A form that is equal for equal meanings: limits in one unit, rounded below what anybody writes; sorted parts."""
    if isinstance(test, Comparison):
        if test.limit is None:
            return (test.op, test.word)
        own_unit = None if unit is not None else test.limit.unit
        return (test.op, float(f"{convert(test.limit, unit):.12g}"), own_unit)
    if isinstance(test, Membership):
        return (test.negated, test.members)
    return (test.every, frozenset(_normal(part, unit) for part in test.parts))
