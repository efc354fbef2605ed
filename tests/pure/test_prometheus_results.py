"""What Prometheus answers, read into numbers, names and alerts."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.probes.prometheus.firing import from_prometheus
from healthd.probes.prometheus.matchers import parse_matcher, read_matchers
from healthd.probes.prometheus.series import ResultError, check_template, name_of, read_result, reducer

LABELS = {"__name__": "up", "pod": "api-1", "namespace": "prod"}
_numbers = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)


@given(_numbers)
def test_percentiles(values: list[float]) -> None:
    assert reducer("p0")(values) == min(values)
    assert reducer("p100")(values) == max(values)
    assert reducer("p50")(values) == pytest.approx(statistics.median(values), abs=1e-3)
    assert reducer("p90")(values) <= reducer("p99.9")(values)


@given(_numbers)
def test_reducers_stay_within_the_values(values: list[float]) -> None:
    for name in ("first", "last", "avg", "min", "max", "p95"):
        assert min(values) - 1e-6 <= reducer(name)(values) <= max(values) + 1e-6
    assert reducer("count")(values) == len(values)
    assert reducer("delta")(values) == values[-1] - values[0]


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (None, "namespace=prod,pod=api-1"),
        ("pod", "api-1"),
        ("{namespace}/{pod}", "prod/api-1"),
        ("pod {pod}", "pod api-1"),
        ("node", ""),
        ("{{{pod}}}", "{api-1}"),
    ],
)
def test_names_of_series(template: str | None, name: str) -> None:
    assert name_of(LABELS, template and check_template(template)) == name


@pytest.mark.parametrize("template", ["{", "{0}", "{}", "a-b", "{pod.x}"])
def test_templates_that_are_none(template: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        check_template(template)


@given(st.recursive(st.none() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_whatever_the_answer_it_is_read_or_refused(data: Any) -> None:
    for answer in (data, {"resultType": "vector", "result": data}, {"resultType": "matrix", "result": [data]}):
        try:
            read_result(answer)
        except ResultError:
            pass


@pytest.mark.parametrize("item", [{"metric": "x", "value": [1, "1"]}, {"metric": {}, "value": [1, 10**400]}, {}, None])
def test_answers_that_only_look_right(item: Any) -> None:
    with pytest.raises(ResultError):
        read_result({"resultType": "vector", "result": [item]})


def test_a_range_leaves_out_what_is_no_number() -> None:
    values = [[1, "1"], [2, "NaN"], [3, "+Inf"], [4, "2.5"]]
    (series,) = read_result({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})
    assert series.values == (1, 2.5)


@pytest.mark.parametrize(
    ("written", "labels", "holds"),
    [
        ('severity="critical"', {"severity": "critical"}, True),
        ("severity = critical", {"severity": "criticals"}, False),
        ("team!=data", {}, True),
        ("team=", {}, True),
        ('team=~"plat.*|data"', {"team": "platform"}, True),
        ("team=~plat", {"team": "platform"}, False),
        ("team!~'plat.*'", {"team": "platform"}, False),
    ],
)
def test_matchers(written: str, labels: dict[str, str], holds: bool) -> None:
    assert parse_matcher(written).holds(labels) is holds


def test_matchers_as_mapping_or_one_word() -> None:
    assert read_matchers({"team": "data"}) == read_matchers('team="data"') == read_matchers(["team=data"])


@pytest.mark.parametrize(
    ("stamp", "microsecond"),
    [
        ("2026-01-02T03:04:05.123456789Z", 123456),
        ("2026-01-02T03:04:05.5Z", 500000),
        ("2026-01-02T03:04:05Z", 0),
        ("2026-01-02T05:04:05.25+02:00", 250000),
    ],
)
def test_times_as_go_writes_them(stamp: str, microsecond: int) -> None:
    answer = {"data": {"alerts": [{"labels": {"alertname": "A"}, "state": "firing", "activeAt": stamp}]}}
    assert from_prometheus(answer)[0].since == datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=UTC)
