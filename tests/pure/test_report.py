"""A report: what it is made of, how it compares with the one before, what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.model.catalogue import Cadence, Check, System, Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level, Measurement, Outcome, Verdict
from healthd.model.runbook import ReportPlan
from healthd.model.units import Unit
from healthd.report import Material, Report, Task, build, from_json, headline, markdown, objectives, summary, to_json
from healthd.report.change import change_of
from healthd.report.growth import growth
from healthd.report.objectives import budget
from healthd.report.svg import proportions, sparkline
from tests.factories import cron, make_check

DUE = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ROW = Threshold("used", warning=parse_condition(">= 80%"), critical=parse_condition(">= 95%"), name="disk")
MORNING = Cadence("morning", cron("0 9 * * *"), "Morning checklist", timedelta(hours=4), "daily at 09:00")
DISK, WEB = make_check(name="disk", title="Disk", thresholds=(ROW,)), make_check(title="Shop front")


def system(*checks: Check) -> System:
    return System(
        "shop", "The shop", ZoneInfo("Europe/Berlin"), MappingProxyType({}), MappingProxyType({"morning": MORNING}),
        MappingProxyType({}), checks, links={"Grafana": "https://grafana.example"},
    )  # fmt: skip


def used(value: float, level: Level = Level.OK) -> Outcome:
    """The disk check's outcome."""
    verdict = Verdict("disk", "used", "/", value, Unit.RATIO, level, ">= 80%" if level else "")
    measured = (Measurement("used", value, Unit.RATIO, "/"), Measurement("free", 5e9, Unit.BYTES, "/"))
    return Outcome("shop/disk", DUE, timedelta(seconds=1), level, "used 83%" if level else "", measured, (verdict,))


def made(*outcomes: Outcome, **fields: Any) -> Report:
    material: dict[str, Any] = {
        "system": system(DISK, WEB), "cadence": MORNING, "due": DUE, "made_at": DUE, "checks": (WEB, DISK),
        "outcomes": {o.check_id: o for o in outcomes},
    }  # fmt: skip
    return build(Material(**{**material, **fields}))


def test_what_needs_attention_stands_first_and_what_did_not_run_is_said() -> None:
    report = made(used(0.83, Level.WARNING))
    assert [(i.check_id, i.level) for i in report.items] == [("shop/disk", "warning"), ("shop/web", "missing")]
    assert (report.level, report.counts) == ("warning", {"warning": 1, "missing": 1})
    assert report.id == "RPT-20260302-0800-shop-morning"
    assert headline(report) == "Morning checklist: 1 warning, 1 not run"
    assert "🟠 Disk: used of / 83% (warning >= 80%, critical >= 95%)" in summary(report)


def test_a_value_is_compared_with_the_report_before() -> None:
    before = made(used(0.5))
    report = made(used(0.83, Level.WARNING), before=before)
    item = report.items[0]
    assert (item.before, item.values[0].before, item.values[0].change) == ("ok", 0.5, "+33.0 points")
    assert report.before == before.id
    assert "| was OK; +33.0 points |" in markdown(report)


def test_numbers_that_are_only_measured_appear_where_a_report_gathers_them() -> None:
    plan = ReportPlan("capacity", "Capacity of the week", "morning", DISK.source, "engineering", "Growth of the disk.")
    report = made(used(0.5), plans=(plan,), gathered={"capacity": (DISK,)})
    disk = next(item for item in report.items if item.check_id == "shop/disk")
    assert [(v.measure, v.text) for v in disk.values] == [("used", "50%"), ("free", "5GB")]
    assert report.title == "Capacity of the week"
    assert "• Disk: used of / 50%" in summary(report)
    assert "Growth of the disk. For engineering." in markdown(report)
    plain = next(item for item in made(used(0.5)).items if item.check_id == "shop/disk")
    assert [v.measure for v in plain.values] == ["used"]


def test_a_report_survives_its_storage() -> None:
    task = Task("drill", "Restore drill", "overdue", "ann", "", DUE)
    course = [(DUE - timedelta(days=n), 0.8 - n / 100) for n in range(20, 0, -1)]
    grown = growth(DISK, ROW, used(0.79).verdicts[0], course, DUE)
    assert grown is not None
    slo = objectives([DISK], {7: {"shop/disk": 1.0}, 30: {"shop/disk": 0.99}}, 0.999)
    report = made(used(0.79), tasks=(task,), growth=(grown,), objectives=slo, before=made(used(0.7)))
    assert from_json(json.loads(json.dumps(to_json(report)))) == report
    assert from_json({**to_json(report), "added_by_a_later_version": 1}) == report


