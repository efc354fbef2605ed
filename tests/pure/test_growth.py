"""How fast something grows, from what was seen before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from healthd.probes.growth import Growth

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_steady_rise_is_told_once_it_was_seen_for_a_while() -> None:
    growth = Growth(24 * HOUR)
    told = [growth.per_day("/", START + n * HOUR, 1000.0 + 10 * n) for n in range(12)]
    assert told[:6] == [None] * 6
    assert told[6:] == pytest.approx([240] * 6)


def test_what_is_long_ago_no_longer_counts() -> None:
    growth = Growth(24 * HOUR)
    for n in range(24 * 5):
        growth.per_day("/", START + n * HOUR, 1e6 * n)
    told = [growth.per_day("/", START + n * HOUR, 120e6) for n in range(24 * 5, 24 * 7)]
    assert told[-1] == pytest.approx(0, abs=1)


def test_noise_is_evened_out_and_shrinking_is_negative() -> None:
    growth, told = Growth(24 * HOUR), None
    for n in range(24 * 60):
        told = growth.per_day("/", START + n * timedelta(minutes=1), 1e9 - n * 1e3 + (n % 7) * 1e4)
    assert told == pytest.approx(-1e3 * 24 * 60, rel=0.1)


def test_series_are_apart_and_memory_is_bounded() -> None:
    growth = Growth(10 * HOUR)
    for n in range(36_000):
        growth.per_day("a", START + n * timedelta(seconds=1), float(n))
    assert growth.per_day("b", START, 5.0) is None
    assert sum(map(len, growth._points.values())) <= 202
    for n in range(2000):
        growth.per_day(f"series {n}", START, 1.0)
    assert len(growth._points) == 1000
