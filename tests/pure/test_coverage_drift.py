"""Whatever the shipped runbooks document is as documented, and a limit that drifts from it is noticed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from healthd.coverage import coverage
from healthd.model.catalogue import Catalogue, Check, Threshold
from healthd.model.conditions import Condition, parse_condition
from healthd.model.runbook import Limit
from tests.pure.truth_table import catalogue_of

SYSTEMS = ("synk", "syncup", "social-live", "syncwatch")


@pytest.mark.parametrize("system", SYSTEMS)
def test_everything_is_as_documented_and_every_moved_limit_is_noticed(system: str) -> None:
    catalogue = catalogue_of(system)
    assert [item.id for item in coverage(catalogue).items if item.state.is_wrong] == []
    assert coverage(catalogue).is_complete
    moved = dict.fromkeys(documented(catalogue))
    assert len(moved) > 10
    unnoticed = [change for change in moved if coverage(with_moved(catalogue, *change)).is_complete]
    assert unnoticed == []


def documented(catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    """Check, row and level of each number that a document gives; of one that only says what is good, of what alarms."""
    for item in coverage(catalogue).items:
        checks = [cover.check for cover in item.covers if cover.check is not None]
        for limit in (each for each in item.item.limits if not each.decided):
            for check, row in ((each, row) for each in checks for row in rows_of(limit, each)):
                levels = [level for level in ("target", "acceptable", "warning", "critical") if getattr(limit, level)]
                if not limit.warning and not limit.critical and row.warning:
                    levels.append("warning")
                for level in levels:
                    if moved(getattr(row, level)).text != getattr(row, level).text:
                        yield check.id, row.key, level


def rows_of(limit: Limit, check: Check) -> list[Threshold]:
    rows = [row for row in check.thresholds if limit.row in ("", row.name) and limit.measure in ("", row.measure)]
    return rows if limit.row or limit.measure else [row for row in rows if row.measure != "up"]


def moved(condition: Condition) -> Condition:
    """Every number in it half as large again."""
    larger = re.sub(r"\d+(\.\d+)?", lambda found: f"{float(found[0]) * 1.5 or 1:g}", condition.text)
    return parse_condition(larger)


def with_moved(catalogue: Catalogue, check_id: str, key: str, level: str) -> Catalogue:
    def row(found: Threshold) -> Threshold:
        change: dict[str, Any] = {level: moved(getattr(found, level))} if found.key == key else {}
        return replace(found, **change)

    check = catalogue.checks[check_id]
    other = replace(check, thresholds=tuple(map(row, check.thresholds)))
    system = catalogue.systems[check.system]
    checks = tuple(other if found.id == check_id else found for found in system.checks)
    return replace(catalogue, systems=MappingProxyType({system.name: replace(system, checks=checks)}))
