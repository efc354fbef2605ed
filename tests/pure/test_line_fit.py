"""Straight lines through points."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.model.line import fit

TIMES = [1.7e9 + 3600 * n for n in range(48)]


@given(st.floats(-1e6, 1e6), st.floats(-1, 1), st.floats(-1e6, 1e6))
def test_points_on_a_line_give_the_line(value: float, slope: float, ahead: float) -> None:
    line = fit(TIMES, [value + slope * (t - TIMES[-1]) for t in TIMES], TIMES[-1])
    assert line is not None
    size = abs(value) + abs(slope) * 1e6 + 1
    assert line.after(ahead) == pytest.approx(value + slope * ahead, abs=1e-6 * size)


def test_quality_tells_lines_from_noise() -> None:
    noise = [math.sin(n * 1.7) for n in range(48)]
    for weight, low, high in ((0.0, 0.999, 1.0), (0.5, 0.9, 0.999), (100.0, 0.0, 0.1)):
        line = fit(TIMES, [n * 0.1 + weight * x for n, x in enumerate(noise)], TIMES[-1])
        assert line is not None
        assert low <= line.quality <= high


def test_when_a_limit_is_reached() -> None:
    line = fit(TIMES, [float(n) for n in range(48)], TIMES[-1])
    assert line is not None
    assert line.seconds_to(50) == pytest.approx(3 * 3600)
    assert line.seconds_to(40) == math.inf
    flat = fit(TIMES, [5.0] * 48, TIMES[-1])
    assert flat is not None
    assert (flat.slope, flat.quality, flat.seconds_to(6)) == (0, 1, math.inf)


def test_too_little_to_draw_a_line() -> None:
    assert fit(TIMES[:2], [1, 2], TIMES[-1]) is None
    assert fit([1.0, 1.0, 1.0], [1, 2, 3], 1) is None
