"""One look against its threshold rows."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.evaluate import judge
from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level, Measurement
from healthd.model.units import Unit

OK, WARNING, CRITICAL, UNKNOWN = Level.OK, Level.WARNING, Level.CRITICAL, Level.UNKNOWN
CONDITIONS = ("target", "acceptable", "warning", "critical")


def row(measure: str = "latency", unit: Unit | None = Unit.SECONDS, **given: Any) -> Threshold:
    parsed = {k: parse_condition(v) if k in CONDITIONS else v for k, v in given.items()}
    return Threshold(measure=measure, unit=unit, **parsed)


def one(value: float | str, name: str = "latency", unit: Unit | None = Unit.SECONDS) -> list[Measurement]:
    return [Measurement(name, value, unit)]


@pytest.mark.parametrize(
    ("value", "level"),
    [(0.1, OK), (0.4999, OK), (0.5, WARNING), (0.999, WARNING), (1.0, CRITICAL), (math.inf, CRITICAL)],
)
def test_a_value_equal_to_a_limit_has_reached_it(value: float, level: Level) -> None:
    table = [row(target="< 300ms", warning=">= 500ms", critical=">= 1000ms")]
    assert judge(table, one(value))[0] is level


@pytest.mark.parametrize(("value", "level"), [(10.0, OK), (10.001, WARNING), (20.0, WARNING), (20.5, CRITICAL)])
def test_a_value_equal_to_an_exclusive_limit_has_not(value: float, level: Level) -> None:
    table = [row("length", None, warning="> 10 jobs", critical="> 20")]
    assert judge(table, one(value, "length", Unit.COUNT))[0] is level


@pytest.mark.parametrize(
    ("given", "value", "level"),
    [
        ({"target": "< 5"}, 4, OK),
        ({"target": "< 5"}, 5, WARNING),  # nothing but a target: missing it is a warning
        ({"target": "< 5", "acceptable": "< 10"}, 7, OK),  # between the two: good enough
        ({"target": "< 5", "acceptable": "< 10"}, 10, WARNING),
        ({"target": "< 5", "warning": "> 10", "critical": "> 20"}, 7, OK),
        ({"acceptable": "< 10", "critical": "> 20"}, 15, WARNING),
        ({"acceptable": "< 10", "critical": "> 20"}, 25, CRITICAL),
        ({"critical": "< 5 or > 50"}, 4, CRITICAL),
        ({"critical": "< 5 or > 50"}, 50, OK),
        ({"warning": "outside 5 and 50"}, 51, WARNING),
    ],
)  # fmt: skip
def test_which_column_decides(given: dict[str, str], value: float, level: Level) -> None:
    assert judge([row("n", None, **given)], one(float(value), "n", None))[0] is level


@pytest.mark.parametrize(
    ("condition", "value", "level"),
    [("!= connected", "connected", OK), ("!= connected", "Connected", CRITICAL), ("!= connected", "down", CRITICAL),
     ("in [failed, lost]", "failed", CRITICAL), ("in [failed, lost]", "ok", OK),
     ("not in [Running, Succeeded]", "Pending", CRITICAL), ("not in [Running, Succeeded]", "Running", OK)],
)  # fmt: skip
def test_words_are_compared_as_they_are(condition: str, value: str, level: Level) -> None:
    assert judge([row("status", Unit.TEXT, critical=condition)], one(value, "status", Unit.TEXT))[0] is level


def test_a_word_where_a_number_is_judged_is_unknown_and_says_why() -> None:
    level, reason, _ = judge([row(warning="> 1s")], one("fast"))
    assert level is UNKNOWN
    assert "fast" in reason


def test_the_worst_series_wins_and_is_named() -> None:
    disks = [Measurement("used", v, Unit.RATIO, mount) for mount, v in
             {"/": 0.5, "/var": 0.93, "/srv": 0.97, "/home": 0.85}.items()]  # fmt: skip
    level, reason, verdicts = judge([row("used", Unit.RATIO, warning=">= 80%", critical=">= 90%")], disks)
    assert level is CRITICAL
    assert verdicts[0].series == "/srv"
    assert "used of /srv 97%, limit >= 90%" in reason
    assert "/var" in reason
    assert "/home" not in reason


def test_of_equally_good_series_the_closest_to_its_limit_is_shown() -> None:
    ages = [Measurement("days_left", v, Unit.DAYS, name) for name, v in (("a", 80.0), ("b", 31.0), ("c", 60.0))]
    _, _, verdicts = judge([row("days_left", Unit.DAYS, warning="< 30d", critical="< 7d")], ages)
    assert verdicts[0].series == "b"


@pytest.mark.parametrize("missing", [OK, WARNING, CRITICAL, UNKNOWN])
def test_a_missing_measure_means_what_its_row_says(missing: Level) -> None:
    table = [row(warning="> 1s", missing=missing)]
    level, reason, _ = judge(table, [])
    assert level is missing
    assert ("not measured" in reason) is (missing is not OK)


def test_not_a_number_is_no_number() -> None:
    assert judge([row(warning="> 1s")], one(math.nan))[0] is UNKNOWN


def test_what_nothing_answered_could_not_measure_is_no_finding_of_its_own() -> None:
    table = [row("up", None, critical="= 0"), row(warning="> 1s")]
    level, reason, verdicts = judge(table, one(0.0, "up", None), "connection refused")
    assert (level, reason) == (CRITICAL, "connection refused")
    assert [v.measure for v in verdicts] == ["up"]


def test_a_known_problem_outranks_not_knowing() -> None:
    table = [row("a", None, warning="> 1"), row("b", None, critical="> 1")]
    assert judge(table, one(2.0, "a", None))[0] is WARNING


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    st.floats(1, 1e5),
    st.floats(1, 1e5),
)
def test_a_check_is_as_bad_as_its_worst_series(values: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))
    table = [row("n", None, warning=f">= {low!r}", critical=f">= {high!r}")]
    series = [Measurement("n", v, None, str(i)) for i, v in enumerate(values)]
    level, _, verdicts = judge(table, series)
    top = max(values)
    assert level is (CRITICAL if top >= high else WARNING if top >= low else OK)
    assert verdicts[0].value == top


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_worse_values_are_never_judged_milder(a: float, b: float) -> None:
    table = [row(target="< 300ms", acceptable="< 400ms", warning=">= 500ms", critical=">= 1s", for_=None)]
    low, high = sorted((a, b))
    assert judge(table, one(low))[0].badness <= judge(table, one(high))[0].badness


@pytest.mark.parametrize(
    ("given", "unit", "value", "reason"),
    [
        ({"warning": "> 24h"}, Unit.SECONDS, 86400 + 601.0, "latency 1d 10m 1s, limit > 24h"),
        ({"warning": "> 24h"}, Unit.SECONDS, 90000.0, "latency 1d 1h, limit > 24h"),
        ({"warning": ">= 500ms"}, Unit.SECONDS, 0.5, "latency 500ms, limit >= 500ms"),
        ({"warning": "> 500ms"}, Unit.SECONDS, 0.5001, "latency 0.5001s, limit > 500ms"),
        ({"critical": "< 5MB"}, Unit.BYTES, 4_999_999.0, "latency 4999999B, limit < 5MB"),
        ({"critical": "> 1%"}, Unit.RATIO, 0.010001, "latency 1.0001%, limit > 1%"),
        ({"critical": "< 5B or > 50MB"}, Unit.BYTES, 50_000_001.0, "latency 50000001B, limit < 5B or > 50MB"),
        ({"acceptable": "<= 30d"}, Unit.DAYS, 30.00001, "latency 30.00001d, limit should be <= 30d"),
        ({"acceptable": "<= 3"}, Unit.COUNT, 4.0, "latency 4, limit should be <= 3"),
    ],
)  # fmt: skip
def test_a_reason_never_contradicts_itself_by_rounding(
    given: dict[str, str], unit: Unit, value: float, reason: str
) -> None:
    assert judge([row(unit=unit, **given)], one(value, unit=unit))[1] == reason
