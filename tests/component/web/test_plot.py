"""Axes and plots: places and labels, by table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level
from healthd.model.units import Unit
from healthd.store.base import Point
from healthd.web.axes import time_ticks, value_ticks
from healthd.web.plot import SIZES, History, Span, bars, draw, limits_of, run_spans

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)  # the day the clocks go forward
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("low", "high", "unit", "expected"),
    [
        (0, 1, Unit.RATIO, [0, 0.25, 0.5, 0.75, 1]),
        (0, 0.3, Unit.SECONDS, [0, 0.1, 0.2, 0.3]),
        (0, 400, Unit.SECONDS, [0, 120, 240, 360, 480]),
        (0, 90_000, Unit.SECONDS, [0, 43200, 86400, 129600]),
        (0, 3, Unit.COUNT, [0, 1, 2, 3]),
        (0, 0.5, Unit.COUNT, [0, 1]),
        (-7, 12, None, [-10, -5, 0, 5, 10, 15]),
        (0, 7.3e9, Unit.BYTES, [0, 2e9, 4e9, 6e9, 8e9]),
    ],
)
def test_values_get_round_ticks_in_their_unit(
    low: float, high: float, unit: Unit | None, expected: list[float]
) -> None:
    assert value_ticks(low, high, unit, 4) == pytest.approx(expected)


@pytest.mark.parametrize("exponent", range(-12, 16))
def test_any_range_has_a_handful_of_ticks_around_it(exponent: int) -> None:
    high = 3.7 * 10.0**exponent
    for unit in (None, *Unit):
        ticks = value_ticks(0, high, unit, 4)
        assert 2 <= len(ticks) <= 8
        assert ticks[0] <= 0
        assert ticks[-1] >= high * 0.999


def test_times_are_round_on_the_systems_clocks_across_a_change() -> None:
    ticks = time_ticks(NOW - timedelta(hours=24), NOW, BERLIN, 8)
    assert [label for _, label in ticks] == ["15:00", "18:00", "21:00", "Sun 29", "03:00", "06:00", "09:00", "12:00"]
    assert ticks[3][0] == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert ticks[5][0] == datetime(2026, 3, 29, 4, 0, tzinfo=UTC)  # 06:00 in summer time


@pytest.mark.parametrize("hours", [0.05, 1, 6, 24, 168, 720, 9000])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"])
def test_every_range_has_few_ticks_in_order(hours: float, zone: str) -> None:
    since = NOW - timedelta(hours=hours)
    ticks = [at for at, _ in time_ticks(since, NOW, ZoneInfo(zone), 8)]
    assert 1 <= len(ticks) <= 14
    assert ticks == sorted(set(ticks))
    assert since <= ticks[0] <= ticks[-1] <= NOW


def history(values: list[tuple[float, float]], unit: Unit | None = None, spacing: timedelta = HOUR) -> History:
    """(hours ago, value) as a history of a day."""
    points = [Point(NOW - timedelta(hours=ago), value * 0.9, value, value * 1.1) for ago, value in values]
    return History(points, NOW - timedelta(days=1), NOW, unit, BERLIN, spacing)


def test_a_gap_in_the_history_is_a_gap_in_the_line() -> None:
    plot = draw(history([(9, 1), (8.5, 2), (8, 3), (2, 1), (1.5, 1)]), [], SIZES[0])
    assert len(plot.lines) == 2
    assert plot.lines[0].count("L") == 2
    alone = draw(history([(9, 1)]), [], SIZES[0])
    assert len(alone.dots) == 1


def test_a_limit_far_from_every_value_does_not_flatten_the_line() -> None:
    rows = [Threshold("latency", warning=parse_condition("> 300ms"), critical=parse_condition("> 1h"))]
    limits = limits_of(rows, Unit.SECONDS)
    plot = draw(history([(2, 0.2), (1, 0.25)], Unit.SECONDS), limits, SIZES[0])
    assert [limit.level for limit in plot.limits] == ["warning"]
    assert plot.y_ticks[-1].text == "300ms"
    assert 12 <= plot.limits[0].y <= SIZES[0].bottom


def test_targets_are_drawn_where_nothing_says_what_is_bad() -> None:
    rows = [Threshold("size", target=parse_condition("between 5MB and 50MB"))]
    assert [(value, level) for value, level, _ in limits_of(rows, Unit.BYTES)] == [(5e6, "target"), (5e7, "target")]
    assert limits_of([Threshold("state", critical=parse_condition("!= ready"))], None) == []


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-9, 1e15, 1.7e9])
@pytest.mark.parametrize("unit", [None, *Unit])
def test_a_constant_is_drawn_inside_the_frame(value: float, unit: Unit | None) -> None:
    for size in SIZES:
        plot = draw(history([(2, value), (1.5, value)], unit), [], size)
        for place in plot.lines[0][1:].split("L"):
            x, y = map(float, place.split())
            assert size.left <= x <= size.right
            assert 11.9 <= y <= size.bottom + 0.1


def test_runs_become_a_strip_and_equal_neighbours_one_bar() -> None:
    runs = [(NOW - timedelta(minutes=m), Level.OK, "") for m in (1, 2, 3)]
    runs += [(NOW - timedelta(minutes=m), Level.CRITICAL, "down") for m in (4, 5)]
    runs += [(NOW - timedelta(hours=3), Level.OK, "")]
    spans = run_spans(runs, timedelta(minutes=1))
    assert [(s.level, s.end - s.start) for s in spans] == [
        ("ok", timedelta(minutes=1)), ("critical", timedelta(minutes=2)), ("ok", timedelta(minutes=3)),
    ]  # fmt: skip


def test_a_bar_ends_with_the_plot_and_is_never_too_thin_to_see() -> None:
    shown = history([(1, 1)])
    long_ago = Span(NOW - timedelta(days=9), NOW - timedelta(days=8), "critical", "")
    across = Span(NOW - timedelta(days=9), NOW + HOUR, "warning", "")
    blink = Span(NOW - HOUR, NOW - HOUR, "critical", "")
    found = bars([long_ago, across, blink], shown, SIZES[0])
    assert next((bar.x, bar.width) for bar in found) == (SIZES[0].left, SIZES[0].right - SIZES[0].left)
    assert len(found) == 2
    assert found[1].width == 1.5


def test_what_is_bad_is_shaded_between_its_limits() -> None:
    rows = [Threshold("used", warning=parse_condition(">= 60"), critical=parse_condition(">= 80"))]
    plot = draw(history([(2, 50), (1, 100)]), limits_of(rows, None), SIZES[0], rows)
    assert [zone.level for zone in plot.zones] == ["warning", "critical"]
    warning, critical = plot.zones
    assert critical.y + critical.height == pytest.approx(warning.y, abs=0.11)
    assert critical.y == pytest.approx(12)
    outside = [Threshold("used", target=parse_condition("between 20 and 80"))]
    levels = [
        zone.level for zone in draw(history([(2, 0), (1, 100)]), limits_of(outside, None), SIZES[0], outside).zones
    ]
    assert levels == ["warning", "warning"]
    assert (
        draw(history([(2, 0), (1, 1)]), [], SIZES[0], [Threshold("state", critical=parse_condition("!= up"))]).zones
        == []
    )