@pytest.mark.parametrize(
    ("before", "value", "unit", "said"),
    [
        (None, 1.0, None, ""),
        (1.0, None, None, ""),
        (1.0, 1.0, None, ""),
        (100.0, 112.0, Unit.COUNT, "+12 %"),
        (100.0, 100.2, Unit.COUNT, ""),
        (0.5, 0.47, Unit.RATIO, "-3.0 points"),
        (0.0, 3.0, Unit.COUNT, "was 0"),
        (1.0, 500.0, Unit.COUNT, "was 1"),
        ("connected", "connecting", None, "was connected"),
        (1.0, float("nan"), None, ""),
        (1.0, 2.0, Unit.TIMESTAMP, ""),
    ],
)
def test_change_in_words(before: float | str | None, value: float | str | None, unit: Unit | None, said: str) -> None:
    assert change_of(before, value, unit) == said


def test_growth_says_when_the_nearest_limit_is_reached() -> None:
    course = [(DUE - timedelta(days=n), 0.70 - n / 100) for n in range(20, -1, -1)]
    grown = growth(DISK, ROW, used(0.70).verdicts[0], course, DUE)
    assert grown is not None
    assert (grown.level, grown.limit, grown.change) == ("warning", ">= 80%", "+1% per day")
    assert grown.days == pytest.approx(10)
    assert grown.quality == pytest.approx(1)


@pytest.mark.parametrize(
    ("course", "value"),
    [
        ([(n, 0.5) for n in range(20)], 0.5),  # flat
        ([(n, 0.7 - n / 100) for n in range(20)], 0.5),  # moves away
        ([(n, 0.5 + (n % 2) / 5) for n in range(20)], 0.5),  # no line
        ([(n, n / 100000) for n in range(20)], 0.0002),  # in years
        ([(n / 100, n / 100) for n in range(20)], 0.2),  # seen for less than two days
        ([(n, n / 100) for n in range(3)], 0.03),  # too few points
        ([(n, n / 100) for n in range(90, 100)], 0.99),  # both limits are behind it
    ],
)
def test_growth_says_nothing_it_does_not_know(course: list[tuple[float, float]], value: float) -> None:
    points = [(DUE - timedelta(days=100) + timedelta(days=day), v) for day, v in course]
    assert growth(DISK, ROW, used(value).verdicts[0], points, DUE) is None


@given(st.lists(st.floats(0, 1), min_size=6, max_size=40), st.floats(0, 1))
def test_growth_never_promises_the_past(values: list[float], now: float) -> None:
    points = [(DUE - timedelta(days=len(values) - n), v) for n, v in enumerate(values)]
    grown = growth(DISK, ROW, used(now).verdicts[0], points, DUE)
    assert grown is None or 0 < grown.days <= 180


def test_error_budgets() -> None:
    assert budget(1.0, 0.999) == 1
    assert budget(0.999, 0.999) == pytest.approx(0)
    assert budget(0.9975, 0.999) == pytest.approx(-1.5)
    assert budget(1.0, 1.0) is None
    ratios = {7: {"shop/web": None, "shop/disk": 1.0}, 90: {"shop/disk": 0.9985}}
    (only,) = objectives([WEB, DISK], ratios, 0.999)
    assert (only.check_id, only.ratios) == ("shop/disk", ((7, 1.0), (30, None), (90, 0.9985)))
    assert only.budget == pytest.approx(-0.5)


@given(st.lists(st.floats(-1e300, 1e300), max_size=50), st.text())
def test_a_small_plot_stays_in_its_box_and_escapes_its_title(points: list[float], title: str) -> None:
    import xml.etree.ElementTree as ET

    drawn = sparkline(points, title)
    assert bool(drawn) == (len(points) > 1)
    if drawn and title.isprintable():
        line = ET.fromstring(drawn).find("polyline")
        assert line is not None
        for pair in line.attrib["points"].split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 120
            assert 0 <= y <= 28


def test_a_bar_is_divided_by_the_counts() -> None:
    assert proportions({}, "nothing") == ""
    drawn = proportions({"critical": 1, "ok": 3}, "1 critical, 3 ok")
    assert 'class="critical" x="0.00" y="0" width="25.00"' in drawn
    assert 'class="ok" x="25.00" y="0" width="75.00"' in drawn


def test_cells_of_a_table_cannot_break_it() -> None:
    odd = make_check(name="disk", title="a | b\nc")
    text = markdown(made(used(0.5), checks=(odd,)))
    assert "a \\| b c" in text
